"""Jobs: every transition, two claimants, leases and fences."""

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from calwebbd.queues.job import TRANSITIONS, Job, NewJob, State
from calwebbd.queues.retry import Failure
from calwebbd.queues.store import Stale, Store, connect


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "queue.db")
    yield store
    store.close()


def job(key: str, **values: object) -> NewJob:
    defaults = {"stage": "s", "subject": key, "priority": 1, "mem_mb": 100, "payload": "{}"}
    return NewJob(key=key, **(defaults | values))


def claim(store: Store, worker: str = "w", now: float = 0.0, budget_mb: int = 1000) -> Job | None:
    return store.claim(worker, now, lease_s=60.0, budget_mb=budget_mb)


def claimed(store: Store, worker: str = "w", now: float = 0.0) -> Job:
    taken = claim(store, worker, now)
    assert taken is not None
    return taken


def fail(store: Store, taken: Job, failure: Failure, now: float = 0.0) -> Job:
    return store.fail(taken, failure, "because", now, jitter=0.0, budget_mb=1000)


def test_the_same_key_again_is_no_new_work(store: Store) -> None:
    assert store.put(job("a"), now=0.0)
    assert not store.put(job("a"), now=1.0)
    assert store.counts() == {"s": {"ready": 1}}


def test_the_same_key_is_no_new_work_even_when_it_is_done(store: Store) -> None:
    store.put(job("a"), now=0.0)
    taken = claimed(store)
    store.publish(taken, "{}", now=1.0)
    store.finish(taken, now=2.0)
    assert not store.put(job("a"), now=3.0)
    assert claim(store, now=4.0) is None


def test_a_claim_counts_the_attempt_raises_the_fence_and_grants_a_lease(store: Store) -> None:
    store.put(job("a"), now=0.0)
    taken = claimed(store, now=5.0)
    assert (taken.attempt, taken.fence, taken.lease_until, taken.worker) == (1, 1, 65.0, "w")


def test_two_claimants_never_get_the_same_job(tmp_path: Path, store: Store) -> None:
    for n in range(20):
        store.put(job(f"{n}", mem_mb=0), now=0.0)
    other = Store(tmp_path / "queue.db")
    both = itertools.cycle([store, other])
    got = [claimed(next(both)).id for _ in range(20)]
    other.close()
    assert len(set(got)) == 20
    assert claim(store) is None


def test_a_late_finish_of_a_job_given_to_another_is_refused(store: Store) -> None:
    store.put(job("a"), now=0.0)
    late = claimed(store, "slow")
    store.rescue(100.0, lambda _: True, budget_mb=1000)
    again = claimed(store, "quick", now=100.0)
    with pytest.raises(Stale):
        store.publish(late, "{}", now=101.0)
    store.publish(again, "{}", now=101.0)
    with pytest.raises(Stale):
        store.finish(late, now=102.0)
    store.finish(again, now=102.0)


def test_a_refused_finish_takes_everything_in_its_transaction_with_it(store: Store) -> None:
    store.put(job("a"), now=0.0)
    late = claimed(store)
    store.rescue(100.0, lambda _: True, budget_mb=1000)

    def conclude() -> None:
        with store.transaction():
            store.put(job("downstream"), now=101.0)
            store.finish(late, now=101.0)

    with pytest.raises(Stale):
        conclude()
    assert store.by_key("downstream") is None


def test_urgent_jobs_go_first_then_the_oldest(store: Store) -> None:
    for key, priority in (("old", 1), ("new", 1), ("urgent", 3)):
        store.put(job(key, priority=priority), now=0.0)
    assert [claimed(store).key for _ in range(3)] == ["urgent", "old", "new"]


def test_running_jobs_together_stay_within_the_memory_budget(store: Store) -> None:
    for key in "abc":
        store.put(job(key, mem_mb=400), now=0.0)
    first, second = claimed(store), claimed(store)
    assert claim(store) is None
    store.publish(first, "{}", now=1.0)
    assert claimed(store).key == "c"
    assert second.key == "b"


def test_a_large_job_at_the_head_of_the_line_is_not_overtaken(store: Store) -> None:
    store.put(job("running", mem_mb=500, priority=3), now=0.0)
    claimed(store)
    store.put(job("large", mem_mb=900, priority=2), now=0.0)
    store.put(job("small", mem_mb=1), now=0.0)
    assert claim(store) is None


def test_a_job_larger_than_a_budget_that_has_shrunk_has_all_of_it(store: Store) -> None:
    store.put(job("huge", mem_mb=5000), now=0.0)
    store.put(job("small", mem_mb=10), now=0.0)
    assert claim(store) is None
    store.fit(1000)
    first = claimed(store)
    assert (first.key, first.mem_mb, store.by_key("small").mem_mb) == ("huge", 1000, 10)
    assert claim(store) is None


def test_a_newer_job_for_one_subject_supersedes_a_waiting_one(store: Store) -> None:
    store.put(job("v1", subject="mosaic"), now=0.0)
    store.put(job("v2", subject="mosaic"), now=1.0)
    assert store.by_key("v1").state is State.SUPERSEDED
    assert claimed(store, now=1.0).key == "v2"


def test_two_jobs_for_one_subject_never_run_together(store: Store) -> None:
    store.put(job("v1", subject="mosaic"), now=0.0)
    first = claimed(store)
    store.put(job("v2", subject="mosaic"), now=0.0)
    assert claim(store) is None
    store.publish(first, "{}", now=0.0)
    assert claim(store) is None
    store.finish(first, now=0.0)
    assert claimed(store).key == "v2"


