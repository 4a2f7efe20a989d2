"""The wheel, installed in a fresh environment, is the program."""

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_wheel_installs_and_runs_in_a_fresh_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")  # by which other tests' processes find this checkout
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("calwebbd-*.whl")
    environment = tmp_path / "venv"
    # the dependencies are those of this environment: a test should not download them again
    venv.create(environment, with_pip=True, system_site_packages=True)
    python = environment / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--no-deps", "--quiet", wheel], check=True, capture_output=True
    )
    here = subprocess.run(
        [python, "-c", "import site, sys; print(site.getsitepackages()[0])"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    libraries = next(p for p in sys.path if p.endswith("site-packages"))
    (Path(here) / "libraries.pth").write_text(libraries + "\n")
    said = subprocess.run(
        [environment / "bin" / "calwebbd", "--version"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    ).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert said.split() == ["calwebbd", project["version"]]
    inside = "import calwebbd.daemon, calwebbd.queues, calwebbd.stages as s; print(s.__file__)"
    where = subprocess.run(
        [python, "-c", inside], check=True, capture_output=True, text=True, cwd=tmp_path
    ).stdout
    assert where.startswith(str(environment))


def test_the_top_level_of_the_repository_is_what_was_agreed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    agreed = {"pyproject.toml", "daemon", "stages", "queues", "systemd", "tests", "docs"}
    assert {name for name in top if not name.startswith(".")} <= agreed | {
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
    }
