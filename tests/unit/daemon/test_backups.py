"""Copies of the database by the clock."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import pytest

from calwebbd.daemon.alerts import Alerts
from calwebbd.daemon.backups import LAST, BackedUp, Backups
from calwebbd.daemon.config import Backup, Config, Crds, Folders, Watch, Workers
from calwebbd.daemon.database import open_store
from calwebbd.daemon.records import Records
from calwebbd.daemon.service import Service
from calwebbd.queues.store import Store, connect

DAY = 86400.0
START = 1.8e9


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folders = Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state")
    for folder in (folders.watch[0], folders.state):
        folder.mkdir()
    return Config(
        folders=folders,
        crds=Crds(context="jwst_0001.pmap"),
        backup=Backup(folder=tmp_path / "copies", keep=2),
        watch=Watch(settle_seconds=0.01),
        workers=Workers(processes=1, memory_mb=4000),
    )


class Clockwork:
    """Backups whose copies are waited for."""

    def __init__(self, config: Config, store: Store) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.posted: list[BackedUp] = []
        self.alerts = Alerts(store.connection, [])
        self.records = Records(store.connection)
        self.backups = Backups(config, self.records, self.alerts, self.posted.append, self._tell)

    def _tell(self, event: str, **facts: Any) -> None:
        self.told.append((event, facts))

    def tick(self, now: float) -> list[str]:
        """What it told of."""
        self.told.clear()
        self.backups.tick(now)
        if self.backups.busy:
            self.backups.close()
            self.backups.returned(self.posted.pop(), now)
        return [event for event, _ in self.told]


@pytest.fixture
def clockwork(config: Config) -> Iterator[Clockwork]:
    store = open_store(config.folders.database)
    found = Clockwork(config, store)
    yield found
    found.alerts.close()
    store.close()


def copies(config: Config) -> list[str]:
    assert config.backup.folder is not None
    return sorted(path.name for path in config.backup.folder.iterdir())


def test_a_copy_is_made_when_it_is_due_and_the_newest_are_kept(config: Config, clockwork: Clockwork) -> None:
    assert clockwork.tick(START) == ["backed up"]
    assert clockwork.tick(START + DAY / 2) == []
    (config.backup.folder or Path()).joinpath("my own.db").touch()
    for days in (1, 2, 3):
        assert clockwork.tick(START + days * DAY) == ["backed up"]
    assert copies(config) == ["calwebbd-20270117T080000Z.db", "calwebbd-20270118T080000Z.db", "my own.db"]
    assert clockwork.told[0][1]["removed"] == 1


def test_a_copy_that_fails_is_one_alert_and_tried_again_later(config: Config, clockwork: Clockwork) -> None:
    folder = config.backup.folder
    assert folder is not None
    folder.touch()  # no folder can be made there
    assert clockwork.tick(START) == ["not backed up"]
    assert clockwork.tick(START + 60.0) == []
    connection = clockwork.alerts._connection
    assert [row["gone"] for row in connection.execute("SELECT gone FROM alert")] == [None]
    folder.unlink()
    assert clockwork.tick(START + 3601.0) == ["backed up"]
    assert [row["gone"] is None for row in connection.execute("SELECT gone FROM alert")] == [False]


def test_without_a_folder_nothing_is_copied(config: Config, clockwork: Clockwork) -> None:
    clockwork.backups.reconfigure(msgspec.structs.replace(config, backup=Backup()))
    assert clockwork.tick(START) == []


def test_a_service_makes_a_sound_copy_while_it_works(config: Config) -> None:
    fake.expose(config.folders.watch[0])
    here = "fake_calibration"
    Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify").run(once=True)
    (name,) = copies(config)
    assert config.backup.folder is not None
    for database in (config.backup.folder / name, config.folders.database):
        connection = connect(database, readonly=True)
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        known = connection.execute("SELECT 1 FROM setting WHERE name = ?", (LAST,)).fetchone()
        connection.close()
        assert bool(known) is (database == config.folders.database)
