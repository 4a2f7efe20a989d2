"""A job, and the table of its states: the whole of its life.

`TRANSITIONS` is repeated by the trigger in migrations, so that no program can
move a job otherwise; a test compares the two.
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    READY = "ready"  #: may be claimed from `not_before` on
    RUNNING = "running"  #: claimed, under a lease
    PUBLISHING = "publishing"  #: computed; what to publish is written down in `result`
    DONE = "done"
    DEAD = "dead"  #: nothing but an operator brings it back
    SUPERSEDED = "superseded"  #: a newer job makes the same thing


TRANSITIONS: dict[State, frozenset[State]] = {
    # dead: larger than the memory there is
    State.READY: frozenset({State.RUNNING, State.SUPERSEDED, State.DEAD}),
    State.RUNNING: frozenset({State.PUBLISHING, State.READY, State.DEAD, State.SUPERSEDED}),
    # ready: what was to be published is no longer there
    State.PUBLISHING: frozenset({State.DONE, State.READY, State.DEAD, State.SUPERSEDED}),
    State.DONE: frozenset(),
    State.DEAD: frozenset({State.READY}),
    State.SUPERSEDED: frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What is asked for.

    key : identifies the work: inputs, parameters, code. The same key is never done twice.
    subject : what the job makes. Of two jobs for one subject the newer wins.
    feeds : name of the group which waits for the result, or ``""``
    payload : for the worker; opaque
    """

    key: str
    stage: str
    subject: str
    priority: int
    mem_mb: int
    payload: str
    feeds: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Job(NewJob):
    """A row of the table. Times are seconds since 1970.

    fence : grows with every claim; only its latest holder may finish the job
    result : what a PUBLISHING job has yet to publish; opaque
    """

    id: int
    state: State
    attempt: int
    fence: int
    not_before: float
    lease_until: float | None
    worker: str | None
    result: str | None
    created_at: float
    changed_at: float
