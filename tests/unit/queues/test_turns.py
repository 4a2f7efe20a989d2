"""Whose turn it is: shares, boosts, room on the disk."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import in_memory
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwebbd.queues.job import Job, NewJob
from calwebbd.queues.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "queue.db")
    yield store
    store.close()


def put(store: Store, key: str, share: str = "", **values: object) -> None:
    defaults = {"stage": "s", "subject": key, "priority": 1, "mem_mb": 1, "payload": "{}"}
    store.put(NewJob(key=key, share=share, **(defaults | values)), now=0.0)


def claim(store: Store, disk_mb: int = 1000) -> Job | None:
    return store.claim("w", 0.0, lease_s=60.0, budget_mb=1000, disk_mb=disk_mb)


def keys(store: Store, count: int) -> list[str]:
    return [job.key for job in (claim(store) for _ in range(count)) if job is not None]


def test_programs_take_turns(store: Store) -> None:
    for key in ("a1", "a2", "a3", "b1", "b2", "c1"):
        put(store, key, share=key[0])
    assert keys(store, 6) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_program_that_comes_late_need_not_wait_for_all_who_came_before(store: Store) -> None:
    for n in range(10):
        put(store, f"a{n}", share="a")
    keys(store, 4)
    put(store, "b0", share="b")
    assert "b0" in keys(store, 2)


def test_a_program_is_owed_no_turns_of_the_time_when_it_had_nothing_to_do(store: Store) -> None:
    put(store, "b0", share="b")
    for n in range(10):
        put(store, f"a{n}", share="a")
    keys(store, 7)
    for n in (1, 2, 3):
        put(store, f"b{n}", share="b")
    assert {key[0] for key in keys(store, 2)} == {"a", "b"}


def test_priority_comes_before_turns_and_a_boost_before_priority(store: Store) -> None:
    put(store, "live", share="a", priority=2)
    put(store, "again", share="b", priority=1)
    store.boost("b", 1, now=0.0)
    put(store, "more", share="b", priority=1)
    assert keys(store, 3) == ["again", "more", "live"]


def test_a_boost_that_is_taken_back_leaves_the_program_among_the_others(store: Store) -> None:
    for n in range(3):
        put(store, f"a{n}", share="a")
        put(store, f"b{n}", share="b")
    store.boost("b", 5, now=0.0)
    assert keys(store, 1) == ["b0"]
    store.boost("b", 0, now=0.0)
    assert sorted(keys(store, 2)) == ["a0", "b1"]


def test_a_newer_job_for_a_subject_has_the_place_of_the_older(store: Store) -> None:
    put(store, "a1", share="a", subject="x")
    put(store, "b1", share="b")
    for n in range(2, 9):
        put(store, f"a{n}", share="a", subject="x")
    assert keys(store, 2) == ["b1", "a8"]


def test_a_job_waits_for_room_on_the_disk_and_says_so_and_smaller_stages_pass(store: Store) -> None:
    put(store, "large", stage="mosaic", priority=3, disk_mb=900)
    put(store, "small", disk_mb=10)
    first = claim(store, disk_mb=500)
    assert first is not None
    assert first.key == "small"
    assert store.explain_disk(500)
    assert not store.explain_disk(500)
    assert store.by_key("large").reason == "waits for room on the disk, 500 MB may be used"
    assert claim(store, disk_mb=909) is None
    assert keys(store, 1) == ["large"]


def test_running_jobs_share_the_room_on_the_disk(store: Store) -> None:
    put(store, "a", disk_mb=60)
    put(store, "b", disk_mb=60)
    first = claim(store, disk_mb=100)
    assert first is not None
    assert claim(store, disk_mb=100) is None
    store.publish(first, "{}", now=0.0)  # it has written what it had to write
    assert claim(store, disk_mb=100) is not None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2)), min_size=1, max_size=30))
def test_while_several_programs_wait_none_gets_more_than_one_turn_ahead(
    jobs: list[tuple[str, int]],
) -> None:
    with in_memory.folder() as folder:
        check_turns(Store(Path(folder) / "queue.db"), jobs)


def check_turns(store: Store, jobs: list[tuple[str, int]]) -> None:
    for n, (share, priority) in enumerate(jobs):
        put(store, str(n), share=share, priority=priority)
    waiting = dict(enumerate(jobs))
    served: Counter[tuple[str, int]] = Counter()
    for _ in range(len(jobs)):
        job = claim(store)
        assert job is not None
        share, priority = waiting.pop(int(job.key))
        served[share, priority] += 1
        assert priority == max([priority, *(p for _, p in waiting.values())])
        others = {s for s, p in waiting.values() if p == priority}
        assert all(served[share, priority] <= served[other, priority] + 1 for other in others)
    store.close()


def test_a_job_that_is_larger_than_any_host_is_passed_and_says_so(store: Store) -> None:
    put(store, "large", mem_mb=900, priority=3)
    put(store, "small")
    first = store.claim("w", 0.0, lease_s=60.0, budget_mb=1000, most_mb=500)
    assert first is not None
    assert first.subject == "small"
    assert store.explain_memory(500)
    assert not store.explain_memory(500)
    then = store.claim("w", 0.0, lease_s=60.0, budget_mb=2000, most_mb=900)
    assert then is not None
    assert (then.subject, then.reason) == (
        "large",
        "waits for a host with more memory, the largest has 500 MB",
    )
