"""What happens when something happens: each event is one transaction.

A file has arrived, a job was computed, published or failed, a group is complete: the
records are written and the jobs that follow are put in the same transaction. No
process, thread or clock is touched here, so that every case can be tested by itself.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from calwebbd.daemon import programs
from calwebbd.daemon.assembly import value_of
from calwebbd.daemon.contexts.epochs import Epochs
from calwebbd.daemon.intake import Refused, Seen
from calwebbd.daemon.records import Known, Records, stamp
from calwebbd.daemon.route import follow, lacking, member_name, to_be_held
from calwebbd.daemon.terms import Terms
from calwebbd.daemon.timeorder import TimeOrder
from calwebbd.daemon.work import HANDED, Input, Result, Work, encode, work_of
from calwebbd.queues.groups import Group, Verdict, judge
from calwebbd.queues.job import Job, State
from calwebbd.queues.retry import Failure
from calwebbd.queues.store import Store
from calwebbd.stages.names import split_suffix


class Dispatch(TimeOrder):
    """behind : whether something was made in another context than that in force."""

    def __init__(self, store: Store, records: Records, terms: Terms) -> None:
        super().__init__(store, records, terms)
        self.epochs = Epochs(store.connection)
        self.behind = False

    def arrived(self, seen: Seen, now: float) -> None:
        """A whole file lies in a watched folder."""
        path = seen.known.path
        with self.store.transaction():
            if seen.awaited is not None:
                self._expect(seen, seen.awaited, now)
                return
            if lie := self.records.contradiction(path, seen.known.sha256):
                self.records.quarantine(path, seen.stamp, lie, now)
                return
            other = self.records.elsewhere(seen.known)
            if other is not None:
                reason = f"duplicate of {other}: the same content"
                self.records.catalogue(seen.known, seen.stamp, seen.size, "alias", now, reason)
                self.records.quarantine(seen.known.path, seen.stamp, reason, now, known=True)
                return
            self.records.catalogue(seen.known, seen.stamp, seen.size, "input", now, closed=seen.closed)
            if seen.asn is not None:
                self._list(seen, seen.asn, now)
            elif seen.pool is not None:
                self._list_pool(seen, seen.pool, now)
            else:
                self._follow(seen.known, now)

    def refused(self, refused: Refused, now: float) -> None:
        """A file cannot be used; it is looked at again when it changes."""
        with self.store.transaction():
            self.records.quarantine(refused.path, refused.stamp, refused.reason, now)

    def published(self, job: Job, result: Result, now: float) -> list[Known]:
        """The products are in the output folder: the job is done, and what follows begins."""
        work = work_of(job.payload)
        with self.store.transaction():
            self.store.finish(job, now)
            made = self.records.complete(job, work, result, self.terms.output, now)
            if self.store.relax(job.stage, now):
                self.records.decide("service", "resume", job.stage, f"{work.subject} went well", now)
            for product in made:
                self._follow(product, now, again=work.again)
            if work.chained:
                self._handed_on(work, made, result, now)
        self.behind |= work.context != self.terms.context
        return made

    def failed(
        self,
        job: Job,
        failure: Failure,
        reason: str,
        now: float,
        *,
        detail: str = "",
        started: float | None = None,
        jitter: float = 0.0,
        peak_mb: float | None = None,
    ) -> Job:
        """An attempt ended otherwise. Returns the job as it now is."""
        work = work_of(job.payload)
        began = job.changed_at if started is None else started
        with self.store.transaction():
            self.records.failed(job, work, failure, reason, detail, began, now, peak_mb)
            budget_mb = self.terms.budget_mb
            after = self.store.fail(
                job, failure, reason, now, jitter=jitter, budget_mb=budget_mb, peak_mb=peak_mb
            )
            paused = self.store.strain(job.stage, job.subject, failure, reason, now, self.terms.breaker)
            if paused:
                self.records.decide("service", "pause", job.stage, paused, now)
            if after.state is State.DEAD:
                self._lament(after, work, failure, reason, now)
            else:
                self._missed(work, reason, now)
                self._not_made(work, now)
        return after

    def dropped(self, job: Job, reason: str, now: float) -> bool:
        """An operator gives a job up; False if it can no longer be."""
        with self.store.transaction():
            done = self.store.drop(job.id, reason, now)
            if done:
                self._lament(job, work_of(job.payload), None, reason, now)
            return done

    def rescue(self, now: float, alive: Callable[[str], bool]) -> list[Job]:
        """Take back jobs from workers that are no more."""
        lost = self.store.lost(now, alive)
        return [self.failed(job, Failure.LOST, "its supervisor died", now) for job in lost]

    def assemble(self, now: float, *, hurry: bool = False) -> bool:
        """Fire the groups, and let the exposures go on, whose time has come; says whether there was any."""
        fired = self._clocks(now, hurry=hurry)
        for group in self.store.open_groups(to_be_held()):
            verdict = self._judge(group, now, hurry=hurry)
            if verdict.stands and group.stood_since is None:
                self.store.stand(group.name, now)
            elif group.stood_since is not None and not verdict.stands:
                self.store.go_on(group.name, now)
                verdict = self._judge(self.store.group(group.name), now, hurry=hurry)
            if not verdict.fire:
                self.store.explain(group.name, verdict.reason)
                continue
            contents = [value_of(member.value, "").sha256 for member in group.satisfied]
            context, reason = self.epochs.common(group.name, contents, self.terms.context)
            if context is None:
                self.store.explain(group.name, reason)
                continue
            with self.store.transaction():
                self._fire(group, verdict.reason, now, context)
            fired = True
        return fired

    def _judge(self, group: Group, now: float, *, hurry: bool) -> Verdict:
        """Of its clocks; but not while somebody is on the way, and not without what it is made for."""
        key = programs.key_of(group)
        header = self._facts(group) if self.terms.rules else {}
        verdict = judge(group, self.terms.clocks_of(group.name, header), now, hurry=hurry)
        if not verdict.fire and verdict.at is None:
            return verdict
        if key and not hurry and self.records.unfinished(key.program, key.pipeline):
            return verdict.stopped()
        if self._coming(group):
            return verdict.stopped()
        if verdict.fire and not self.has_science(group):
            return Verdict(False, f"{verdict.reason}; without its science nothing is made")
        return verdict

    def _fire(self, group: Group, reason: str, now: float, context: str = "") -> None:
        """context : that of the members, if it is not that in force."""
        self.store.fire(group.name, reason, now)
        self.records.decide("service", "combine", group.name, reason, now)
        work = self._work_of(group, programs.key_of(group))
        if context:
            work = msgspec.structs.replace(work, context=context)
        headers = [work.header] * len(work.inputs)
        self._put(work, headers, now, feeds=self._fed_by(work, now), reason=reason)

    def release(self, name: str, now: float) -> str:
        """Have an association go on with the members that are there; why not, or ``""``."""
        group = self.store.group(name)
        if not group.satisfied:
            return "none of its members is there"
        if not self.has_science(group):
            return "its science is not there"
        if reason := lacking(group.name.partition(":")[0]):
            return reason
        with self.store.transaction():
            without = ", ".join(member.name for member in group.members if member.value is None)
            self._fire(group, f"released by an operator without {without or 'waiting'}", now)
        return ""

    def redo(self, number: int, now: float, *, live: bool, reason: str) -> None:
        """Put a job once more, in the context in force; behind what is new unless it was never done."""
        job = self.store.get(number)
        old = work_of(job.payload)
        terms = self.terms
        work = msgspec.structs.replace(
            old,
            inputs=tuple(
                msgspec.structs.replace(source, again=not live)
                for source in old.inputs
                if source.role != HANDED
            ),
            context=terms.context,
            code=terms.code,
            steps=terms.steps,
            rules=terms.rules_for(old.header),
            priority=terms.priority_for(old.header),
            again=not live,
            chained=old.pipeline == "detector1" and terms.chained(old.header),
        )
        same = self.store.by_key(work.key)
        if same is not None and same.state not in {State.READY, State.RUNNING, State.PUBLISHING}:
            epoch = self.epochs.active()
            work = msgspec.structs.replace(work, edition=epoch.id if epoch else 1)
        put = self.store.put(work.job(job.mem_mb, disk_mb=job.disk_mb, feeds=job.feeds, reason=reason), now)
        if put and work.chained:
            self._line_up_again(work, now)

    def make_again(self, number: int, now: float, reason: str) -> bool:
        """Put a job once more, just as it was; False if it is in the queue."""
        job = self.store.get(number)
        work = work_of(job.payload)
        again = msgspec.structs.replace(work, edition=max(work.edition + 1, job.id))
        return job.state is State.DONE and self.store.put(
            again.job(job.mem_mb, disk_mb=job.disk_mb, feeds=job.feeds, reason=reason), now
        )

    def _follow(self, known: Known, now: float, *, again: bool = False) -> None:
        """Groups that wait for this file have it; its own pipeline is put in the queue."""
        value = encode(Input(known.path, known.sha256, again=again))
        step = follow(known.kind, known.header)
        feeds = self._join(step.group, known, now) if step.group else ""
        for key in programs.keys(known):
            self._join_program(key, known, now)
        waiting = self.store.awaiting(known.path.name)
        for group in waiting:
            self.store.satisfy(group, known.path.name, value, now)
        subject = member_name(known.path.name).removesuffix("_cal.fits")
        if step.pipeline is None:
            self.records.note(known.path, step.reason)
            return
        if f"{step.pipeline}:{subject}" in waiting:
            self.records.note(known.path, "an association makes its product, with the other members")
            return
        source = (Input(known.path, known.sha256, again=again),)
        work = self._work(step.pipeline, subject, source, known.header)
        if self._known(work) or not self._put(work, [known.header], now, feeds=feeds):
            self._still_wrong(work, now)
        elif work.chained:
            self._line_up(known, work, now)

    def _expect(self, seen: Seen, awaited: Mapping[Path, str], now: float) -> None:
        """A manifest: what has come already is held against it."""
        self.records.catalogue(seen.known, seen.stamp, seen.size, "input", now, f"names {len(awaited)} files")
        for path in self.records.expect(seen.known.path, awaited, now):
            reason = self.records.contradiction(path, self.records.at(path))
            self.records.quarantine(path, stamp(path) or "", reason, now, known=True)

    def _still_wrong(self, work: Work, now: float) -> None:
        """A file that was only touched, or copied: what a pipeline has found wrong in it is wrong still."""
        job = self._known(work) or self.store.by_key(work.key)
        if job is not None and job.state is State.DEAD and job.failure == Failure.INPUT:
            self._lament(job, work, Failure.INPUT, job.reason, now)

    def _lament(self, job: Job, work: Work, failure: Failure | None, reason: str, now: float) -> None:
        """No group need wait for what a dead job was to make, or what of that; wrong input is quarantined."""
        for group, member in self.store.awaited(f"{work.subject}_"):
            if split_suffix(member)[0] == work.subject:
                self.store.give_up(group, member, reason)
        if failure is Failure.INPUT and work.asn is None:
            path = work.inputs[0].path
            self.records.quarantine(path, stamp(path) or "", f"{work.pipeline}: {reason}", now, known=True)
        self._not_made(work, now)
