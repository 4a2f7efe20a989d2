"""When no file is taken in, and clocks that stand still."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calwebbd.daemon import pressure
from calwebbd.daemon.config import Config, Crds, Folders
from calwebbd.daemon.database import open_store
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.pressure import Pressure
from calwebbd.daemon.records import Records
from calwebbd.daemon.terms import terms
from calwebbd.queues.job import NewJob


class Shop:
    room_mb = 100


@pytest.fixture
def dispatch(tmp_path: Path) -> Iterator[Dispatch]:
    folders = Folders(watch=(tmp_path,), output=tmp_path / "out", state=tmp_path)
    store = open_store(folders.database)
    config = Config(folders=folders, crds=Crds(context="c.pmap"))
    yield Dispatch(store, Records(store.connection), terms(config, "c.pmap"))
    store.close()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def meter(dispatch: Dispatch, told: list[str], monkeypatch: pytest.MonkeyPatch) -> Pressure:
    monkeypatch.setattr(pressure, "LOOK_S", 0.0)

    def tell(event: str, **facts: Any) -> None:
        told.append(event)

    meter = Pressure(dispatch, Shop(), 2, tell)  # type: ignore[arg-type]
    meter.begin(time.time())
    return meter


def put(dispatch: Dispatch, key: str) -> None:
    job = NewJob(key=key, stage="s", subject=key, priority=1, mem_mb=1, payload="{}")
    dispatch.store.put(job, 0.0)


def test_with_too_many_jobs_waiting_no_file_is_taken_in(
    meter: Pressure, dispatch: Dispatch, told: list[str]
) -> None:
    put(dispatch, "a")
    assert meter.look() == ""
    put(dispatch, "b")
    assert meter.look() == "2 jobs wait in the queue"
    assert dispatch.records.setting("intake") == "2 jobs wait in the queue"
    dispatch.store.claim("w", 0.0, lease_s=1.0, budget_mb=10)
    assert meter.look() == ""
    assert told == ["intake waits", "intake goes on"]


def test_without_room_for_products_no_file_is_taken_in(
    meter: Pressure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shop, "room_mb", 0)
    assert meter.look() == "there is no room for products on their disk"
    assert not meter.clocks_go(True, True)


def test_clocks_stand_still_while_no_service_runs(dispatch: Dispatch, meter: Pressure) -> None:
    dispatch.store.open_group("g", "", now=100.0)
    meter.note(1000.0)
    meter.begin(5000.0)
    group = dispatch.store.group("g")
    assert (group.opened_at, group.changed_at) == (4100.0, 4100.0)
    meter.begin(4000.0)  # the machine's clock was put back
    assert dispatch.store.group("g").opened_at == 3100.0


def test_a_clock_that_began_while_they_stood_begins_now(dispatch: Dispatch, meter: Pressure) -> None:
    meter.note(1000.0)
    dispatch.store.open_group("g", "", now=1004.0)  # the service lived on for a moment
    meter.begin(5000.0)
    group = dispatch.store.group("g")
    assert (group.opened_at, group.changed_at) == (5000.0, 5000.0)


@pytest.mark.parametrize("seconds", [-86400.0, 0.0, 86400.0])
def test_no_clock_begins_in_the_future(dispatch: Dispatch, seconds: float) -> None:
    now = 1e6
    for name, since in (("old", now - 2 * 86400.0), ("new", now - 1.0), ("wrong", now + 3600.0)):
        dispatch.store.open_group(name, "", now=since)
    dispatch.shift("", seconds, now)
    groups = [dispatch.store.group(name) for name in ("old", "new", "wrong")]
    assert all(group.opened_at <= now and group.changed_at <= now for group in groups)
    assert groups[0].changed_at == now - 2 * 86400.0 + seconds


def test_clocks_go_when_the_folders_were_looked_through(
    meter: Pressure, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not meter.clocks_go(scanned=False, settled=True)
    assert not meter.clocks_go(scanned=True, settled=False)
    assert meter.clocks_go(scanned=True, settled=True)
    monkeypatch.setattr(pressure, "FIRST_S", -1.0)
    assert meter.clocks_go(scanned=True, settled=False)
