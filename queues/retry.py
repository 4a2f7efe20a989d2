"""When to try a failed job again, and with how much: pure."""

from dataclasses import dataclass
from enum import StrEnum

from calwebbd.queues.job import Job


class Failure(StrEnum):
    """Why a job did not end well, as far as trying again is concerned."""

    INPUT = "input"  #: its input is wrong; no retry mends it
    MISSING = "missing"  #: something it needs is not there yet
    DISK = "disk"  #: a disk is full, read-only or gone
    MEMORY = "memory"  #: it had too little
    TIMEOUT = "timeout"
    KILLED = "killed"  #: its process was killed
    LOST = "lost"  #: whoever supervised it died; not the job's fault, unless it happens again and again
    ERROR = "error"  #: a bug


@dataclass(frozen=True)
class Policy:
    """attempts : in a row that end so; delay_s : before the second, growing by `factor` up to `longest_s`."""

    attempts: int
    delay_s: float = 0.0
    factor: float = 2.0
    longest_s: float = 3600.0


POLICIES: dict[Failure, Policy] = {
    Failure.INPUT: Policy(attempts=1),
    Failure.MISSING: Policy(attempts=200, delay_s=900.0, factor=1.0),
    Failure.DISK: Policy(attempts=1000, delay_s=60.0, longest_s=900.0),
    Failure.MEMORY: Policy(attempts=3, delay_s=1.0),
    Failure.TIMEOUT: Policy(attempts=2, delay_s=10.0),
    Failure.KILLED: Policy(attempts=3, delay_s=5.0),
    Failure.LOST: Policy(attempts=50),
    Failure.ERROR: Policy(attempts=2, delay_s=5.0),
}
LONGEST_S = 1.25 * max(policy.longest_s for policy in POLICIES.values())  #: that a job waits
#: of all kinds together, so that failures which take turns end too
MOST_ATTEMPTS = 2000


def delay(failure: Failure, tries: int, jitter: float) -> float | None:
    """Seconds until the next attempt, or None when there shall be none.

    tries : attempts in a row that ended so, from 1
    jitter : uniform in [0, 1); stretches the delay by up to a quarter, so that
        jobs which failed together do not come back together
    """
    policy = POLICIES[failure]
    if tries >= policy.attempts:
        return None
    base = min(policy.delay_s * policy.factor ** min(tries - 1, 30), policy.longest_s)
    return base * (1.0 + 0.25 * jitter)


@dataclass(frozen=True)
class Next:
    """What becomes of a job that failed.

    delay : until it is tried again, s; None for never
    mem_mb, rung : memory to ask for, and how often it was raised
    stretch : of its time limit
    """

    delay: float | None
    reason: str
    tries: int
    mem_mb: int
    rung: int
    stretch: int


def after(
    job: Job, failure: Failure, reason: str, *, jitter: float, budget_mb: int, peak_mb: float | None = None
) -> Next:
    """Decide on a job whose attempt has failed.

    Too little memory: half as much again, then everything there is, alone. Too little time: twice
    the limit, once. What has failed on the last rung is dead, and its reason has the numbers.
    """
    tries = job.tries + 1 if job.failure == failure else 1
    wait = delay(failure, tries, jitter) if job.attempt < MOST_ATTEMPTS else None
    mem_mb, rung, stretch = job.mem_mb, job.rung, job.stretch
    if failure is Failure.MEMORY:
        if rung == 2 or mem_mb >= budget_mb:
            wait = None
            peak = "" if peak_mb is None else f", at least {peak_mb:.0f} MB were used"
            reason += f", alone with {budget_mb} MB; {job.predicted_mb} MB were predicted{peak}"
        else:
            wait = POLICIES[failure].delay_s * (1.0 + 0.25 * jitter)
            rung += 1
            mem_mb = min(mem_mb * 3 // 2 + 1, budget_mb) if rung == 1 else budget_mb
    if failure is Failure.TIMEOUT:
        if stretch > 1:
            wait, reason = None, f"{reason}, {stretch} times the usual"
        stretch = 2
    return Next(wait, reason, tries, mem_mb, rung, stretch)
