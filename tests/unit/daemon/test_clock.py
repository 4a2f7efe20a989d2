"""The wall clock is set: nothing is due sooner or later for it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import fake_calibration as fake
import pytest
from live_service import Live, config, started

from calwebbd.daemon import schedule
from calwebbd.daemon.clock import WallClock
from calwebbd.daemon.config import Config
from calwebbd.daemon.database import open_store
from calwebbd.queues.job import NewJob
from calwebbd.queues.retry import LONGEST_S, Failure
from calwebbd.queues.stages import Breaker
from calwebbd.queues.store import Store

__all__ = ["config", "started"]

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(tmp_path / "q.db")
    yield found
    found.close()


def test_a_clock_that_is_set_is_noticed_once_and_one_that_drifts_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall, steady = [1000.0], [0.0]
    monkeypatch.setattr(time, "time", lambda: wall[0])
    monkeypatch.setattr(time, "monotonic", lambda: steady[0])
    clock = WallClock()
    wall[0], steady[0] = 1011.0, 10.0
    assert clock.jumped() == 0.0
    wall[0] += DAY
    assert clock.jumped() == pytest.approx(DAY + 1.0)
    assert clock.jumped() == 0.0
    wall[0] -= 2 * DAY
    assert clock.jumped() == pytest.approx(-2 * DAY)


@pytest.mark.parametrize("seconds", [DAY, -DAY])
def test_what_waits_waits_as_long_as_it_would_have(store: Store, seconds: float) -> None:
    job = NewJob(key="k", stage="s", subject="x", priority=1, mem_mb=1, payload="{}")
    store.put(job, 0.0)
    claimed = store.claim("me", 0.0, lease_s=60.0, budget_mb=9)
    assert claimed is not None
    store.fail(claimed, Failure.KILLED, "", 0.0, jitter=0.0, budget_mb=9)
    due = store.next_due(0.0)
    assert due is not None
    store.open_group("g", "", 100.0)
    store.shift("me", seconds, 100.0 + seconds)
    assert store.next_due(0.0) == pytest.approx(due + seconds)
    assert store.group("g").changed_at == pytest.approx(100.0 + seconds)


def test_what_fails_after_the_clock_was_set_and_before_that_is_noticed_does_not_wait_for_years(
    store: Store,
) -> None:
    years = 56 * 365 * DAY
    store.put(NewJob(key="k", stage="s", subject="x", priority=1, mem_mb=1, payload="{}"), 0.0)
    claimed = store.claim("me", 0.0, lease_s=60.0, budget_mb=9)
    assert claimed is not None
    breaker = Breaker(failures=1, probe_s=300.0)
    store.fail(claimed, Failure.MISSING, "", years, jitter=0.0, budget_mb=9)
    store.strain("s", "x", Failure.MISSING, "", years, breaker)
    store.shift("me", years, years + 1.0)
    due = store.next_due(0.0)
    assert due is not None
    assert due <= years + 1.0 + LONGEST_S
    assert store.paused()[0]["probe_at"] <= years + 1.0 + 300.0


def test_leases_are_as_long_as_before(store: Store) -> None:
    store.put(NewJob(key="k", stage="s", subject="x", priority=1, mem_mb=1, payload="{}"), 0.0)
    store.claim("me", 0.0, lease_s=60.0, budget_mb=9)
    store.shift("me", DAY, DAY)
    assert store.lost(DAY + 59.0, lambda worker: True) == []
    assert store.lost(DAY + 61.0, lambda worker: True) != []


def test_ticks_go_on_when_the_clock_was_set_back() -> None:
    ticks: SimpleQueue[schedule.Tick] = SimpleQueue()
    waits = SimpleNamespace(hold_seconds=600.0)
    watching = SimpleNamespace(rescan_seconds=600.0, poll_seconds=600.0)
    running = schedule.scheduler(SimpleNamespace(watch=watching, associations=waits), ticks.put)  # type: ignore[arg-type]
    running.start()
    try:
        for job in running.get_jobs():
            job.modify(next_run_time=datetime.now(UTC) + timedelta(days=1))
        schedule.tick_now(running)
        assert {ticks.get(timeout=10.0) for _ in schedule.Tick} == set(schedule.Tick)
    finally:
        running.shutdown()


def test_a_service_goes_on_whatever_the_clock_says(
    config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = started(config)
    true = time.time
    for shift in (DAY, -2 * DAY):
        monkeypatch.setattr(time, "time", lambda shift=shift: true() + shift)
        live.hears("clock was set")
        fake.expose(config.folders.watch[0], 1 if shift > 0 else 2, text=f"light{shift}")
        live.hears("finished", pipeline="image2", count=1 if shift > 0 else 2)
