"""The service under a real systemd, in a container over this machine's files: ``pytest -m systemd``.

Calibration is fake; unit, user, folders and configuration are those that `calwebbd install` writes.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fake_calibration as fake
import numpy
import pytest

from calwebbd.daemon import install

pytestmark = [
    pytest.mark.systemd,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("systemd-nspawn") is None, reason="needs root and systemd-nspawn"
    ),
]
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path("/opt/calwebbd/bin/calwebbd")
MASKED = ("systemd-udevd", "systemd-networkd", "systemd-resolved", "systemd-logind", "console-getty", "dbus")
CONFIG = """
[folders]
watch = ["/data/in"]
output = "/data/out"
state = "/var/lib/calwebbd"
[crds]
context = "jwst_0001.pmap"
[workers]
processes = 2
memory_mb = 4000
[watch]
settle_seconds = 0.1
"""


class Box:
    """A machine of its own, but for its kernel and its disk."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self.leader = leader

    def run(self, *command: str) -> str:
        """Run a command in it; returns what it said."""
        enter = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-p", "-n", *command]
        return subprocess.run(enter, capture_output=True, text=True, check=True, timeout=60.0).stdout

    def property(self, name: str) -> str:
        return self.run("systemctl", "show", "calwebbd", "-P", name).strip()

    def journal(self) -> str:
        return self.run("journalctl", "--namespace=calwebbd", "--no-pager", "-o", "cat")

    def until(self, condition: Callable[[], object]) -> float:
        started = time.monotonic()
        while not condition():
            assert time.monotonic() < started + 60.0, self.run("systemctl", "status", "calwebbd")
            time.sleep(0.05)
        return time.monotonic() - started


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    base = tmp_path_factory.mktemp("box")
    root = base / "root"
    for folder in ("up", "work", "root"):
        (base / folder).mkdir()
    layers = f"lowerdir=/,upperdir={base / 'up'},workdir={base / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, root], check=True)
    nspawn = None
    try:
        _furnish(root)
        command = ["systemd-nspawn", "--boot", "--register=no", "--keep-unit", "--private-network"]
        nspawn = subprocess.Popen([*command, "-D", root, "--console=pipe"], stdout=subprocess.DEVNULL)
        yield Box(root, _leader(nspawn.pid))
    finally:
        if nspawn is not None:
            nspawn.terminate()
            nspawn.wait(timeout=60.0)
        subprocess.run(["umount", root], check=True)


def _furnish(root: Path) -> None:
    """Program, configuration and data; what a container cannot have is masked."""
    for unit in MASKED:
        (root / f"etc/systemd/system/{unit}.service").unlink(missing_ok=True)
        (root / f"etc/systemd/system/{unit}.service").symlink_to("/dev/null")
    for left in (root / "run").iterdir():
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    program = root / str(PROGRAM).lstrip("/")
    program.parent.mkdir(parents=True)
    libraries = str(Path(numpy.__file__).parents[1])
    paths = [str(ROOT / "tests/importroot"), str(ROOT / "tests/lib"), libraries]
    program.write_text(
        f"#!/usr/bin/python3.11\nimport os, sys\npaths = {paths!r}\n"
        "os.environ['PYTHONPATH'] = ':'.join(paths)\n"
        f"if sys.argv[1] == 'run':\n    fake = {paths[1]!r} + '/fake_service.py'\n"
        "    os.execv(sys.executable, [sys.executable, fake, sys.argv[3]])\n"
        "elif sys.argv[1] != 'warm':\n"
        "    os.execv(sys.executable, [sys.executable, '-m', 'calwebbd.daemon', *sys.argv[1:]])\n"
    )
    program.chmod(0o755)
    (root / "data/in").mkdir(parents=True)
    given = root / "data/calwebbd.toml"
    given.write_text(CONFIG)
    for file in install.plan(root, given, PROGRAM):
        file.write()


