"""When a failed job comes back, and with how much."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.queues.job import Job, State
from calwebbd.queues.retry import MOST_ATTEMPTS, POLICIES, Failure, Next, after, delay

JOB = Job(
    key="k",
    stage="s",
    subject="a",
    priority=1,
    mem_mb=300,
    payload="",
    id=1,
    boost=0,
    turn=0,
    state=State.RUNNING,
    due=1,
    held=0,
    attempt=1,
    fence=1,
    failure="",
    tries=0,
    predicted_mb=300,
    rung=0,
    stretch=1,
    peak_mb=None,
    not_before=0.0,
    lease_until=1.0,
    worker="w",
    result=None,
    created_at=0.0,
    changed_at=0.0,
)


def fail(job: Job, failure: Failure, peak_mb: float | None = None) -> tuple[Next, Job]:
    """What follows, and the job at its next attempt."""
    then = after(job, failure, "too little", jitter=0.0, budget_mb=1000, peak_mb=peak_mb)
    told = {"failure": failure, "tries": then.tries, "attempt": job.attempt + 1}
    asked = {"mem_mb": then.mem_mb, "rung": then.rung, "stretch": then.stretch}
    return then, dataclasses.replace(job, **told, **asked)


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_ends_after_its_attempts(failure: Failure) -> None:
    attempts = POLICIES[failure].attempts
    assert all(delay(failure, n, 0.0) is not None for n in range(1, attempts))
    assert delay(failure, attempts, 0.0) is None


def test_delays_double() -> None:
    assert [delay(Failure.KILLED, n, 0.0) for n in (1, 2)] == [5.0, 10.0]


@given(
    st.sampled_from(Failure),
    st.integers(1, 1000),
    st.floats(0.0, 1.0, exclude_max=True),
)
def test_a_delay_stays_within_its_bounds(failure: Failure, tries: int, jitter: float) -> None:
    wait = delay(failure, tries, jitter)
    assert wait is None or 0.0 <= wait <= 1.25 * POLICIES[failure].longest_s


def test_too_little_memory_is_raised_by_half_then_to_all_there_is_then_the_job_is_dead() -> None:
    first, job = fail(JOB, Failure.MEMORY)
    second, job = fail(job, Failure.MEMORY)
    third, _ = fail(job, Failure.MEMORY, peak_mb=987.6)
    assert [(n.mem_mb, n.rung, n.delay is None) for n in (first, second, third)] == [
        (451, 1, False),
        (1000, 2, False),
        (1000, 2, True),
    ]
    assert third.reason == (
        "too little, alone with 1000 MB; 300 MB were predicted, at least 988 MB were used"
    )


def test_a_job_that_had_all_the_memory_there_is_need_not_be_tried_again() -> None:
    then, _ = fail(dataclasses.replace(JOB, mem_mb=1000, predicted_mb=1000), Failure.MEMORY)
    assert then.delay is None


def test_memory_asked_for_never_shrinks_and_stays_as_it_is_after_other_failures() -> None:
    _, job = fail(JOB, Failure.MEMORY)
    _, job = fail(job, Failure.KILLED)
    assert (job.mem_mb, job.rung) == (451, 1)
    then, _ = fail(job, Failure.MEMORY)
    assert (then.mem_mb, then.rung) == (1000, 2)


def test_a_time_limit_is_doubled_once() -> None:
    first, job = fail(JOB, Failure.TIMEOUT)
    second, _ = fail(job, Failure.TIMEOUT)
    assert (first.stretch, first.delay, second.delay) == (2, 10.0, None)
    assert second.reason == "too little, 2 times the usual"


def test_a_time_limit_is_doubled_once_though_the_job_was_lost_meanwhile() -> None:
    _, job = fail(JOB, Failure.TIMEOUT)
    _, job = fail(job, Failure.LOST)
    then, _ = fail(job, Failure.TIMEOUT)
    assert (then.stretch, then.delay) == (2, None)


def test_only_failures_of_one_kind_in_a_row_count() -> None:
    job = dataclasses.replace(JOB, attempt=60, failure=Failure.MISSING, tries=60)
    then, job = fail(job, Failure.ERROR)
    assert (then.tries, then.delay) == (1, 5.0)
    then, _ = fail(job, Failure.ERROR)
    assert (then.tries, then.delay) == (2, None)


def test_failures_that_take_turns_end_too() -> None:
    job = dataclasses.replace(JOB, attempt=MOST_ATTEMPTS, failure=Failure.ERROR, tries=1)
    assert fail(job, Failure.KILLED)[0].delay is None
