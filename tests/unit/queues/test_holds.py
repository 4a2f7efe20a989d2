"""Jobs that are held: in the queue, but not in line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from calwebbd.queues.job import Job, NewJob, State
from calwebbd.queues.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "queue.db")
    yield store
    store.close()


def put(store: Store, key: str, subject: str = "") -> Job:
    store.put(NewJob(key=key, stage="s", subject=subject or key, priority=1, mem_mb=1, payload="{}"), 0.0)
    found = store.by_key(key)
    assert found is not None
    return found


def claim(store: Store) -> Job | None:
    return store.claim("w", 10.0, lease_s=60.0, budget_mb=1000)


def test_a_job_that_is_held_is_claimed_by_nobody_whatever_the_time_until_it_is_let_go(store: Store) -> None:
    job = put(store, "a")
    assert store.hold(job.id, "waits", now=0.0)
    assert claim(store) is None
    assert store.next_due(10.0) is None
    assert (store.get(job.id).reason, store.backlog()) == ("waits", 0)
    assert store.let_go(job.id, now=10.0)
    taken = claim(store)
    assert taken is not None
    assert taken.id == job.id


def test_only_a_job_that_is_ready_can_be_held_and_only_one_that_is_held_let_go(store: Store) -> None:
    job = put(store, "a")
    assert not store.let_go(job.id, now=0.0)
    claim(store)
    assert not store.hold(job.id, "waits", now=0.0)


def test_what_a_job_takes_is_completed_before_it_begins(store: Store) -> None:
    job = put(store, "a")
    store.amend(job.id, NewJob(key="b", stage="s", subject="a", priority=1, mem_mb=1, payload='{"x":1}'))
    found = store.get(job.id)
    assert (found.key, found.payload) == ("b", '{"x":1}')
    assert store.by_key("a") is None


def test_a_job_that_is_held_feeds_its_group_and_is_superseded_like_any_other(store: Store) -> None:
    old = put(store, "a", "subject")
    store.hold(old.id, "waits", now=0.0)
    new = put(store, "b", "subject")
    assert store.get(old.id).state is State.SUPERSEDED
    newest = store.newest("subject")
    assert newest is not None
    assert newest.id == new.id
    assert store.newest("other") is None


def test_an_operator_hastens_a_job_that_is_held(store: Store) -> None:
    job = put(store, "a")
    store.hold(job.id, "waits", now=0.0)
    assert store.hasten(job.id, now=5.0)
    assert claim(store) is not None


def test_a_clock_that_is_set_does_not_move_what_is_held(store: Store) -> None:
    job = put(store, "a")
    store.hold(job.id, "waits", now=0.0)
    store.shift("w", 1000.0, 1000.0)
    assert store.get(job.id).not_before == 0.0
