"""What `calwebbd install` writes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from calwebbd.daemon import install
from calwebbd.daemon.cli import main

PROGRAM = Path("/opt/calwebbd/bin/calwebbd")
CONFIG = """
[folders]
watch = ["/data/in coming"]
output = "/data/out"
state = "/var/lib/calwebbd"
"""


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(CONFIG)
    return path


def write(root: Path, given: Path) -> dict[str, str]:
    files = install.plan(root, given, PROGRAM)
    fates = {f"{file.path.parent.name}/{file.path.name}": file.fate for file in files}
    for file in files:
        file.write()
    return fates


def test_the_unit_runs_the_program_of_this_environment(tmp_path: Path, given: Path) -> None:
    write(tmp_path / "root", given)
    unit = (tmp_path / "root/etc/systemd/system/calwebbd.service").read_text()
    assert f"ExecStart={PROGRAM} run --config" in unit
    assert "/usr/bin/env" not in unit


def test_the_page_may_write_beside_the_database_alone(tmp_path: Path, given: Path) -> None:
    write(tmp_path / "root", given)
    units = tmp_path / "root/etc/systemd/system"
    assert f"ExecStart={PROGRAM} web --config" in (units / "calwebbd-web.service").read_text()
    text = (units / "calwebbd-web.service.d/10-folders.conf").read_text()
    assert re.findall("ReadWritePaths=(.*)", text) == ['-"/var/lib/calwebbd"']


def test_it_waits_for_the_folders_and_may_write_to_products_alone(tmp_path: Path, given: Path) -> None:
    write(tmp_path / "root", given)
    text = (tmp_path / "root/etc/systemd/system/calwebbd.service.d/10-folders.conf").read_text()
    assert 'RequiresMountsFor="/data/in coming"' in text
    assert 'ReadWritePaths=-"/data/out"' in text
    assert 'ReadWritePaths=-"/data/in coming"' not in text


def test_writing_again_changes_nothing_and_keeps_what_an_operator_wrote(tmp_path: Path, given: Path) -> None:
    root = tmp_path / "root"
    assert set(write(root, given).values()) == {install.WRITTEN}
    assert set(write(root, given).values()) == {install.UNCHANGED}
    own = root / "etc/calwebbd/calwebbd.toml"
    own.write_text(CONFIG.replace("/data/out", "/data/products"))
    fates = write(root, given)
    assert fates["calwebbd/calwebbd.toml"] == install.KEPT
    assert fates["calwebbd.service.d/10-folders.conf"] == install.WRITTEN
    assert "/data/products" in (root / "etc/systemd/system/calwebbd.service.d/10-folders.conf").read_text()


def test_a_dry_run_shows_and_writes_nothing(
    tmp_path: Path, given: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.prefix", "/opt/calwebbd")
    monkeypatch.setattr("sys.base_prefix", "/usr")
    arguments = ["install", "--root", str(tmp_path / "root"), "--config", str(given), "--dry-run"]
    assert main(arguments) == 0
    assert "ExecStart=/opt/calwebbd/bin/calwebbd run" in capsys.readouterr().out
    assert not (tmp_path / "root").exists()


def test_a_program_that_the_unit_cannot_see_is_refused(tmp_path: Path, given: Path) -> None:
    with pytest.raises(install.Unfit, match="lies below /home, which the unit does not see"):
        install.plan(tmp_path, given, Path("/home/me/venv/bin/calwebbd"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_installed_unit_with_its_drop_ins(tmp_path: Path, given: Path) -> None:
    root = tmp_path / "root"
    for file in install.plan(root, given, Path("/bin/true")):
        file.write()
    unit = root / "etc/systemd/system/calwebbd.service"
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (said.stderr, said.returncode) == ("", 0)
    score = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"exposure level for \S+ (\d+\.\d+)", score)
    assert found is not None, score
    assert float(found[1]) <= 1.5
