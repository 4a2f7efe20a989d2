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
    DEAD = "dead"  #: has failed for good; nothing but an operator brings it back
    DROPPED = "dropped"  #: an operator has given it up
    SUPERSEDED = "superseded"  #: a newer job makes the same thing


TRANSITIONS: dict[State, frozenset[State]] = {
    State.READY: frozenset({State.RUNNING, State.SUPERSEDED, State.DEAD, State.DROPPED}),
    State.RUNNING: frozenset({State.PUBLISHING, State.READY, State.DEAD, State.SUPERSEDED, State.DROPPED}),
    # ready: what was to be published is no longer there
    State.PUBLISHING: frozenset({State.DONE, State.READY, State.DEAD, State.SUPERSEDED}),
    State.DONE: frozenset(),
    State.DEAD: frozenset({State.READY, State.DROPPED}),
    State.DROPPED: frozenset({State.READY}),
    State.SUPERSEDED: frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What is asked for.

    key : identifies the work: inputs, parameters, code. The same key is never done twice.
    subject : what the job makes. Of two jobs for one subject the newer wins.
    share : for whom; of equally urgent jobs those of different shares take turns
    mem_mb, disk_mb : what it is expected to need
    payload : for the worker; opaque
    feeds : name of the group which waits for the result, or ``""``
    """

    key: str
    stage: str
    subject: str
    priority: int
    mem_mb: int
    payload: str
    share: str = ""
    disk_mb: int = 0
    feeds: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Job(NewJob):
    """A row of the table. Times are seconds since 1970.

    boost : of its share, by an operator; turn : its place among jobs of one boost and priority
    due : stands in line; if not, `not_before` has not come yet, or it is held
    held : waits until it is let go, see queues/holds.py
    fence : grows with every claim; only its latest holder may finish the job
    failure : of the last attempt, by class; tries : how many attempts in a row ended so
    predicted_mb : as first asked for; rung : how often `mem_mb` was raised since
    stretch : of the time limit; peak_mb : memory the last failed attempt had used, if known
    result : what a PUBLISHING job has yet to publish; opaque
    """

    id: int
    boost: int
    turn: int
    state: State
    due: int
    held: int
    attempt: int
    fence: int
    failure: str
    tries: int
    predicted_mb: int
    rung: int
    stretch: int
    peak_mb: float | None
    not_before: float
    lease_until: float | None
    worker: str | None
    result: str | None
    created_at: float
    changed_at: float
