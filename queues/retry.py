"""When to try a failed job again: pure."""

from dataclasses import dataclass
from enum import StrEnum


class Failure(StrEnum):
    """Why a job did not end well, as far as trying again is concerned."""

    INPUT = "input"  #: its input is wrong; no retry mends it
    MISSING = "missing"  #: something it needs is not there yet
    MEMORY = "memory"  #: it had too little
    TIMEOUT = "timeout"
    KILLED = "killed"  #: its process was killed
    LOST = "lost"  #: whoever supervised it died; not the job's fault, unless it happens again and again
    ERROR = "error"  #: a bug


@dataclass(frozen=True)
class Policy:
    """attempts : in all; delay_s : before the second, growing by `factor` up to `longest_s`."""

    attempts: int
    delay_s: float = 0.0
    factor: float = 2.0
    longest_s: float = 3600.0


POLICIES: dict[Failure, Policy] = {
    Failure.INPUT: Policy(attempts=1),
    Failure.MISSING: Policy(attempts=200, delay_s=900.0, factor=1.0),
    Failure.MEMORY: Policy(attempts=4, delay_s=1.0),
    Failure.TIMEOUT: Policy(attempts=2, delay_s=10.0),
    Failure.KILLED: Policy(attempts=3, delay_s=5.0),
    Failure.LOST: Policy(attempts=50),
    Failure.ERROR: Policy(attempts=2, delay_s=5.0),
}


def delay(failure: Failure, attempt: int, jitter: float) -> float | None:
    """Seconds until the next attempt, or None when there shall be none.

    attempt : number of the one that failed, from 1
    jitter : uniform in [0, 1); stretches the delay by up to a quarter, so that
        jobs which failed together do not come back together
    """
    policy = POLICIES[failure]
    if attempt >= policy.attempts:
        return None
    base = min(policy.delay_s * policy.factor ** (attempt - 1), policy.longest_s)
    return base * (1.0 + 0.25 * jitter)


def memory(failure: Failure, mem_mb: int, budget_mb: int) -> int:
    """Memory to ask for next time: double, once it was too little, up to all there is."""
    return max(mem_mb, min(2 * mem_mb, budget_mb)) if failure is Failure.MEMORY else mem_mb