def test_a_failed_job_gives_way_to_a_newer_one_for_its_subject(store: Store) -> None:
    store.put(job("v1", subject="mosaic"), now=0.0)
    first = claimed(store)
    store.put(job("v2", subject="mosaic"), now=0.0)
    assert fail(store, first, Failure.ERROR).state is State.SUPERSEDED


def test_a_failed_job_waits_for_its_turn(store: Store) -> None:
    store.put(job("a"), now=0.0)
    assert fail(store, claimed(store), Failure.ERROR).not_before == 5.0
    assert store.next_due(0.0) == 5.0
    assert claim(store, now=4.9) is None
    assert claimed(store, now=5.0).attempt == 2


def test_wrong_input_is_not_tried_again(store: Store) -> None:
    store.put(job("a"), now=0.0)
    dead = fail(store, claimed(store), Failure.INPUT)
    assert (dead.state, dead.reason) == (State.DEAD, "because")


def test_a_job_that_ran_out_of_memory_asks_for_half_as_much_again(store: Store) -> None:
    store.put(job("a", mem_mb=300), now=0.0)
    assert fail(store, claimed(store), Failure.MEMORY).mem_mb == 451


def test_a_dead_job_comes_back_when_asked_for(store: Store) -> None:
    store.put(job("a"), now=0.0)
    dead = fail(store, claimed(store), Failure.INPUT)
    assert store.revive(dead.id, now=9.0)
    assert not store.revive(dead.id, now=9.0)
    assert claimed(store, now=9.0).attempt == 1


def test_a_job_that_was_never_begun_costs_no_attempt(store: Store) -> None:
    store.put(job("a"), now=0.0)
    store.unclaim(claimed(store), now=1.0)
    assert claimed(store, now=1.0).attempt == 1


def test_a_live_worker_keeps_its_job_while_it_renews_the_lease(store: Store) -> None:
    store.put(job("a"), now=0.0)
    claimed(store)
    store.renew("w", now=50.0, lease_s=60.0)
    assert store.rescue(100.0, lambda _: True, budget_mb=1000) == []
    assert len(store.rescue(111.0, lambda _: True, budget_mb=1000)) == 1


def test_a_dead_workers_job_is_taken_back_before_its_lease_lapses(store: Store) -> None:
    store.put(job("a"), now=0.0)
    claimed(store)
    (back,) = store.rescue(1.0, lambda worker: worker != "w", budget_mb=1000)
    assert (back.state, back.attempt) == (State.READY, 1)


def test_rescue_leaves_what_is_being_published_to_be_rolled_forward(store: Store) -> None:
    store.put(job("a"), now=0.0)
    store.publish(claimed(store), "what", now=1.0)
    assert store.rescue(1e9, lambda _: False, budget_mb=1000) == []
    assert [j.result for j in store.leased(State.PUBLISHING)] == ["what"]


def _force(connection: sqlite3.Connection, row: int, state: State) -> bool:
    """Try to put a job into a state by bare SQL."""
    held = state in (State.RUNNING, State.PUBLISHING)
    values = (state, "w" if held else None, 1.0 if held else None, "{}", row)
    sql = "UPDATE job SET state = ?, worker = ?, lease_until = ?, result = ? WHERE id = ?"
    try:
        connection.execute(sql, values)
    except sqlite3.IntegrityError:
        return False
    return True


PATHS = {
    State.READY: (),
    State.RUNNING: (State.RUNNING,),
    State.PUBLISHING: (State.RUNNING, State.PUBLISHING),
    State.DONE: (State.RUNNING, State.PUBLISHING, State.DONE),
    State.DEAD: (State.DEAD,),
    State.DROPPED: (State.DROPPED,),
    State.SUPERSEDED: (State.SUPERSEDED,),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(State, 2)))
def test_the_database_allows_just_the_transitions_of_the_table(store: Store, old: State, new: State) -> None:
    store.put(job("a"), now=0.0)
    for step in PATHS[old]:
        assert _force(store.connection, 1, step)
    assert _force(store.connection, 1, new) is (new in TRANSITIONS[old])


def test_the_database_knows_just_the_states_of_the_table(store: Store) -> None:
    assert set(TRANSITIONS) == set(State)
    store.put(job("a"), now=0.0)
    with pytest.raises(sqlite3.IntegrityError):
        store.connection.execute("UPDATE job SET state = 'lost'")


def test_a_running_job_always_has_a_worker_and_a_lease(store: Store) -> None:
    store.put(job("a"), now=0.0)
    with pytest.raises(sqlite3.IntegrityError):
        store.connection.execute("UPDATE job SET state = 'running'")


def test_every_commit_is_on_disk_before_the_caller_goes_on(store: Store) -> None:
    assert store.connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert store.connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_readers_see_the_queue_but_cannot_change_it(tmp_path: Path, store: Store) -> None:
    store.put(job("a"), now=0.0)
    reader = connect(tmp_path / "queue.db", readonly=True)
    assert reader.execute("SELECT count(*) FROM job").fetchone()[0] == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM job")
    reader.close()


def test_a_reader_can_open_what_a_stopped_service_left(tmp_path: Path) -> None:
    store = Store(tmp_path / "night.db")
    store.put(job("a"), now=0.0)
    store.close()
    reader = connect(tmp_path / "night.db", readonly=True)
    assert reader.execute("SELECT count(*) FROM job").fetchone()[0] == 1
    reader.close()
