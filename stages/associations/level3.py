"""Stage-3 associations from headers: exposures of one observation with one optical path.

Candidates other than the observation (mosaics over several observations, backgrounds,
PSF stars) are in no header; an association file dropped into the folder names them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from calwebbd.stages.associations.asn import UNDEGRADED, Association, Member, Product
from calwebbd.stages.associations.pool import row_of, value
from calwebbd.stages.associations.rules3 import RULES
from calwebbd.stages.exptypes import stage3
from calwebbd.stages.header import Header, text
from calwebbd.stages.names import level3_name, level3_optics

#: The archive numbers targets as the proposal does, which no header repeats. An observation has one
#: target, as a rule, and beside its number the target's says nothing: it is the first, whatever came
#: before. Others of the same observation are numbered as they come, lest their products share a name.
FIRST = "t001"
Exposure = TypeVar("Exposure")


@dataclass(frozen=True, order=True)
class GroupKey:
    """What the members of an image3 association have in common (associations §8)."""

    asn_type: str  #: image3
    rule: str
    program: str  #: five digits
    candidate: str  #: oNNN
    instrument: str
    filter: str
    pupil: str  #: empty where the instrument has no pupil wheel
    subarray: str
    target: str = FIRST  #: its number in the observation

    @property
    def product_name(self) -> str:
        """As ``jw01234-o001_t001_nircam_clear-f200w-sub320``."""
        optics = level3_optics(self.filter, self.pupil)
        return level3_name(self.program, self.candidate, self.target, self.instrument, optics, self.subarray)


def level3_key(header: Header) -> GroupKey | None:
    """The group of an exposure; None if stage 3 does not combine it, or not in this version.

    Background fields make products of their own; images of a PSF star make none.
    Detectors, modules, dithers, visits and segments all join.
    """
    observation, row = text(header, "OBSERVTN"), row_of(header, "")
    if stage3(header) != "image3" or not observation:
        return None
    rule = next((rule for rule in RULES if rule.belongs(row) and rule.part(row) == "science"), None)
    if rule is None:
        return None
    return GroupKey(
        asn_type=rule.asn_type,
        rule=rule.name,
        program=text(header, "PROGRAM").zfill(5),
        candidate=f"o{observation.zfill(3)}",
        instrument=text(header, "INSTRUME").lower(),
        filter=value(row, "filter"),
        pupil=value(row, "pupil"),
        subarray=value(row, "subarray"),
    )


def target_of(header: Header) -> str:
    """The name by which targets are told apart: the proposer's, else that of the catalogue."""
    return (text(header, "TARGPROP") or text(header, "TARGNAME")).lower()


def numbered(key: GroupKey, number: int) -> GroupKey:
    """The group of an exposure whose target is so many-th of its observation."""
    return replace(key, target=f"t{number:03d}")


def level3_groups(exposures: Iterable[tuple[Exposure, Header]]) -> dict[GroupKey, list[Exposure]]:
    """All groups of these exposures; targets are numbered in the order given."""
    groups: dict[GroupKey, list[Exposure]] = {}
    targets: dict[tuple[str, str], list[str]] = {}
    for exposure, header in exposures:
        key = level3_key(header)
        if key is not None:
            seen, target = targets.setdefault((key.program, key.candidate), []), target_of(header)
            if target not in seen:
                seen.append(target)
            groups.setdefault(numbered(key, seen.index(target) + 1), []).append(exposure)
    return groups


def make_asn(
    key: GroupKey, members: Iterable[str], *, version_id: str | None = None, degraded: str = ""
) -> Association:
    """Associate the cal files `members`, ordered by name; `degraded` says what is missing, if anything."""
    candidate = f"[('{key.candidate}', 'observation')]"
    science = tuple(Member(name, "science", asn_candidate=candidate) for name in sorted(set(members)))
    path = (key.instrument, key.filter, key.pupil, key.subarray)
    return Association(
        asn_type=key.asn_type,
        asn_rule=f"candidate_{key.rule}",
        version_id=version_id,
        degraded_status=degraded or UNDEGRADED,
        program=key.program,
        constraints="one optical path: " + " ".join(filter(None, path)),
        asn_id=key.candidate,
        target=key.target,
        products=(Product(key.product_name, science),),
    )
