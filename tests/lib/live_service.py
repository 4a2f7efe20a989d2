"""A service with fake calibration that runs in a thread of the test, and what it tells."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from calwebbd.daemon.ask import Unknown, asking
from calwebbd.daemon.config import Config, Crds, Folders, Watch, Workers
from calwebbd.daemon.service import Service
from calwebbd.daemon.sightings import Doubt


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """One watched folder; nothing takes long."""
    (tmp_path / "in").mkdir()
    return Config(
        folders=Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state"),
        crds=Crds(context="jwst_0001.pmap"),
        watch=Watch(settle_seconds=0.1, patience_seconds=60.0, rescan_seconds=600.0, poll_seconds=0.2),
        workers=Workers(processes=1, memory_mb=4000, timeout_seconds=20.0),
    )


class Live:
    """A service that runs in a thread, and what it tells."""

    def __init__(self, config: Config, source: Path | None = None) -> None:
        self.config = config
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        here = "fake_calibration"
        work = {"calibrate": f"{here}:calibrate", "verify": f"{here}:verify"}
        self.service = Service(config, source=source, on_event=self._note, **work)
        self.thread = threading.Thread(target=self.service.run)

    def _note(self, event: str, facts: dict[str, Any]) -> None:
        with self._changed:
            self.events.append((event, facts))
            self._changed.notify_all()

    def hears(self, event: str, count: int = 1, **facts: Any) -> dict[str, Any]:
        """Wait for an event with these facts, and return all of them."""

        def found() -> list[dict[str, Any]]:
            return [f for e, f in self.events if e == event and facts.items() <= f.items()]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, timeout=30.0), self.events[-20:]
            return found()[-1]

    def scan(self) -> None:
        self.service._inbox.post(Doubt("a test wants it"))

    def status(self) -> dict[str, Any]:
        with asking(self.config.folders.database) as ask:
            return ask.status()

    def root(self, number: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.status()["watch"]["roots"][number]
        return found

    def until(self, condition: Callable[[], object], patience_s: float = 30.0) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline, self.events[-20:]
            time.sleep(0.02)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Live]]:
    """Start services whose clocks go fast, and stop them."""
    monkeypatch.setattr("calwebbd.daemon.service.LONGEST_WAIT_S", 0.05)
    monkeypatch.setattr("calwebbd.daemon.schedule.ROOTS_S", 0.2)
    running: list[Live] = []

    def start(config: Config, source: Path | None = None) -> Live:
        live = Live(config, source)
        running.append(live)
        live.thread.start()
        live.until(lambda: config.folders.database.exists() and len(_roots(live)) == len(config.watched))
        return live

    yield start
    for live in running:
        live.service.stop()
    for live in running:
        live.thread.join(timeout=30.0)
        assert not live.thread.is_alive()


def _roots(live: Live) -> list[Any]:
    try:
        roots: list[Any] = live.status()["watch"].get("roots", [])
    except Unknown:  # just being set up
        return []
    return roots
