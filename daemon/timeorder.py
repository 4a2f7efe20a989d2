"""Exposures of a detector one after the other: each takes what the one before has handed on.

A bright star, or the core of a snowball, leaves charge in the pixels that it saturates; they give it back for
a time, in the exposures that follow. So an exposure's job is held until its predecessor has been
calibrated, takes the file that it has handed on (`HANDED`) as a further input, and hands on its own. Nothing
is decided for ever: whenever something happens to an exposure, it and the next are looked at
again. One that came late, or hands on something else than before, has the next made again, and that perhaps
the one after it; where what is handed on stays as it was nothing more is done. An exposure waits only for
earlier ones, so that none waits for itself, and never for one that is dead; for one that is less urgent, as
old data that are made again are, only if that has never handed anything on, and then by the clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

import msgspec

from calwebbd.daemon.assembly import Assembly, value_of
from calwebbd.daemon.records import Known, Records
from calwebbd.daemon.terms import Terms
from calwebbd.daemon.timeline import Link, Timeline, link_of
from calwebbd.daemon.work import HANDED, Input, Result, Work, encode, work_of
from calwebbd.queues.job import Job, State
from calwebbd.queues.store import Store
from calwebbd.stages.names import split_suffix

PIPELINE = "detector1"
_UNDER_WAY = frozenset({State.READY, State.RUNNING, State.PUBLISHING})


@dataclass(frozen=True)
class Turn:
    """Whether it is an exposure's turn, and what it takes.

    handed : by an exposure before it; None if there is nothing
    waits_for : the predecessor that it waits for; look_at : when a clock ends that wait, if one does
    without : predecessors that it goes on without, each with the reason
    """

    handed: Input | None = None
    waits_for: str = ""
    look_at: float | None = None
    without: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        return bool(self.waits_for) or self.look_at is not None


class TimeOrder(Assembly):
    def __init__(self, store: Store, records: Records, terms: Terms) -> None:
        super().__init__(store, records, terms)
        self.timeline = Timeline(store.connection)

    def look_over(self, now: float) -> None:
        """Look at all that waits, whatever has been missed: the service starts, or is told other terms."""
        with self.store.transaction():
            for link in self.timeline.waiting():
                self._consider(link, now)

    def postpone(self, seconds: float, now: float) -> None:
        """All clocks stood still so long: those of associations, and of exposures that wait."""
        with self.store.transaction():
            self.store.postpone(seconds, now)
            self.timeline.postpone(seconds, now)

    def shift(self, worker: str, seconds: float, now: float) -> None:
        """The wall clock was set: see `Store.shift`."""
        with self.store.transaction():
            self.store.shift(worker, seconds, now)
            self.timeline.postpone(seconds, now)

    def release_exposure(self, exposure: str, now: float) -> bool:
        """Have an exposure go on that waits for its predecessor; False if it does not."""
        link, job = self.timeline.link(exposure), self._newest(exposure)
        if link is None or job is None or not job.held:
            return False
        with self.store.transaction():
            self._consider(link, now, insist=True)
        return True

    def _line_up(self, known: Known, work: Work, now: float) -> None:
        """An exposure whose job has just been put, or is known: it has its place in the order of time."""
        link = self._link_of(work, now)
        if link is None:
            self.records.note(known.path, "its header does not say when it began: it is not in order of time")
            return
        before = self.timeline.enter(link)
        self._consider(link, now)
        self._tell_next(link, now)
        if before is not None and (before.detector, before.start) != (link.detector, link.start):
            self._tell_next(before, now)

    def _known(self, work: Work) -> Job | None:
        """The job that does this for a chained exposure, whatever was handed to it."""
        job = self._newest(work.subject) if work.chained else None
        same = job is not None and _bare(work_of(job.payload)).key == work.key
        return job if same else None

    def _line_up_again(self, work: Work, now: float) -> None:
        """An exposure is to be made again."""
        link = self.timeline.link(work.subject) or self._link_of(work, now)
        if link is not None:
            link = msgspec.structs.replace(link, since=now)
            self.timeline.enter(link)
            self._consider(link, now)
            self._tell_next(link, now)

    def _handed_on(self, work: Work, made: Sequence[Known], result: Result, now: float) -> None:
        """An exposure has been calibrated: what it leaves is for the next."""
        link = self.timeline.link(work.subject)
        if link is None:
            return
        left = next((known for known in made if known.kind == HANDED), None)
        flagged = any(step["name"] == "persistence" and step["status"] == "COMPLETE" for step in result.steps)
        if left is not None:
            handed: Input | None = Input(left.path, left.sha256, HANDED, again=work.again)
        else:  # where the step does not run an exposure passes on what it was given
            handed = None if flagged else work.handed
        self.timeline.hand_on(link.exposure, encode(handed) if handed else "")
        self._consider(link, now)
        self._tell_next(link, now)

    def _missed(self, work: Work, reason: str, now: float) -> None:
        """An attempt has not found what was handed to it: if no newer one has replaced that, it is lost."""
        handed, link = work.handed, self.timeline.link(work.subject)
        if handed is None or link is None or str(handed.path) not in reason:
            return
        for giver in self.timeline.before(link):
            found = _input(giver.handed or "")
            if found and found.sha256 == handed.sha256:
                self.timeline.hand_on(giver.exposure, None)
                self.records.decide("service", "go on", link.exposure, reason, now)
        self._consider(link, now)

    def _not_made(self, work: Work, now: float) -> None:
        """An attempt has failed, or the job is dead: who waits need not do so for ever."""
        link = self.timeline.link(work.subject) if work.chained else None
        if link is not None:
            self._tell_next(link, now)

    def _clocks(self, now: float, *, hurry: bool = False) -> bool:
        """Whether any exposure goes on because a clock has ended; in a hurry, all clocks have."""
        gone = False
        for link in self.timeline.due(inf if hurry else now):
            with self.store.transaction():
                gone |= self._consider(link, now, hurry=hurry)
        return gone

    def _tell_next(self, link: Link, now: float) -> None:
        """Those that follow, up to the first which has, or will have, something of its own to hand on."""
        for later in self.timeline.after(link):
            self._consider(later, now)
            job = self._newest(later.exposure)
            if later.handed is not None or (job is not None and job.state in _UNDER_WAY):
                return

    def _consider(self, link: Link, now: float, *, hurry: bool = False, insist: bool = False) -> bool:
        """Hold the exposure's job, let it go or have it made again; whether there is more to do for it.

        hurry : clocks are over; insist : it waits for nobody

        What was begun already waits for nobody either: whoever is under way before it will tell it.
        """
        job = self._newest(link.exposure)
        if job is None or job.state not in (State.READY, State.DONE):
            return False
        old = work_of(job.payload)
        begun = job.state is State.DONE or job.attempt > 0
        if begun and not self.terms.chained(old.header):
            return False
        turn = self._turn(link, job, now, hurry=hurry or begun, insist=insist)
        if turn.waits and not begun:
            self._wait(link, job, turn, now)
            return False
        self.timeline.wait(link.exposure, "", None)
        if turn.waits:
            return False
        wanted = turn.handed.sha256 if turn.handed else ""
        if wanted != (old.handed.sha256 if old.handed else ""):
            if begun:
                self._again(job, old, turn, now)
                return True
            self.store.amend(job.id, self._distinct(_taking(old, turn.handed)).job(0))
        if not job.held:
            return False
        if turn.without:
            self.records.decide("service", "go on", link.exposure, "; ".join(turn.without), now)
        return self.store.let_go(job.id, now, "; ".join(turn.without))

    def _wait(self, link: Link, job: Job, turn: Turn, now: float) -> None:
        until = f"{datetime.fromtimestamp(turn.look_at, UTC):%Y-%m-%d %H:%M:%S}" if turn.look_at else ""
        if turn.waits_for:
            reason = f"waits for its predecessor {turn.waits_for}" + (f" until {until}" if until else "")
        else:
            reason = f"waits until {until} for exposures just before it"
        self.timeline.wait(link.exposure, turn.waits_for, turn.look_at)
        if job.reason != reason or not job.held:
            self.store.hold(job.id, reason, now)

    def _again(self, job: Job, old: Work, turn: Turn, now: float) -> None:
        """What it took was not, or is no longer, what its predecessor hands on."""
        by = split_suffix(turn.handed.path.name)[0] if turn.handed else ""
        was = split_suffix(old.handed.path.name)[0] if old.handed else ""
        cause = "without predecessor" if not by else f"late predecessor {by}"
        if by and by == was:
            cause = f"its predecessor {by} hands on something else"
        work = self._work(old.pipeline, old.subject, _taking(old, None).inputs, old.header)
        again = turn.handed is not None and turn.handed.again
        work = msgspec.structs.replace(_taking(work, turn.handed), again=again)
        put = self._distinct(work).job(job.mem_mb, disk_mb=job.disk_mb, feeds=job.feeds, reason=cause)
        if self.store.put(put, now):
            self.records.decide("service", "make again", old.subject, cause, now)

    def _turn(self, link: Link, own: Job, now: float, *, hurry: bool, insist: bool) -> Turn:
        """Whom it waits for, or what it takes."""
        if not self.terms.chained(work_of(own.payload).header):
            return Turn()
        calm, patience = self.terms.clocks.hold_s, self.terms.patience_s
        if hurry or insist:  # also of a clock that was put off beyond now, as the service was away
            calm = patience = -inf
        without = []
        nearest = next(self.timeline.before(link), None)
        if awaited := self.timeline.announced(link, nearest):
            if now < link.since + patience:
                return Turn(waits_for=awaited, look_at=link.since + patience)
            without.append(f"without its predecessor {awaited}, which has not come")
        for earlier in self.timeline.before(link):
            job = self._newest(earlier.exposure)
            if job is not None and job.state in _UNDER_WAY and not insist:
                clock = _clock(job, own, link, patience, now)
                if clock is None or (now < clock and not (_less(job, own) and earlier.handed is not None)):
                    return Turn(waits_for=earlier.exposure, look_at=clock)
            if earlier.handed is not None:
                return self._calm(link, calm, now, Turn(_input(earlier.handed), without=tuple(without)))
            if job is not None and job.state is not State.DONE:
                why = f"{job.state}: {job.reason}" if job.reason else job.state
                without.append(f"without its predecessor {earlier.exposure}, which is {why}")
        return self._calm(link, calm, now, Turn(without=tuple(without)))

    def _calm(self, link: Link, calm_s: float, now: float, turn: Turn) -> Turn:
        """Not before others could have come that were taken at nearly the same time as it."""
        return turn if now >= link.since + calm_s else Turn(look_at=link.since + calm_s)

    def _distinct(self, work: Work) -> Work:
        """The same work, if it was done before, as a new edition of it."""
        while (same := self.store.by_key(work.key)) is not None:
            work = msgspec.structs.replace(work, edition=max(work.edition + 1, same.id))
        return work

    def _link_of(self, work: Work, now: float) -> Link | None:
        return link_of(work.subject, work.header, self.terms.look_back(work.header), now)

    def _newest(self, exposure: str) -> Job | None:
        return self.store.newest(f"{PIPELINE}:{exposure}")


def _clock(job: Job, own: Job, link: Link, patience_s: float, now: float) -> float | None:
    """When the wait for a predecessor's job ends, if not with that: it may fail for long, or never begin."""
    if job.state is State.READY and job.failure and not job.due and job.not_before > now:
        return job.changed_at + patience_s
    return link.since + patience_s if _less(job, own) else None


def _less(job: Job, own: Job) -> bool:
    """Whether a job is less urgent than another, which may keep it waiting for ever."""
    return job.state is State.READY and (job.boost, job.priority) < (own.boost, own.priority)


def _bare(work: Work) -> Work:
    """As it was put first."""
    return msgspec.structs.replace(_taking(work, None), edition=0)


def _taking(work: Work, handed: Input | None) -> Work:
    own = tuple(source for source in work.inputs if source.role != HANDED)
    return msgspec.structs.replace(work, inputs=own + ((handed,) if handed else ()))


def _input(handed: str) -> Input | None:
    return value_of(handed, HANDED) if handed else None
