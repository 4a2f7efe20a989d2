"""Where lines of the log go, and with which names."""

import json
import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_calibration as fake
import pytest
import structlog

from calwebbd.daemon import journal, logs
from calwebbd.daemon.config import Config, Crds, Folders, Log, Watch, Workers
from calwebbd.daemon.service import Service


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.contextvars.clear_contextvars()
    logs.setup()


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A journal, and stderr connected with it."""
    monkeypatch.setattr(journal, "is_stderr", lambda: True)
    monkeypatch.setattr(journal, "SOCKET", str(tmp_path / "journal"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.settimeout(5.0)
        yield server
        logs.setup()  # while the journal still lives


def received(server: socket.socket) -> dict[str, str]:
    """The fields of a message, as the journal takes them apart."""
    content, descriptors, _, _ = socket.recv_fds(server, 1_000_000, 1)
    if descriptors:
        with os.fdopen(descriptors[0], "rb") as file:
            file.seek(0)
            content = file.read()
    found = {}
    while content:
        line, _, content = content.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", content[:8])
            value, content = content[8 : 8 + length], content[9 + length :]
        found[name.decode()] = value.decode()
    return found


def test_the_journal_gets_each_name_as_a_field(heard: socket.socket) -> None:
    logs.setup()
    structlog.contextvars.bind_contextvars(job=12, exposure="jw01234")
    structlog.get_logger("calwebbd").warning("failed", reason="two\nlines", files=["a", "b"])
    found = received(heard)
    assert found["MESSAGE"].startswith("failed ")
    assert (found["PRIORITY"], found["CALWEBBD_JOB"], found["CALWEBBD_EXPOSURE"]) == ("4", "12", "jw01234")
    assert (found["CALWEBBD_REASON"], found["CALWEBBD_FILES"]) == ("two\nlines", '["a", "b"]')


def test_a_line_too_long_for_a_message_arrives_as_a_file(heard: socket.socket) -> None:
    logs.setup()
    logging.getLogger("other").error("x" * 3_000_000)
    assert len(received(heard)["MESSAGE"]) == 3_000_000


def test_stderr_is_the_journal_only_if_systemd_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.fstat(2)
    with open(os.dup(2), "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert journal.is_stderr()
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        assert not journal.is_stderr()
        monkeypatch.undo()


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_what_a_worker_logs_has_the_ids_of_its_job(tmp_path: Path) -> None:
    folders = Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state")
    folders.watch[0].mkdir()
    config = Config(
        folders=folders,
        crds=Crds(context="jwst_0001.pmap"),
        watch=Watch(settle_seconds=0.1),
        workers=Workers(processes=1, memory_mb=4000),
        log=Log(file=tmp_path / "log"),
    )
    logs.setup("info", config.log.file)
    fake.expose(folders.watch[0], FILTER="F150W")
    here = "fake_calibration"
    Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify").run(once=True)
    first = next(line for line in lines(tmp_path / "log") if line["event"] == "copied")
    ids = {name: first[name] for name in ("job", "attempt", "stage", "exposure")}
    root = fake.name().removesuffix("_uncal.fits")
    assert ids == {"job": 1, "attempt": 1, "stage": "detector1", "exposure": root}


def test_a_file_that_is_moved_away_is_opened_anew(tmp_path: Path) -> None:
    logs.setup("info", tmp_path / "log")
    logging.getLogger("here").info("before")
    (tmp_path / "log").rename(tmp_path / "log.1")
    logging.getLogger("here").info("after")
    assert [line["event"] for line in lines(tmp_path / "log.1")] == ["before"]
    assert [line["event"] for line in lines(tmp_path / "log")] == ["after"]