def _leader(nspawn: int) -> int:
    """The systemd in the container, once it answers."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        time.sleep(0.2)
        found = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
        if found:
            ask = ["nsenter", "-t", found[0], "-m", "-u", "-i", "-p", "-n", "systemctl", "is-system-running"]
            said = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
            if said in ("running", "degraded"):
                return int(found[0])
    pytest.skip("systemd does not boot in a container here")


@pytest.fixture
def service(box: Box) -> Iterator[Box]:
    box.run("systemd-sysusers")
    box.run("systemd-tmpfiles", "--create")
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "reset-failed")
    box.run("systemctl", "start", "calwebbd")
    yield box
    box.run("systemctl", "stop", "calwebbd")
    shutil.rmtree(box.root / "etc/systemd/system/calwebbd.service.d/90-test.conf", ignore_errors=True)


def put(box: Box, number: int, **header: object) -> Path:
    """An exposure for the service; returns where its product will be."""
    staged = fake.expose(box.root / "data", number, **header)
    box.run("mv", f"/data/{staged.name}", "/data/in/")
    return box.root / "data/out" / fake.name(number, suffix="cal")


def watched(box: Box) -> list[dict[str, object]]:
    told = box.run(str(PROGRAM), "status", "--json", "--config", "/etc/calwebbd/calwebbd.toml")
    roots: list[dict[str, object]] = json.loads(told)["watch"].get("roots", [])
    return roots


def test_it_starts_ready_and_calibrates_as_its_own_user(service: Box) -> None:
    assert service.property("ActiveState") == "active"
    assert service.property("SubState") == "running"
    product = put(service, 1)
    service.until(product.exists)
    assert service.run("stat", "-c", "%U", f"/data/out/{product.name}").strip() == "calwebbd"
    assert "/data/in" in service.property("RequiresMountsFor")
    assert not (service.root / "data/in/.calwebbd-canary").exists()
    service.until(lambda: [root["canary"] for root in watched(service)] == ["none (Read-only file system)"])


def test_a_reload_takes_safe_keys_over_and_refuses_others(service: Box) -> None:
    file = service.root / "etc/calwebbd/calwebbd.toml"
    file.write_text(CONFIG.replace("processes = 2", "processes = 3"))
    service.run("systemctl", "reload", "calwebbd")
    service.until(lambda: "keys=['workers.processes']" in service.journal())
    file.write_text(CONFIG.replace("/data/out", "/data/elsewhere"))
    with pytest.raises(subprocess.CalledProcessError):
        service.run("systemctl", "reload", "calwebbd")
    service.until(lambda: "folders.output cannot change while the service runs" in service.journal())
    assert service.property("ActiveState") == "active"
    file.write_text(CONFIG)


def test_stopping_lets_running_jobs_end(service: Box) -> None:
    product = put(service, 2, SECONDS=2.0)
    service.until(lambda: f"product={fake.name(2)[:-11]}" in service.journal())
    service.run("systemctl", "stop", "calwebbd")
    assert (product.parent / fake.name(2, suffix="rate")).exists()
    assert service.property("Result") == "success"


def test_it_is_started_again_when_it_is_killed(service: Box) -> None:
    before = int(service.property("NRestarts"))
    product = put(service, 3, SECONDS=1.0)
    service.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "calwebbd")
    service.until(lambda: int(service.property("NRestarts")) == before + 1)
    service.until(product.exists)


def test_it_is_started_again_when_its_loop_hangs(service: Box) -> None:
    drop_in = service.root / "etc/systemd/system/calwebbd.service.d/90-test.conf"
    drop_in.write_text("[Service]\nWatchdogSec=8\nTimeoutAbortSec=2\n")
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", "calwebbd")
    before = int(service.property("NRestarts"))
    service.run("kill", "-STOP", service.property("MainPID"))
    service.until(lambda: int(service.property("NRestarts")) == before + 1)
    service.until(put(service, 4).exists)
    drop_in.unlink()
