"""Associations as they grow: who belongs to them, and what work is to be done when they go on.

Those that headers tell of collect their members. Those of an association file or a pool are
listed: they wait for just their members, whatever their parts (backgrounds, imprints, direct images and
their catalogues), and the stages of a program that has a pool are associated by nothing else. What is
listed for a pipeline that this version does not have is held, and goes on in a version that has it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.daemon import programs
from calwebbd.daemon.intake import Seen
from calwebbd.daemon.records import Known, Records
from calwebbd.daemon.route import STAGES, estimate_disk_mb, lacking, member_name, stage_of
from calwebbd.daemon.terms import Terms
from calwebbd.daemon.work import Input, Work, encode, work_of
from calwebbd.queues.groups import Group
from calwebbd.queues.job import State
from calwebbd.queues.store import Store
from calwebbd.stages.associations import (
    Association,
    GroupKey,
    asn_file_name,
    completeness,
    level3_key,
    make_asn,
    numbered,
    target_of,
)
from calwebbd.stages.names import split_suffix


class Listed(msgspec.Struct, frozen=True):
    """An association that was dropped in: the payload of its group, one product of it.

    name : of its file, if a pool tells of it and it is not there yet
    """

    asn: Association
    source: Input
    name: str = ""

    @property
    def roles(self) -> dict[str, str]:
        return {Path(m.expname).name: m.exptype for m in self.asn.products[0].members}


class Assembly:
    def __init__(self, store: Store, records: Records, terms: Terms) -> None:
        self.store = store
        self.records = records
        self.terms = terms

    def _join(self, key: GroupKey, known: Known, now: float) -> str:
        """Make the exposure a member of its group, and say which of the others have come.

        Returns the group's name, or "" if headers do not tell of it.
        """
        if not self._by_headers(key):
            return ""
        key = self._numbered(key, known.header, now)
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

    def _join_program(self, key: programs.Key, known: Known, now: float) -> None:
        facts = msgspec.json.encode(known.header, order="deterministic").decode()
        self.store.open_group(key.group, msgspec.json.encode(key).decode(), now)
        self.store.join_group(key.group, known.path.name, facts, now)
        self.store.assess(key.group, False, programs.OPEN_END)

    def _list(self, seen: Seen, asn: Association, now: float) -> None:
        """A dropped-in association: its members, and no others, make its products."""
        known = seen.known
        if STAGES.get(asn.pipeline, 1) == 1:
            reason = f"asn_type is {asn.asn_type!r}: no pipeline of this version makes its products"
            self.records.quarantine(known.path, seen.stamp, reason, now)
            return
        self._list_products(asn, Input(known.path, known.sha256, "asn"), "", now)

    def _list_pool(self, seen: Seen, made: Mapping[str, Association], now: float) -> None:
        """The associations of a pool are those of its programs; headers tell of no others from now on."""
        source = Input(seen.known.path, seen.known.sha256, "pool")
        for program in sorted({asn.program for asn in made.values()}):
            self.records.set(f"pool {program}", str(source.path), now)
            self.store.disband(
                f"*:jw{program}-o[0-9]*", f"{source.path} tells of its program's associations", now
            )
        ours = {name: asn for name, asn in made.items() if STAGES.get(asn.pipeline, 1) > 1}
        for name, asn in sorted(ours.items()):
            self._list_products(asn, source, name, now)
        self.records.note(source.path, f"tells of {len(ours)} associations")

    def _list_products(self, asn: Association, source: Input, file: str, now: float) -> None:
        for product in asn.products:
            one = msgspec.structs.replace(asn, products=(product,))
            payload = encode(Listed(one, source, file))
            names = [Path(member.expname).name for member in product.members]
            group = f"{asn.pipeline}:{product.name}"
            self.store.list_group(group, payload, names, now)
            for name in names:
                found = self.records.named(name)
                if found is not None:
                    self.store.satisfy(group, name, encode(Input(found.path, found.sha256)), now)
            if reason := lacking(asn.pipeline):
                self.store.explain(group, reason)
                self.records.note(source.path, reason)
            self._instead(group, now)

    def _instead(self, group: str, now: float) -> None:
        """What would make the same product of its science alone need not be done first."""
        for job in self.store.ready_for(group):
            if work_of(job.payload).asn is None and self.store.is_open(group):
                self.store.withdraw(job.id, "an association makes its product, with the other members", now)

    def _coming(self, group: Group, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a member that is awaited is being made, or what it is to be made of is."""
        roots = {split_suffix(member.name)[0] for member in group.awaited}
        subjects = {f"{pipeline}:{root}" for pipeline in STAGES for root in roots}
        if self.store.unfinished(subjects):
            return True
        makers = (self.store.is_open(name) for name in sorted(subjects - seen))
        return any(self._coming(maker, seen | subjects) for maker in makers if maker)

    def _work_of(self, group: Group, key: programs.Key | None) -> Work:
        if key is None:
            return self._listed(group) if group.listed else self._collected(group)
        inputs = tuple(value_of(m.value, "science") for m in group.satisfied)
        header = msgspec.json.decode(group.satisfied[0].facts)
        asn, name = programs.association(key, group)
        changes = {"asn": msgspec.to_builtins(asn), "asn_name": name, "made": True}
        work = self._work(key.pipeline, key.product, inputs, header)
        return msgspec.structs.replace(work, **changes)

    def _listed(self, group: Group) -> Work:
        listed = msgspec.json.decode(group.payload, type=Listed, dec_hook=_path)
        inputs = [value_of(m.value, listed.roles[m.name]) for m in group.satisfied]
        product = listed.asn.products[0]
        members = [msgspec.structs.replace(m, expname=Path(m.expname).name) for m in product.members]
        there = {member.name for member in group.satisfied}
        lacking = ", ".join(member.expname for member in members if member.expname not in there)
        members = [member for member in members if member.expname in there]
        asn = msgspec.structs.replace(
            listed.asn,
            degraded_status=f"Incomplete: lacks {lacking}" if lacking else listed.asn.degraded_status,
            products=(msgspec.structs.replace(product, members=tuple(members)),),
        )
        science = next(member.expname for member in members if member.exptype == "science")
        made_of = tuple(sorted(inputs, key=lambda source: source.path.name))
        work = self._work(listed.asn.pipeline, product.name, made_of, self._header(science))
        name = listed.name or listed.source.path.name
        changes = {"asn": msgspec.to_builtins(asn), "asn_name": name, "made": bool(listed.name)}
        return msgspec.structs.replace(work, **changes)

    def has_science(self, group: Group) -> bool:
        """Whether what a group is made for is there."""
        if not group.listed:
            return True
        listed = msgspec.json.decode(group.payload, type=Listed, dec_hook=_path)
        return any(listed.roles[member.name] == "science" for member in group.satisfied)

    def _collected(self, group: Group) -> Work:
        key = msgspec.json.decode(group.payload, type=GroupKey)
        members = group.satisfied
        again = f"v{group.version + 1:03d}" if group.version else None
        degraded = "" if group.complete else f"Incomplete: {group.missing}"
        asn = make_asn(key, [m.name for m in members], version_id=again, degraded=degraded)
        inputs = tuple(value_of(m.value, "science") for m in members)
        work = self._work(key.asn_type, key.product_name, inputs, msgspec.json.decode(members[0].facts))
        alike = group.name.partition("_")[0] + "_"  # one program's candidate: their files are numbered
        name = asn_file_name(asn, self.store.ordinal(group.name, alike))
        changes = {"asn": msgspec.to_builtins(asn), "asn_name": name, "made": True}
        return msgspec.structs.replace(work, **changes)

    def _fed_by(self, work: Work, now: float) -> str:
        """The group that waits for what an association of stage 2 makes."""
        key = level3_key(work.header) if work.stage == 2 else None
        if key is None or not self._by_headers(key):
            return ""
        key = self._numbered(key, work.header, now)
        return f"{key.asn_type}:{key.product_name}"

    def _numbered(self, key: GroupKey, header: Mapping[str, Any], now: float) -> GroupKey:
        """With the number that the target has in its observation, and keeps."""
        number = self.records.target_number(key.program, key.candidate, target_of(header), now)
        return numbered(key, number)

    def _by_headers(self, key: GroupKey) -> bool:
        """Whether nothing more authoritative tells of the program's associations."""
        return self.terms.level3 and self.records.setting(f"pool {key.program}") is None

    def _facts(self, group: Group) -> dict[str, Any]:
        """The header by which rules of the site know what a group makes."""
        if group.listed:
            listed = msgspec.json.decode(group.payload, type=Listed, dec_hook=_path)
            science = (name for name, role in listed.roles.items() if role == "science")
            return self._header(next(science, ""))
        facts = next((member.facts for member in group.members if member.facts), "{}")
        return dict(msgspec.json.decode(facts))

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
            priority=self.terms.priority_for(header),
            quicklook=self.terms.quicklook,
            sidecars=self.terms.sidecars,
            again=all(source.again for source in inputs),
            chained=pipeline == "detector1" and self.terms.chained(header),
        )

    def _put(
        self,
        work: Work,
        headers: Sequence[Mapping[str, Any]],
        now: float,
        *,
        feeds: str = "",
        reason: str = "",
    ) -> bool:
        """False if just this was put before, and what it made is still there."""
        # An estimate is no proof: what seems larger than the budget is tried alone.
        mem_mb = min(self.terms.estimate(work.pipeline, headers), self.terms.budget_mb)
        disk_mb = estimate_disk_mb(work.pipeline, headers)
        if self.store.put(work.job(mem_mb, disk_mb=disk_mb, feeds=feeds, reason=reason), now):
            return True
        same = self.store.by_key(work.key)
        if same is None or same.state is not State.DONE or not self.records.replaced(same.id):
            return False
        once_more = msgspec.structs.replace(work, edition=max(work.edition + 1, same.id))
        return self._put(once_more, headers, now, feeds=feeds, reason=reason)


def value_of(value: str | None, role: str) -> Input:
    found = msgspec.json.decode(value or "", type=Input, dec_hook=_path)
    return msgspec.structs.replace(found, role=role)


def _path(kind: type, value: Any) -> Any:
    return kind(value)
