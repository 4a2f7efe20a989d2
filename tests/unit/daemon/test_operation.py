"""A service that is reloaded, cannot write, loses its fork server, or no longer gets on."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import pytest
from live_service import Live, config, started

from calwebbd.daemon import channel, service
from calwebbd.daemon.config import Config
from calwebbd.daemon.configfile import load
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.operators import Reload
from calwebbd.daemon.service import Service
from calwebbd.daemon.signals import Hangup

__all__ = ["config", "started"]
TEXT = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
context = "jwst_0001.pmap"
[workers]
processes = 1
memory_mb = 4000
[watch]
settle_seconds = 0.1
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "calwebbd.toml").write_text(TEXT)
    return tmp_path / "calwebbd.toml"


@pytest.fixture(autouse=True)
def _logs_are_those_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calwebbd.daemon.logs.setup", lambda *_: None)


@pytest.mark.usefixtures("config")
def test_a_reload_changes_folders_and_parameters_from_then_on(
    source: Path, tmp_path: Path, started: Callable[..., Live]
) -> None:
    live = started(load(source), source)
    fake.expose(tmp_path / "in", 1)
    live.hears("finished", pipeline="image2")
    (tmp_path / "more").mkdir()
    fake.expose(tmp_path / "more", 2)
    source.write_text(TEXT.replace('["in"]', '["more"]') + "[steps.copy]\nfactor = 5\n")
    live.service._inbox.post(Hangup())
    assert set(live.hears("reloaded")["keys"]) == {"folders.watch", "steps"}
    live.hears("finished", pipeline="image2", count=2)
    from calwebbd.daemon.ask import asking

    with asking(live.config.folders.database) as ask:
        made = [ask.lineage(fake.name(n, suffix="rate"))["made_by"]["parameters"] for n in (1, 2)]
    assert [m["copy"]["factor"][0] for m in made] == [1, 5]
    assert [root["folder"] for root in live.status()["watch"]["roots"]] == [str(tmp_path / "more")]


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('"out"', '"elsewhere"'), "folders.output cannot change while the service runs"),
        (("processes = 1", "processes = 0"), "workers.processes = 0: expected"),
        (("processes = 1", "proceses = 1"), "unknown field `proceses`"),
    ],
)
def test_a_reload_that_cannot_be_is_refused_whole_with_a_sentence(
    change: tuple[str, str], reason: str, source: Path, started: Callable[..., Live]
) -> None:
    live = started(load(source), source)
    source.write_text(TEXT.replace(*change) + "[steps.copy]\nfactor = 5\n")
    with pytest.raises(CommandError, match=r"folders|workers"):
        channel.ask(live.config, Reload())
    assert reason in live.hears("reload refused")["reason"]
    assert live.service.config.steps == {}


def test_where_no_service_runs_there_is_nothing_to_reload(config: Config) -> None:
    Service(config, calibrate="fake_calibration:calibrate", verify="fake_calibration:verify").run(once=True)
    with pytest.raises(CommandError, match="no service runs"):
        channel.ask(config, Reload())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_jobs_wait_while_products_cannot_be_written(config: Config, started: Callable[..., Live]) -> None:
    live = started(config)
    mount("-t", "tmpfs", "-o", "ro", "none", config.folders.output)
    try:
        live.hears("cannot write")
        fake.expose(config.folders.watch[0])
        live.hears("arrived")
        assert f"cannot write to {config.folders.output}" in live.hears("cannot write")["reason"]
        assert not [event for event, _ in live.events if event == "started"]
    finally:
        subprocess.run(["umount", "-l", config.folders.output], check=True)
    live.hears("can write again")
    live.hears("finished", pipeline="image2")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_full_disk_holds_jobs_up_and_kills_none(config: Config, started: Callable[..., Live]) -> None:
    config.folders.output.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "none", config.folders.output)
    try:
        roomy = msgspec.structs.replace(config, queue=msgspec.structs.replace(config.queue, reserve_mb=0))
        live = started(roomy)
        hog = config.folders.output / "hog"
        subprocess.run(["dd", "if=/dev/zero", f"of={hog}", "bs=64k"], capture_output=True, check=False)
        live.hears("cannot write")
        fake.expose(config.folders.watch[0])
        live.hears("arrived")
        assert live.status()["dead"] == []
        hog.unlink()
        live.hears("can write again")
        assert live.status()["dead"] == []
    finally:
        subprocess.run(["umount", "-l", config.folders.output], check=True)


def test_a_service_that_cannot_write_at_its_start_waits_until_it_can(
    config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LONGEST_WAIT_S", 0.05)
    config.folders.output.write_text("in the way")
    live = Live(config)
    live.thread.start()
    assert f"cannot write to {config.folders.output}" in live.hears("cannot write")["reason"]
    config.folders.output.unlink()
    fake.expose(config.folders.watch[0])
    live.hears("finished", pipeline="image2")
    live.service.stop()
    live.thread.join(timeout=30.0)
    assert not live.thread.is_alive()


def test_once_a_service_that_cannot_write_says_so_and_ends(config: Config) -> None:
    config.folders.output.write_text("in the way")
    with pytest.raises(CommandError, match="cannot write to"):
        Service(config).run(once=True)


def mount(*arguments: object) -> None:
    if subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode:
        pytest.skip("may not mount here")


def test_the_loop_does_not_wait_for_a_worker_to_be_born(
    config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork server takes its time; files are heard of meanwhile."""
    gate = threading.Event()
    monkeypatch.setattr("calwebbd.daemon.runner._start", _held_by(gate))
    live = started(config)
    fake.expose(config.folders.watch[0], 1)
    live.hears("started")
    fake.expose(config.folders.watch[0], 2)
    live.hears("arrived", count=2)
    assert not [event for event, _ in live.events if event == "finished"]
    gate.set()
    live.hears("finished", pipeline="image2", count=2)


