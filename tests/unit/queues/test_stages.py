"""Stages that are paused, by an operator or by their failures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from calwebbd.queues.job import Job, NewJob
from calwebbd.queues.retry import Failure
from calwebbd.queues.stages import ALL, Breaker
from calwebbd.queues.store import Store

BREAKER = Breaker(failures=3, probe_s=10.0, longest_s=15.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "queue.db")
    for stage in ("image2", "image3"):
        for n in range(6):
            store.put(job(f"{stage}-{n}", stage), now=0.0)
    yield store
    store.close()


def job(key: str, stage: str = "image2") -> NewJob:
    return NewJob(key=key, stage=stage, subject=key, priority=1, mem_mb=1, payload="{}")


def claim(store: Store, now: float = 0.0) -> Job | None:
    return store.claim("w", now, lease_s=60.0, budget_mb=1000)


def fail(store: Store, subject: str, failure: Failure = Failure.MISSING, now: float = 0.0) -> str:
    return store.strain("image2", subject, failure, "there is no paper", now, BREAKER)


def test_a_paused_stage_begins_no_job(store: Store) -> None:
    store.pause("image2", "the flat is wrong", now=1.0)
    assert {claim(store).stage for _ in range(6)} == {"image3"}
    assert claim(store) is None
    (row,) = store.paused()
    assert (row["name"], row["paused"], row["reason"]) == ("image2", "operator", "the flat is wrong")
    assert store.resume("image2", now=2.0) == ["image2"]
    assert claim(store).stage == "image2"


def test_all_stages_are_paused_those_too_that_are_yet_to_come(store: Store) -> None:
    store.pause(ALL, "maintenance", now=1.0)
    store.put(job("new", "new stage"), now=1.0)
    assert claim(store) is None
    store.pause("image2", "besides", now=1.0)
    assert sorted(store.resume(ALL, now=2.0)) == [ALL, "image2"]
    assert claim(store) is not None


def test_failures_alike_of_different_inputs_pause_their_stage(store: Store) -> None:
    assert [fail(store, name) for name in "aab"] == ["", "", ""]
    assert fail(store, "c") == "3 in a row have failed alike: there is no paper"
    assert store.paused()[0]["paused"] == "breaker"
    assert {claim(store).stage for _ in range(6)} == {"image3"}
    assert claim(store) is None


def test_a_success_or_another_failure_in_between_begins_the_count_anew(store: Store) -> None:
    fail(store, "a"), fail(store, "b")
    assert not store.relax("image2", now=0.0)
    fail(store, "c"), fail(store, "d")
    fail(store, "e", Failure.ERROR)
    assert [fail(store, name) for name in "fg"] == ["", ""]
    assert store.paused() == []


def test_wrong_inputs_pause_nothing(store: Store) -> None:
    assert not any(fail(store, str(n), Failure.INPUT) for n in range(9))


def test_a_probe_at_a_time_is_let_through_and_later_each_time(store: Store) -> None:
    for name in "abc":
        fail(store, name)
    store.pause("image3", "", now=0.0)
    assert claim(store, now=9.0) is None
    assert store.next_due(9.0) == 10.0
    probe = claim(store, now=10.0)
    assert probe is not None
    assert claim(store, now=10.0) is None
    fail(store, "d", now=11.0)
    store.fail(probe, Failure.MISSING, "no", 11.0, jitter=0.0, budget_mb=10)
    assert store.paused()[0]["probe_at"] == 11.0 + BREAKER.longest_s


def test_if_all_have_failed_one_is_probed_before_its_time(store: Store) -> None:
    store.pause("image3", "", now=0.0)
    taken = [claim(store) for _ in range(6)]
    for each in taken:
        assert each is not None
        store.fail(each, Failure.MISSING, "no", 0.0, jitter=0.0, budget_mb=10)
        fail(store, each.subject)
    assert store.next_due(0.0) == 10.0
    assert claim(store, now=9.0) is None
    assert claim(store, now=10.0) is not None
    assert claim(store, now=10.0) is None
    assert store.relax("image2", now=11.0)
    assert claim(store, now=11.0) is not None


def test_a_probe_that_succeeds_sets_the_stage_going_with_those_that_failed_alike(store: Store) -> None:
    store.pause("image3", "", now=0.0)
    failed = claim(store)
    assert failed is not None
    store.fail(failed, Failure.MISSING, "no", 0.0, jitter=0.0, budget_mb=10)
    for name in "abc":
        fail(store, name)
    claim(store, now=10.0)
    assert store.relax("image2", now=11.0)
    assert [row["name"] for row in store.paused()] == ["image3"]
    assert store.get(failed.id).not_before == 11.0


def test_what_an_operator_paused_no_success_sets_going(store: Store) -> None:
    store.pause("image2", "", now=0.0)
    assert not store.relax("image2", now=1.0)
    assert claim(store).stage == "image3"
    for name in "abc":
        assert fail(store, name) == ""
    assert store.paused()[0]["paused"] == "operator"
