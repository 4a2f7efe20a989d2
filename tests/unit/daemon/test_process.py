"""The service as a process: its identity, its supervisor, its log, what it imports."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from calwebbd.daemon import instance, notify


def test_a_process_is_known_to_live_and_to_have_died() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        worker = instance.identity(other.pid)
        assert instance.alive(worker)
        other.kill()
    assert not instance.alive(worker)
    assert instance.alive(instance.identity())


def test_another_process_of_the_same_number_is_another() -> None:
    host, boot, pid, start = instance.identity().rsplit(":", 3)
    assert not instance.alive(f"{host}:{boot}:{pid}:{int(start) - 1}")
    assert not instance.alive(f"{host}:0-another-boot:{pid}:{start}")


def test_of_another_machine_nobody_can_tell() -> None:
    assert instance.alive("elsewhere:boot:1:1")


def test_a_state_folder_is_free_again_after_its_service(tmp_path: Path) -> None:
    with instance.alone(tmp_path):
        pass
    with instance.alone(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_the_supervisor_hears_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify.notify("READY=1", "STATUS=well")
        assert supervisor.recv(100) == b"READY=1\nSTATUS=well"


def test_without_a_supervisor_nobody_need_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.notify("READY=1")


LOGGING = """
import logging, sys, warnings, structlog
from pathlib import Path
from calwebbd.daemon import logs
logs.setup("info", Path(sys.argv[1]))
structlog.contextvars.bind_contextvars(job=7)
structlog.get_logger("ours").info("started", stage=1)
logging.getLogger("theirs").warning("look at %s", "this")
warnings.warn("careful")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("ours").exception("failed")
structlog.get_logger("ours").debug("not told")
"""


def test_all_logs_are_json_lines_with_the_job_on_them(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "log.jsonl"
    answer = subprocess.run(
        [sys.executable, "-c", LOGGING, str(file)], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in answer.stderr.splitlines()]
    filed = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["event"] for line in filed] == [line["event"] for line in lines]
    assert [line["event"] for line in lines[:2]] == ["started", "look at this"]
    assert "careful" in lines[2]["event"]
    assert {line["job"] for line in lines} == {7}
    assert lines[3]["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert len(lines) == 4


def test_the_service_imports_none_of_the_numerics() -> None:
    heavy = ("numba", "gwcs", "stdatamodels", "crds", "scipy", "matplotlib", "asdf", "astropy")
    code = f"import sys, calwebbd.daemon.service; print([m for m in {heavy!r} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
