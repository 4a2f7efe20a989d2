"""What happens when something happens: each event is one transaction.

A file has arrived, a job was computed, published or failed, a group is complete: the
records are written and the jobs that follow are put in the same transaction. No
process, thread or clock is touched here, so that every case can be tested by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.daemon import programs
from calwebbd.daemon.config import Config, Rule
from calwebbd.daemon.contexts.epochs import Epochs
from calwebbd.daemon.intake import Refused, Seen
from calwebbd.daemon.records import Known, Records, stamp
from calwebbd.daemon.route import (
    STAGES,
    estimate_disk_mb,
    estimate_mb,
    follow,
    member_name,
    stage_of,
)
from calwebbd.daemon.work import Input, Result, Work, encode, work_of
from calwebbd.queues.groups import Clocks, Group, Verdict, judge
from calwebbd.queues.job import Job, State
from calwebbd.queues.retry import Failure
from calwebbd.queues.stages import Breaker
from calwebbd.queues.store import Store
from calwebbd.stages import plugins
from calwebbd.stages.associations import (
    Association,
    GroupKey,
    asn_file_name,
    completeness,
    level3_key,
    make_asn,
)
from calwebbd.stages.exptypes import PIPELINES


@dataclass(frozen=True)
class Terms:
    """What all jobs put from now on have in common."""

    output: Path
    context: str
    code: str
    budget_mb: int
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    quicklook: bool = False
    sidecars: bool = False
    level3: bool = True
    clocks: Clocks = field(default_factory=lambda: Clocks(hold_s=5.0, quiet_s=600.0, hard_s=72 * 3600.0))
    breaker: Breaker = field(default_factory=Breaker)
    estimate: Callable[[str, Sequence[Mapping[str, Any]]], int] = estimate_mb

    def rules_for(self, header: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
        """Parameters that the site sets for such exposures, by the name of their rule."""
        return {rule.name: rule.steps for rule in self.rules if rule.steps and rule.concerns(header)}


def terms(config: Config, context: str) -> Terms:
    """What the configuration says of them."""
    waits, queue = config.associations, config.queue
    return Terms(
        output=config.folders.output,
        context=context,
        code=plugins.code(),
        budget_mb=config.workers.budget_mb,
        steps=config.steps,
        rules=config.rules,
        quicklook=config.products.quicklook,
        sidecars=config.products.sidecars,
        level3=waits.level3,
        clocks=Clocks(waits.hold_seconds, waits.quiet_seconds, waits.hard_seconds),
        breaker=Breaker(queue.failures, queue.probe_seconds),
    )


class Listed(msgspec.Struct, frozen=True):
    """An association that was dropped in: the payload of its group, one product of it."""

    asn: Association
    source: Input

    @property
    def roles(self) -> dict[str, str]:
        return {Path(m.expname).name: m.exptype for m in self.asn.products[0].members}


class Dispatch:
    def __init__(self, store: Store, records: Records, terms: Terms) -> None:
        self.store = store
        self.records = records
        self.terms = terms
        self.epochs = Epochs(store.connection)
        self.behind = False  #: whether something was made in another context than that in force

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
            for source in work.inputs:
                if reason := result.left_out.get(source.path.name):
                    self.records.note(source.path, f"left out of {work.subject}: {reason}")
            if self.store.relax(job.stage, now):
                self.records.decide("service", "resume", job.stage, f"{work.subject} went well", now)
            for product in made:
                self._follow(product, now, again=work.again)
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

    def reject(self, now: float) -> list[Job]:
        """Give up jobs that need more memory than the service may use."""
        with self.store.transaction():
            rejected = self.store.reject(self.terms.budget_mb, now)
            for job in rejected:
                self._lament(job, work_of(job.payload), Failure.MEMORY, job.reason, now)
        return rejected

    def assemble(self, now: float, *, hurry: bool = False) -> bool:
        """Fire the groups whose time has come; says whether there was any."""
        fired = False
        for group in self.store.open_groups():
            key = programs.key_of(group)
            verdict = judge(group, self.terms.clocks, now, hurry=hurry)
            if key and not hurry and self.records.unfinished(key.program, key.pipeline):
                verdict = Verdict(False, "others of its program are being made")
            if not verdict.fire:
                self.store.explain(group.name, verdict.reason)
                continue
            contents = [_value(member.value, "").sha256 for member in group.satisfied]
            context, reason = self.epochs.common(group.name, contents, self.terms.context)
            if context is None:
                self.store.explain(group.name, reason)
                continue
            with self.store.transaction():
                self.store.fire(group.name, verdict.reason, now)
                self.records.decide("service", "combine", group.name, verdict.reason, now)
                work = msgspec.structs.replace(self._work_of(group, key), context=context)
                headers, feeds = [work.header] * len(work.inputs), self._fed_by(work)
                self._put(work, headers, now, feeds=feeds, reason=verdict.reason)
            fired = True
        return fired

    def redo(self, number: int, now: float, *, live: bool, reason: str) -> None:
        """Put a job once more, in the context in force; behind what is new unless it was never done."""
        job = self.store.get(number)
        old = work_of(job.payload)
        terms = self.terms
        work = msgspec.structs.replace(
            old,
            inputs=tuple(msgspec.structs.replace(source, again=not live) for source in old.inputs),
            context=terms.context,
            code=terms.code,
            steps=terms.steps,
            rules=terms.rules_for(old.header),
            again=not live,
        )
        same = self.store.by_key(work.key)
        if same is not None and same.state not in {State.READY, State.RUNNING, State.PUBLISHING}:
            epoch = self.epochs.active()
            work = msgspec.structs.replace(work, edition=epoch.id if epoch else 1)
        self.store.put(work.job(job.mem_mb, disk_mb=job.disk_mb, feeds=job.feeds, reason=reason), now)

    def _follow(self, known: Known, now: float, *, again: bool = False) -> None:
        """Groups that wait for this file have it; its own pipeline is put in the queue."""
        value = encode(Input(known.path, known.sha256, again=again))
        step = follow(known.kind, known.header)
        feeds = self._join(step.group, known, now) if step.group and self.terms.level3 else ""
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
        self._put(self._work(step.pipeline, subject, source, known.header), [known.header], now, feeds=feeds)

    def _join(self, key: GroupKey, known: Known, now: float) -> str:
        """Make the exposure a member of its group, and say which of the others have come."""
        group = f"{key.asn_type}:{key.product_name}"
        facts = msgspec.json.encode(known.header, order="deterministic").decode()
        self.store.open_group(group, msgspec.json.encode(key).decode(), now)
        self.store.join_group(group, member_name(known.path.name), facts, now)
        found = self.store.group(group)
        if not found.listed:
            headers = [msgspec.json.decode(member.facts) for member in found.members]
            others = self.records.headers_like(
                f"jw{key.program}{key.candidate.removeprefix('o')}*_uncal.fits"
            )
            answer = completeness(headers, others)
            self.store.assess(group, answer.complete, "" if answer.complete else answer.reason)
        return group

    def _expect(self, seen: Seen, awaited: Mapping[Path, str], now: float) -> None:
        """A manifest: what has come already is held against it."""
        self.records.catalogue(seen.known, seen.stamp, seen.size, "input", now, f"names {len(awaited)} files")
        for path in self.records.expect(seen.known.path, awaited, now):
            reason = self.records.contradiction(path, self.records.at(path))
            self.records.quarantine(path, stamp(path) or "", reason, now, known=True)

    def _join_program(self, key: programs.Key, known: Known, now: float) -> None:
        facts = msgspec.json.encode(known.header, order="deterministic").decode()
        self.store.open_group(key.group, msgspec.json.encode(key).decode(), now)
        self.store.join_group(key.group, known.path.name, facts, now)
        self.store.assess(key.group, False, programs.OPEN_END)

    def _list(self, seen: Seen, asn: Association, now: float) -> None:
        """A dropped-in association: its members, and no others, make its products."""
        known = seen.known
        if asn.pipeline not in PIPELINES or STAGES[asn.pipeline] == 1:
            reason = f"asn_type is {asn.asn_type!r}: no pipeline of this version makes its products"
            self.records.quarantine(known.path, seen.stamp, reason, now)
            return
        for product in asn.products:
            one = msgspec.structs.replace(asn, products=(product,))
            payload = encode(Listed(one, Input(known.path, known.sha256, "asn")))
            names = [Path(member.expname).name for member in product.members]
            group = f"{asn.pipeline}:{product.name}"
            self.store.list_group(group, payload, names, now)
            for name in names:
                found = self.records.named(name)
                if found is not None:
                    self.store.satisfy(group, name, encode(Input(found.path, found.sha256)), now)

    def _work_of(self, group: Group, key: programs.Key | None) -> Work:
        if key is None:
            return self._listed(group) if group.listed else self._collected(group)
        inputs = tuple(_value(m.value, "science") for m in group.satisfied)
        header = msgspec.json.decode(group.satisfied[0].facts)
        asn, name = programs.association(key, group)
        changes = {"asn": msgspec.to_builtins(asn), "asn_name": name, "made": True}
        work = self._work(key.pipeline, key.product, inputs, header)
        return msgspec.structs.replace(work, **changes)

    def _listed(self, group: Group) -> Work:
        listed = msgspec.json.decode(group.payload, type=Listed, dec_hook=_path)
        inputs = [_value(m.value, listed.roles[m.name]) for m in group.satisfied]
        product = listed.asn.products[0]
        members = tuple(msgspec.structs.replace(m, expname=Path(m.expname).name) for m in product.members)
        asn = msgspec.structs.replace(
            listed.asn, products=(msgspec.structs.replace(product, members=members),)
        )
        science = next(name for name, role in listed.roles.items() if role == "science")
        made_of = tuple(sorted(inputs, key=lambda source: source.path.name))
        work = self._work(listed.asn.pipeline, product.name, made_of, self._header(science))
        changes = {"asn": msgspec.to_builtins(asn), "asn_name": listed.source.path.name}
        return msgspec.structs.replace(work, **changes)

    def _collected(self, group: Group) -> Work:
        key = msgspec.json.decode(group.payload, type=GroupKey)
        members = group.satisfied
        again = f"v{group.version + 1:03d}" if group.version else None
        degraded = "" if group.complete else f"Incomplete: {group.missing}"
        asn = make_asn(key, [m.name for m in members], version_id=again, degraded=degraded)
        inputs = tuple(_value(m.value, "science") for m in members)
        work = self._work(key.asn_type, key.product_name, inputs, msgspec.json.decode(members[0].facts))
        alike = group.name.partition("_")[0] + "_"  # one program's candidate: their files are numbered
        name = asn_file_name(asn, self.store.ordinal(group.name, alike))
        changes = {"asn": msgspec.to_builtins(asn), "asn_name": name, "made": True}
        return msgspec.structs.replace(work, **changes)

    def _fed_by(self, work: Work) -> str:
        """The group that waits for what an association of stage 2 makes."""
        key = level3_key(work.header) if work.stage == 2 and self.terms.level3 else None
        return f"{key.asn_type}:{key.product_name}" if key else ""

    def _header(self, name: str) -> dict[str, Any]:
        found = self.records.named(name)
        return found.header if found else {}

    def _work(self, pipeline: str, subject: str, inputs: tuple[Input, ...], header: dict[str, Any]) -> Work:
        return Work(
            stage=stage_of(pipeline),
            pipeline=pipeline,
            subject=subject,
            inputs=inputs,
            context=self.terms.context,
            code=self.terms.code,
            header=header,
            steps=self.terms.steps,
            rules=self.terms.rules_for(header),
            quicklook=self.terms.quicklook,
            sidecars=self.terms.sidecars,
            again=all(source.again for source in inputs),
        )

    def _put(
        self,
        work: Work,
        headers: Sequence[Mapping[str, Any]],
        now: float,
        *,
        feeds: str = "",
        reason: str = "",
    ) -> None:
        # An estimate is no proof: what seems larger than the budget is tried alone.
        mem_mb = min(self.terms.estimate(work.pipeline, headers), self.terms.budget_mb)
        disk_mb = estimate_disk_mb(work.pipeline, headers)
        self.store.put(work.job(mem_mb, disk_mb=disk_mb, feeds=feeds, reason=reason), now)

    def _lament(self, job: Job, work: Work, failure: Failure | None, reason: str, now: float) -> None:
        """Groups need not wait for what a dead job was to make; wrong input is quarantined."""
        member = f"{work.subject}_cal.fits"
        for group in self.store.awaiting(member):
            self.store.give_up(group, member, reason)
        if failure is Failure.INPUT and work.asn is None:
            path = work.inputs[0].path
            self.records.quarantine(path, stamp(path) or "", f"{work.pipeline}: {reason}", now, known=True)


def _value(value: str | None, role: str) -> Input:
    found = msgspec.json.decode(value or "", type=Input, dec_hook=_path)
    return msgspec.structs.replace(found, role=role)


def _path(kind: type, value: Any) -> Any:
    return kind(value)
