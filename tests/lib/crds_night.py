"""A service with fake calibration whose reference rules come from a CRDS server, a double."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crds_server import CrdsServer, serve, small_cache

from calwebbd.daemon.config import Config, Crds, Folders, Watch, Workers
from calwebbd.daemon.contexts import errands, keeper
from calwebbd.daemon.service import Service
from calwebbd.queues.store import connect
from calwebbd.stages.crds import rules

OLD, NEW = "jwst_0001.pmap", "jwst_0002.pmap"
GAIN = "jwst_nircam_gain_0001.fits"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cache(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def double(origin: Path) -> Iterator[CrdsServer]:
    with serve(origin, latest=OLD) as server:
        yield server


@pytest.fixture
def config(tmp_path: Path, double: CrdsServer, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Of a service whose cache is empty and whose server says that OLD is the latest context."""
    for name in [name for name in os.environ if name.startswith("CRDS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CALWEBBD_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "crds"))
    monkeypatch.setenv("CRDS_SERVER_URL", double.url)
    rules.forget()
    (tmp_path / "in").mkdir()
    return Config(
        folders=Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state"),
        crds=Crds(path=tmp_path / "crds", server=double.url),
        workers=Workers(processes=2),
        watch=Watch(settle_seconds=0.01, patience_seconds=0.1),
    )


def run_once(config: Config) -> list[tuple[str, dict[str, Any]]]:
    events: list[tuple[str, dict[str, Any]]] = []
    calibrate, verify = "fake_calibration:calibrate", "fake_calibration:verify"
    service = Service(config, calibrate=calibrate, verify=verify, on_event=lambda *e: events.append(e))
    service.run(once=True)
    return events


def forget_refresh(config: Config) -> None:
    """As if it were a day later."""
    connection = connect(config.folders.database)
    connection.execute("UPDATE setting SET value = '0' WHERE name = 'crds refreshed'")
    connection.close()


def rows(config: Config, sql: str) -> list[tuple[Any, ...]]:
    connection = connect(config.folders.database, readonly=True)
    try:
        return [tuple(row) for row in connection.execute(sql)]
    finally:
        connection.close()


class Here:
    """An errand that is run by whoever sends it: imports are what takes long in a process of its own."""

    def __init__(self, command: list[str], **_: Any) -> None:
        self._name = command[-1]

    def communicate(self, question: bytes, timeout: float) -> tuple[bytes, bytes]:
        return errands.main(self._name, question), b""

    def kill(self) -> None:
        """It cannot be ended."""


def run_here(command: list[str], *, input: bytes, **_: Any) -> SimpleNamespace:
    return SimpleNamespace(stdout=errands.main(command[-1], input), stderr=b"")


@pytest.fixture
def quick_errands(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"PIPE": -1, "DEVNULL": -3, "TimeoutExpired": TimeoutError}
    monkeypatch.setattr(keeper, "subprocess", SimpleNamespace(Popen=Here, run=run_here, **facts))
