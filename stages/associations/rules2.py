"""Level 2: each science exposure makes a product of its own (specification associations §7).

Dedicated backgrounds of the same mode join the science exposures of their candidate. An
exposure may be taken by several rules; of equal associations `prune` keeps the last.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from calwebbd.stages.associations.asn import Member
from calwebbd.stages.associations.classify import (
    IMAGE2,
    NON_SCIENCE,
    exp_type,
    has_target,
    is_series,
    is_wavefront,
    rate_name,
    role,
)
from calwebbd.stages.associations.pool import Candidate, Row, value
from calwebbd.stages.associations.rules import Columns, Draft, Rule
from calwebbd.stages.names import split_suffix

BASE: tuple[Columns, ...] = (("program",), ("tsovisit",))
MODE: tuple[Columns, ...] = (
    *BASE,
    *(("exp_type",), ("instrume",), ("detector",), ("filter", "band"), ("pupil", "grating")),
    *(("fxd_slit",), ("subarray",), ("channel",)),
)


@dataclass(frozen=True, kw_only=True)
class Level2(Rule):
    """special : what it takes is its science, whatever its part elsewhere
    backgrounds : those of the same mode join
    """

    asn_type: str = "image2"
    alike: tuple[Columns, ...] = BASE
    special: bool = False
    backgrounds: bool = False

    def part(self, row: Row) -> str:
        found = role(row)
        return "science" if self.special or found == "psf" else found

    def member(self, row: Row) -> Member:
        return Member(rate_name(row, self.by_integration(row)), self.part(row), row.get("exposerr"))

    def valid(self, draft: Draft) -> bool:
        kind = draft.candidate.kind
        wanted = kind == "observation" or (kind == "background" and draft.has("background"))
        return wanted and draft.has("science")

    def product(self, draft: Draft) -> str:
        return split_suffix(next(m.expname for m in draft.members if m.exptype == "science"))[0]

    def target(self, draft: Draft) -> str:
        return draft.rows[0].get("targetid", "")


def of(*kinds: str) -> Callable[[Row], bool]:
    return lambda row: exp_type(row) in kinds


def both(*tests: Callable[[Row], bool]) -> Callable[[Row], bool]:
    return lambda row: all(test(row) for test in tests)


def in_mode(row: Row) -> bool:
    """Whether instrument and optical path are known, and let light through."""
    path = value(row, "instrume") and value(row, "detector") and value(row, "filter", "band")
    return bool(path) and value(row, "filter") != "opaque" and not is_wavefront(row)


def whole_coronagraph(row: Row) -> bool:
    """Full frame with the target on it: calibrated by integration, and as a whole besides."""
    return value(row, "subarray") == "full" and bool(value(row, "pupil")) and has_target(row)


def no_science(row: Row) -> bool:
    """Acquisitions, focus and the like, whose images are calibrated all the same."""
    if role(row) == "target_acquisition" or exp_type(row) in NON_SCIENCE:
        return True
    return (exp_type(row), value(row, "msastate"), value(row, "grating")) == (
        *("NRS_MSASPEC", "primarypark_allopen", "mirror"),
    )


def jitter(row: Row) -> bool:
    return value(row, "dms_note") == "wfsc_los_jitter" and exp_type(row) == "NRC_IMAGE"


science = of(*IMAGE2)

#: in the order in which they are tried
RULES = (
    Level2(
        name="Asn_Lv2CoronAsRate",
        takes=both(of("NRC_CORON"), in_mode, whole_coronagraph),
        alike=MODE,
        backgrounds=True,
        by_integration=is_series,
    ),
    Level2(name="Asn_Lv2FGS", takes=lambda r: of("FGS_IMAGE", "FGS_FOCUS")(r) and not is_wavefront(r)),
    Level2(
        name="Asn_Lv2Image",
        takes=lambda row: science(row) and in_mode(row) and not is_series(row),
        alike=MODE,
        backgrounds=True,
    ),
    Level2(name="Asn_Lv2ImageNonScience", takes=no_science, special=True),
    Level2(
        name="Asn_Lv2ImageSpecial",
        takes=lambda row: science(row) and in_mode(row) and bool(value(row, "bkgdtarg", "is_psf")),
        alike=MODE,
        special=True,
    ),
    Level2(
        name="Asn_Lv2ImageTSO", asn_type="tso-image2", takes=both(science, in_mode, is_series), alike=MODE
    ),
    Level2(
        name="Asn_Lv2NRSLAMPImage",
        takes=lambda row: (
            of("NRS_LAMP")(row)
            and value(row, "grating") == "mirror"
            and value(row, "opmode") in {"", "image"}
        ),
        special=True,
    ),
    Level2(name="Asn_Lv2WFSC", takes=lambda row: science(row) and is_wavefront(row) and not jitter(row)),
)


def gather(rows: Iterable[Row], candidate: Candidate) -> list[Draft]:
    """The associations of a candidate's rows, in the order in which they came to be.

    A background joins those of its mode that are there, and at the end the others. One that
    comes before all science opens an association, which the next science exposure joins.
    """
    drafts: list[Draft] = []
    alike: dict[tuple[str, tuple[str, ...]], list[Draft]] = defaultdict(list)
    late: list[tuple[Row, list[Draft]]] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        for rule in RULES:
            if not (value(row, "program") and rule.takes(row)):
                continue
            background = rule.backgrounds and bool(value(row, "bkgdtarg"))
            if not background and rule.part(row) != "science":
                continue
            group = alike[rule.name, rule.key(row)]
            if background:
                open_to_it = group
                late.append((row, group))
            else:
                open_to_it = [draft for draft in group[:1] if not draft.has("science")]
            for draft in open_to_it:
                draft.add(row)
            if not open_to_it and (rule.name, row["filename"]) not in seen:
                group.append(Draft(rule, candidate))
                group[-1].add(row)
                drafts.append(group[-1])
            seen.add((rule.name, row["filename"]))
    for row, group in late:
        for draft in group:
            draft.add(row)
    return drafts
