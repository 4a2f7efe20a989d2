"""Parts that no longer get on, and a supervisor that does not."""

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from calwebbd.daemon import notify
from calwebbd.daemon.pulse import Pulse


def test_a_part_that_does_not_beat_in_time_is_stalled_until_it_does() -> None:
    now = 0.0
    pulse = Pulse(lambda: now)
    pulse.expect("scheduler", 60.0)
    pulse.expect("watcher", 10.0)
    now = 30.0
    assert pulse.stalled() == ["watcher"]
    pulse.beat("watcher")
    assert pulse.stalled() == []
    now = 61.0
    assert pulse.stalled() == ["scheduler", "watcher"]


def test_nobody_waits_for_a_supervisor_that_hears_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []

    class Channel(socket.socket):
        def settimeout(self, value: float | None) -> None:
            waits.append(value)
            super().settimeout(value)

    monkeypatch.setattr(notify.socket, "socket", Channel)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    now = 0.0
    pulse = Pulse(lambda: now)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor, suppress(BlockingIOError):
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(0)
        for _ in range(2000):  # more than any queue holds
            now += 10.0
            pulse.feed("busy")
        while told := supervisor.recv(100):
            assert told == b"WATCHDOG=1\nSTATUS=busy"
    assert set(waits) == {0}
