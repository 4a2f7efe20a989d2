"""When a failed job comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.queues.retry import POLICIES, Failure, delay, memory


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
def test_a_delay_stays_within_its_bounds(failure: Failure, attempt: int, jitter: float) -> None:
    wait = delay(failure, attempt, jitter)
    assert wait is None or 0.0 <= wait <= 1.25 * POLICIES[failure].longest_s


def test_memory_doubles_up_to_the_budget_and_never_shrinks() -> None:
    assert memory(Failure.MEMORY, 300, 1000) == 600
    assert memory(Failure.MEMORY, 600, 1000) == 1000
    assert memory(Failure.MEMORY, 1200, 1000) == 1200
    assert memory(Failure.ERROR, 300, 1000) == 300
