"""Level 3: exposures of a candidate with one target and one optical path (associations §8, §9)."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from calwebbd.stages.associations.asn import Member
from calwebbd.stages.associations.classify import IMAGES, cal_name, exp_type, is_series, role
from calwebbd.stages.associations.pool import Candidate, Row, value
from calwebbd.stages.associations.rules import Columns, Draft, Rule
from calwebbd.stages.names import level3_name, level3_optics

ELEMENTS: tuple[Columns, ...] = (("filter",), ("pupil", "grating"))
PATH: tuple[Columns, ...] = (
    ("program",),
    ("instrume",),
    *ELEMENTS,
    ("fxd_slit",),
    ("subarray",),
    ("exp_type",),
)

#: candidates that mean several observations
SEVERAL = frozenset({"group", "background", "mosaic"})
_DIRECT = re.compile(r"\[\('c\d{4}', 'direct_image'\)\]")


def standard_name(draft: Draft) -> str:
    """As ``jw01234-o001_t001_nircam_clear-f200w-sub320``."""
    row = draft.rows[0]
    optics = level3_optics(*(value(row, *columns) for columns in ELEMENTS))
    slit = f"-{value(row, 'fxd_slit')}" if value(row, "fxd_slit") else ""
    place = draft.program, draft.candidate.id, draft.rule.target(draft), value(row, "instrume")
    return level3_name(*place, optics + slit, value(row, "subarray"))


def pair_name(draft: Draft) -> str:
    """Of a wavefront pair; wfs_combine fills in the suffix."""
    row = draft.rows[0]
    return f"{standard_name(draft)}-{value(row, 'detector')}_{{suffix}}-{value(row, 'act_id'):0>2}"


@dataclass(frozen=True, kw_only=True)
class Level3(Rule):
    """targeted : members have one target
    special : what it takes is its science, acquisitions excepted
    least : number of members
    kinds : of the candidates by which it associates
    named : gives the product's name
    """

    asn_type: str = "image3"
    alike: tuple[Columns, ...] = (*PATH, ("visitype",))
    targeted: bool = True
    special: bool = False
    least: int = 1
    kinds: Callable[[str], bool] = lambda kind: True
    named: Callable[[Draft], str] = standard_name

    def part(self, row: Row) -> str:
        found = role(row)
        return "science" if self.special and found != "target_acquisition" else found

    def member(self, row: Row) -> Member:
        part = self.part(row)
        name = cal_name(row, self.by_integration(row), part)
        return Member(name, part, row.get("exposerr"), asn_candidate=row.get("asn_candidate", "null"))

    def valid(self, draft: Draft) -> bool:
        kind = draft.candidate.kind
        mine = {value(r, "obs_num") for r in draft.rows if self.belongs(r)} - {""}
        several = kind not in SEVERAL or len(mine) > 1
        return several and self.kinds(kind) and len(draft.members) >= self.least and draft.has("science")

    def product(self, draft: Draft) -> str:
        return self.named(draft)

    def target(self, draft: Draft) -> str:
        return f"t{self._target(draft.rows[0]):0>3}"

    def key(self, row: Row) -> tuple[str, ...]:
        return (*super().key(row), self._target(row))

    def belongs(self, row: Row) -> bool:
        """Whether the rule makes an association of the row; acquisitions only join one."""
        there = value(row, "program") and value(row, "instrume") and value(row, "subarray")
        target = not self.targeted or _direct(row) or value(row, "targetid")
        return bool(there and target) and not value(row, "is_imprt") and self.takes(row)

    def _target(self, row: Row) -> str:
        return value(row, "targetid") if self.targeted and not _direct(row) else ""


def _direct(row: Row) -> bool:
    """Direct images of pure parallels have no target."""
    return bool(_DIRECT.fullmatch(row.get("asn_candidate", "")))


def combined(row: Row) -> bool:
    """Images that are stacked: no time series, no wavefront sensing."""
    return exp_type(row) in IMAGES and "wfsc" not in value(row, "visitype") and not is_series(row)


def sky(row: Row) -> bool:
    return combined(row) and not value(row, "bkgdtarg")


def short_coronagraph(row: Row) -> bool:
    whole = value(row, "channel") == "short" and value(row, "subarray") == "full"
    return (
        exp_type(row) == "NRC_CORON" and whole and not value(row, "bkgdtarg", "is_psf") and not is_series(row)
    )


def dithered_pair(row: Row) -> bool:
    pattern, note = value(row, "patttype"), value(row, "dms_note")
    known = value(row, "detector") and value(row, "obs_id") and value(row, "act_id")
    return exp_type(row) in IMAGES and pattern == "wfsc" and note != "wfsc_los_jitter" and bool(known)


#: in the order in which they are tried
RULES = (
    Level3(name="Asn_Lv3Image", takes=sky),
    Level3(
        name="Asn_Lv3ImageBackground",
        takes=lambda row: combined(row) and bool(value(row, "bkgdtarg")),
        special=True,
    ),
    Level3(
        name="Asn_Lv3ImageMosaic",
        takes=sky,
        targeted=False,
        kinds=lambda kind: kind == "mosaic",
    ),
    Level3(
        name="Asn_Lv3NRCCoronImage",
        takes=short_coronagraph,
        alike=(*PATH, ("channel",)),
        by_integration=lambda row: False,
        named=lambda draft: f"{standard_name(draft)}-image3",
    ),
    Level3(
        name="Asn_Lv3WFSCMB",
        asn_type="wfs-image3",
        takes=dithered_pair,
        alike=(*PATH, ("detector",), ("obs_id",), ("act_id",)),
        least=2,
        kinds=lambda kind: kind != "group",
        named=pair_name,
    ),
)


def gather(rows: Iterable[Row], candidate: Candidate) -> list[Draft]:
    """The associations of a candidate's rows, in the order in which they came to be.

    A target acquisition joins every association with its instrument and observation: those
    that are there at once, the others at the end.
    """
    drafts: dict[tuple[str, tuple[str, ...]], Draft] = {}
    observed: dict[tuple[str, ...], dict[int, Draft]] = defaultdict(dict)
    acquisitions: list[Row] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        observation = observed[value(row, "program"), value(row, "instrume"), value(row, "obs_num")]
        met: set[str] = set()  # rules that have the row: they make no new association of it
        if _acquisition(row):
            acquisitions.append(row)
            met = _join(row, observation)
        for rule in RULES:
            if not rule.belongs(row):
                continue
            key, file = (rule.name, rule.key(row)), (rule.name, row["filename"])
            if key not in drafts and file not in seen and rule.name not in met:
                drafts[key] = Draft(rule, candidate)
            seen.add(file)
            if key in drafts:
                drafts[key].add(row)
                if value(row, "obs_num"):
                    observation[id(drafts[key])] = drafts[key]
    for row in acquisitions:
        _join(row, observed[value(row, "program"), value(row, "instrume"), value(row, "obs_num")])
    return list(drafts.values())


def _acquisition(row: Row) -> bool:
    known = value(row, "obs_num") and not value(row, "is_imprt")
    return role(row) == "target_acquisition" and bool(known)


def _join(row: Row, observation: Mapping[int, Draft]) -> set[str]:
    """Add the row to all associations of its observation; the names of their rules."""
    for draft in observation.values():
        draft.add(row)
    return {draft.rule.name for draft in observation.values()}