def _held_by(gate: threading.Event) -> Callable[..., None]:
    from calwebbd.daemon import runner

    real = runner._start

    def start(*arguments: Any) -> None:
        assert gate.wait(timeout=30.0)
        real(*arguments)

    return start


def test_a_worker_that_cannot_be_started_is_tried_again(
    config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    from calwebbd.daemon import runner

    real, tries = runner._start, []

    def start(process: Any, channel: Any) -> None:
        tries.append(process)
        if len(tries) == 1:
            channel.close()
            raise ConnectionResetError("the fork server has died")
        real(process, channel)

    monkeypatch.setattr(runner, "_start", start)
    live = started(config)
    fake.expose(config.folders.watch[0])
    assert "cannot be started" in live.hears("failed", failure="lost")["reason"]
    live.hears("finished", pipeline="image2")


# The watchdog


class Supervisor:
    """What systemd would hear."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.address = f"calwebbd-test-{os.getpid()}-{time.monotonic_ns()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.address)
        self.socket.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + self.address)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def until(self, word: str) -> str:
        deadline = time.monotonic() + 30.0
        while time.monotonic() < deadline:
            for line in self.heard():
                if word in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(word)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = Supervisor(monkeypatch)
    yield found
    found.socket.close()


def test_the_watchdog_is_fed_while_all_get_on(
    config: Config, started: Callable[..., Live], supervisor: Supervisor
) -> None:
    started(config)
    supervisor.until("READY=1")
    supervisor.until("WATCHDOG=1")
    supervisor.until("WATCHDOG=1")


@pytest.mark.parametrize("part", ["scheduler", "watcher"])
def test_the_watchdog_is_not_fed_when_a_part_stalls(
    part: str,
    config: Config,
    started: Callable[..., Live],
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = started(config)
    supervisor.until("WATCHDOG=1")
    if part == "scheduler":
        live.service._scheduler.pause()
    else:
        monkeypatch.setattr("calwebbd.daemon.watch.Watcher.alive", lambda self: False)
    live.service._pulse.expect(part, 0.5)
    assert supervisor.until("STATUS=stalled").split("\n") == [f"STATUS=stalled: {part}"]
    supervisor.heard()
    time.sleep(1.5)
    assert not [line for line in supervisor.heard() if "WATCHDOG" in line]


def test_a_loop_that_hangs_feeds_nobody(
    config: Config, started: Callable[..., Live], supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = started(config)
    supervisor.until("WATCHDOG=1")
    gate = threading.Event()
    monkeypatch.setattr(live.service._reception, "look", lambda: gate.wait(timeout=20.0))
    live.scan()
    time.sleep(0.5)
    supervisor.heard()
    time.sleep(1.5)
    assert supervisor.heard() == []
    gate.set()


def test_a_reload_is_told_to_the_supervisor(
    config: Config, started: Callable[..., Live], supervisor: Supervisor
) -> None:
    live = started(config)
    live.service._inbox.post(Hangup())
    live.hears("reloaded")
    time.sleep(0.2)
    heard = "\n".join(supervisor.heard())
    assert heard.index("RELOADING=1\nMONOTONIC_USEC=") < heard.rindex("READY=1")
