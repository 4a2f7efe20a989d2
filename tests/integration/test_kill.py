"""kill -9 at any moment: a restart finishes the night, with every product once."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fake_calibration as fake
import pytest
from finished_night import check_every_product_is_there_once
from in_memory import tmp_path

__all__ = ["tmp_path"]

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "tests" / "lib"
EXPOSURES = 6

CONFIG = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
context = "jwst_0001.pmap"
[workers]
processes = 2
memory_mb = 4000
[watch]
settle_seconds = 0.05
"""


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A configuration and six raw exposures, some of them slow."""
    (tmp_path / "in").mkdir()
    (tmp_path / "calwebbd.toml").write_text(CONFIG)
    for exposure in range(1, EXPOSURES + 1):
        seconds = 0.05 * (exposure % 3)
        fake.expose(tmp_path / "in", exposure, of=EXPOSURES, text=f"light{exposure}", SECONDS=seconds)
    return tmp_path


def start(night: Path, *options: str) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join([str(ROOT / "tests" / "importroot"), str(LIB)])
    with (night / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(LIB / "fake_service.py"), str(night / "calwebbd.toml"), *options],
            env=os.environ | {"PYTHONPATH": path},
            stderr=log,
        )


def finish(night: Path) -> None:
    with start(night, "--once") as service:
        assert service.wait(timeout=60.0) == 0, (night / "log").read_text()


@pytest.mark.parametrize("seed", range(2))
def test_a_service_killed_again_and_again_finishes_the_night(night: Path, seed: int) -> None:
    moments = random.Random(seed)
    for _ in range(3):
        with start(night) as service:
            time.sleep(moments.uniform(0.3, 1.3))
            service.send_signal(signal.SIGKILL)
    finish(night)
    check_every_product_is_there_once(night, EXPOSURES)


def test_workers_die_with_a_service_that_is_killed(night: Path) -> None:
    for path in (night / "in").iterdir():  # they end by themselves
        path.unlink()
    fake.expose(night / "in", 9, text="long", FILTER="F150W", SECONDS=60)
    with start(night) as service:
        assert _await(lambda: _children_of_forkserver(service.pid))
        orphans = _children_of_forkserver(service.pid)
        service.send_signal(signal.SIGKILL)
        service.wait()
    assert _await(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and _is_live(pid) for pid in orphans))


def test_a_service_that_is_asked_to_stop_drains(night: Path) -> None:
    with start(night) as service:
        assert _await(lambda: (night / "out" / fake.name(1, suffix="rate")).exists())
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20.0) == 0
    database = sqlite3.connect(night / "state" / "calwebbd.db")
    states = {row[0] for row in database.execute("SELECT DISTINCT state FROM job")}
    database.close()
    assert "running" not in states
    finish(night)
    check_every_product_is_there_once(night, EXPOSURES)


def test_the_service_stays_small(night: Path) -> None:
    """Resident memory after a night, with neither numba nor the data models imported."""
    with start(night) as service:
        assert _await(lambda: (night / "out" / fake.name(1, suffix="cal")).exists())
        status = Path(f"/proc/{service.pid}/status").read_text()
        maps = Path(f"/proc/{service.pid}/maps").read_text()
        service.send_signal(signal.SIGTERM)
        service.wait(timeout=20.0)
    resident_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert resident_kb < 120 * 1024
    assert not [name for name in ("llvmlite", "scipy", "matplotlib") if f"/{name}/" in maps]


def _await(condition: Callable[[], object], timeout: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _children_of_forkserver(pid: int) -> list[int]:
    return [grandchild for child in _children(pid) for grandchild in _children(child)]


def _is_live(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
