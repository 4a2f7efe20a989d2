"""Groups: when they fire, and that they fire once for each change."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from calwebbd.queues.groups import Clocks, Group, Member, Partial, judge
from calwebbd.queues.job import NewJob
from calwebbd.queues.store import Store

CLOCKS = Clocks(hold_s=2.0, quiet_s=10.0, hard_s=100.0)


def member(name: str, value: str | None = "v", failed: str | None = None) -> Member:
    return Member(name=name, facts="", value=value, failed=failed)


def group(*members: Member, listed: bool = False, complete: bool = False, busy: bool = False) -> Group:
    return Group(
        name="g",
        state="open",
        listed=listed,
        complete=complete,
        missing="" if complete else "waits for two",
        version=0,
        payload="",
        reason="",
        opened_at=0.0,
        changed_at=50.0,
        busy=busy,
        members=members,
    )


def test_a_list_fires_with_its_last_member() -> None:
    assert judge(group(member("a"), member("b"), listed=True), CLOCKS, 0.0).fire


def test_a_list_waits_for_ever_and_names_what_is_missing() -> None:
    verdict = judge(group(member("a"), member("b", None), listed=True), CLOCKS, 1e9, hurry=True)
    assert (verdict.fire, verdict.reason) == (False, "1 of 2 members are there, lacks b")


def test_a_list_goes_on_without_some_only_if_that_is_allowed() -> None:
    part = group(member("a"), member("b", None), member("c", None, "bad"), listed=True)
    quiet = dataclasses.replace(CLOCKS, partial=Partial.QUIET)
    assert judge(part, quiet, 59.0).at == 60.0
    verdict = judge(part, quiet, 60.0)
    assert (verdict.fire, verdict.reason) == (True, "1 of 3 members are there, lacks b, c")
    hard = dataclasses.replace(CLOCKS, partial=Partial.HARD)
    assert judge(part, hard, 60.0).at == 100.0
    never = dataclasses.replace(CLOCKS, partial=Partial.NEVER)
    assert judge(part, never, 1e9, hurry=True).at is None


def test_a_complete_group_is_held_for_a_moment_only() -> None:
    whole = group(member("a"), member("b"), complete=True)
    assert judge(whole, CLOCKS, 51.9).at == 52.0
    assert judge(whole, CLOCKS, 52.0).fire


def test_an_incomplete_group_fires_when_it_has_been_quiet_and_says_what_it_lacks() -> None:
    part = group(member("a"))
    assert judge(part, CLOCKS, 59.0).at == 60.0
    assert judge(part, CLOCKS, 60.0).reason == "1 of 1 members are there; waits for two"


def test_a_group_may_wait_for_the_hard_clock_or_for_ever() -> None:
    part = group(member("a"))
    hard = dataclasses.replace(CLOCKS, partial=Partial.HARD)
    assert judge(part, hard, 99.0).at == 100.0
    assert judge(part, hard, 100.0).fire
    never = dataclasses.replace(CLOCKS, partial=Partial.NEVER)
    verdict = judge(part, never, 1e9, hurry=True)
    assert (verdict.fire, verdict.at) == (False, None)
    assert verdict.reason.endswith("waits for two; it is never made in part")
    assert judge(dataclasses.replace(part, complete=True), never, 52.0).fire


def test_a_group_says_which_clock_runs_until_when() -> None:
    assert judge(group(member("a")), CLOCKS, 59.0).reason.endswith(
        "the quiet clock runs until 1970-01-01 00:01:00"
    )


def test_a_group_that_is_never_quiet_fires_after_the_hard_clock() -> None:
    dribbling = dataclasses.replace(group(member("a")), changed_at=99.0)
    assert judge(dribbling, CLOCKS, 99.0).at == 100.0


def test_a_failed_member_is_not_waited_for() -> None:
    assert judge(group(member("a"), member("b", None, "bad"), complete=True), CLOCKS, 60.0).fire


def test_a_member_without_value_keeps_a_complete_group_waiting_until_it_is_quiet() -> None:
    verdict = judge(group(member("a"), member("b", None), complete=True), CLOCKS, 59.0)
    assert (verdict.fire, verdict.at) == (False, 60.0)
    assert "waits for b" in verdict.reason


def test_nobody_is_timed_out_on_our_own_backlog() -> None:
    assert not judge(group(member("a"), complete=True, busy=True), CLOCKS, 1e9, hurry=True).fire


def test_when_nothing_else_is_left_to_do_the_clocks_are_over() -> None:
    assert judge(group(member("a"), member("b", None)), CLOCKS, 0.0, hurry=True).fire


def test_an_empty_group_never_fires() -> None:
    assert not judge(group(member("a", None)), CLOCKS, 1e9, hurry=True).fire


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "queue.db")
    yield store
    store.close()


def test_a_group_fires_once_and_again_for_a_late_member(store: Store) -> None:
    store.open_group("g", "payload", now=0.0)
    store.join_group("g", "a", "", now=0.0)
    assert store.satisfy("g", "a", "v", now=1.0)
    assert store.fire("g", "complete", now=2.0)
    assert not store.fire("g", "complete", now=2.0)
    assert store.open_groups() == []
    store.join_group("g", "late", "", now=3.0)
    assert store.satisfy("g", "late", "v", now=4.0)
    assert store.fire("g", "complete", now=5.0)
    assert store.group("g").version == 2


def test_the_same_value_again_does_not_reopen_a_group(store: Store) -> None:
    store.open_group("g", "", now=0.0)
    store.join_group("g", "a", "", now=0.0)
    store.satisfy("g", "a", "v", now=1.0)
    store.fire("g", "", now=2.0)
    store.join_group("g", "a", "", now=3.0)
    assert not store.satisfy("g", "a", "v", now=3.0)
    assert store.open_groups() == []
    assert store.satisfy("g", "a", "better", now=3.0)
    assert [g.name for g in store.open_groups()] == ["g"]


def test_a_list_outranks_a_collection_and_keeps_what_is_satisfied(store: Store) -> None:
    store.open_group("g", "counted", now=0.0)
    store.join_group("g", "a", "", now=0.0)
    store.join_group("g", "stray", "", now=0.0)
    store.satisfy("g", "a", "v", now=1.0)
    store.list_group("g", "listed", ["a", "b"], now=2.0)
    store.join_group("g", "stray", "", now=3.0)
    found = store.group("g")
    assert (found.listed, found.payload) == (True, "listed")
    assert [(m.name, m.value) for m in found.members] == [("a", "v"), ("b", None)]


def test_seeing_a_list_again_changes_nothing(store: Store) -> None:
    store.list_group("g", "listed", ["a"], now=0.0)
    store.satisfy("g", "a", "v", now=1.0)
    store.fire("g", "", now=2.0)
    store.list_group("g", "listed", ["a"], now=3.0)
    assert store.open_groups() == []


def test_a_group_is_busy_while_a_job_feeds_it(store: Store) -> None:
    store.open_group("g", "", now=0.0)
    new = NewJob(key="k", stage="s", subject="a", priority=1, mem_mb=1, payload="", feeds="g")
    store.put(new, now=0.0)
    assert store.open_groups()[0].busy
    taken = store.claim("w", 0.0, lease_s=1.0, budget_mb=10)
    assert taken is not None
    store.publish(taken, "", now=1.0)
    store.finish(taken, now=1.0)
    assert not store.open_groups()[0].busy


def test_the_hard_clock_begins_with_the_first_member_not_with_the_list(store: Store) -> None:
    store.list_group("g", "", ["a", "b", "c"], now=0.0)
    store.satisfy("g", "a", "v", now=70.0)
    store.satisfy("g", "b", "v", now=80.0)
    found = store.group("g")
    assert (found.opened_at, found.changed_at) == (70.0, 80.0)


def test_clocks_that_stood_go_on_with_the_time_that_was_left(store: Store) -> None:
    store.list_group("g", "", ["a", "b", "c"], now=0.0)
    store.satisfy("g", "a", "v", now=10.0)
    store.stand("g", now=30.0)
    store.stand("g", now=40.0)
    store.postpone(5.0, now=60.0)
    store.satisfy("g", "b", "v", now=70.0)
    store.go_on("g", now=100.0)
    store.go_on("g", now=110.0)
    found = store.group("g")
    assert (found.opened_at, found.changed_at, found.stood_since) == (100.0 - 20.0, 100.0, None)


def test_groups_are_found_by_the_names_of_their_members(store: Store) -> None:
    store.list_group("g", "", ["a", "b"], now=0.0)
    store.list_group("h", "", ["b"], now=0.0)
    assert store.awaiting("b") == ["g", "h"]


def test_a_member_that_came_after_all_counts(store: Store) -> None:
    store.list_group("g", "", ["a"], now=0.0)
    store.give_up("g", "a", "quarantined")
    assert store.group("g").members[0].failed == "quarantined"
    store.satisfy("g", "a", "v", now=1.0)
    assert store.group("g").members[0].failed is None


def test_a_group_keeps_its_place_among_those_named_alike(store: Store) -> None:
    for name in ("a-1", "b-1", "a-2"):
        store.open_group(name, "", now=0.0)
    assert [store.ordinal(name, "a-") for name in ("a-1", "a-2")] == [1, 2]
    store.fire("a-1", "", now=1.0)
    assert store.ordinal("a-2", "a-") == 2
