"""Level 2: each science exposure makes a product of its own (specification associations §7).

Dedicated backgrounds of the same mode join the science exposures of their candidate. An
exposure may be taken by several rules; of equal associations `prune` keeps the last.
"""

from collections import defaultdict
from collections.abc import Iterable
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
    ("exp_type",),
    ("instrume",),
    ("detector",),
    ("filter", "band"),
    ("pupil", "grating"),
    ("fxd_slit",),
    ("subarray",),
    ("channel",),
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


def in_mode(row: Row) -> bool:
    """Whether instrument and optical path are known, and let light through."""
    path = value(row, "instrume") and value(row, "detector") and value(row, "filter", "band")
    return bool(path) and value(row, "filter") != "opaque" and not is_wavefront(row)


def plain_image(row: Row) -> bool:
    return _image(row) and in_mode(row) and not is_series(row)


def series_image(row: Row) -> bool:
    return _image(row) and in_mode(row) and is_series(row)


def auxiliary_image(row: Row) -> bool:
    """Of the background or of a PSF star, calibrated for itself too."""
    return _image(row) and in_mode(row) and bool(value(row, "bkgdtarg", "is_psf"))


def wavefront_image(row: Row) -> bool:
    jitter = value(row, "dms_note") == "wfsc_los_jitter" and exp_type(row) == "NRC_IMAGE"
    return _image(row) and is_wavefront(row) and not jitter


def guider_image(row: Row) -> bool:
    return exp_type(row) in {"FGS_IMAGE", "FGS_FOCUS"} and not is_wavefront(row)


def whole_coronagraph(row: Row) -> bool:
    """Full frame with the target on it: calibrated by integration, and as a whole besides."""
    full = value(row, "subarray") == "full" and bool(value(row, "pupil"))
    return exp_type(row) == "NRC_CORON" and in_mode(row) and full and has_target(row)


def lamp_image(row: Row) -> bool:
    mirror, mode = value(row, "grating") == "mirror", value(row, "opmode")
    return exp_type(row) == "NRS_LAMP" and mirror and mode in {"", "image"}


def no_science(row: Row) -> bool:
    """Acquisitions, focus and the like, whose images are calibrated all the same."""
    state, grating = value(row, "msastate"), value(row, "grating")
    shutters = exp_type(row) == "NRS_MSASPEC" and state == "primarypark_allopen" and grating == "mirror"
    return shutters or role(row) == "target_acquisition" or exp_type(row) in NON_SCIENCE


def _image(row: Row) -> bool:
    return exp_type(row) in IMAGE2


#: in the order in which they are tried
RULES = (
    Level2(
        name="Asn_Lv2CoronAsRate",
        takes=whole_coronagraph,
        alike=MODE,
        backgrounds=True,
        by_integration=is_series,
    ),
    Level2(name="Asn_Lv2FGS", takes=guider_image),
    Level2(name="Asn_Lv2Image", takes=plain_image, alike=MODE, backgrounds=True),
    Level2(name="Asn_Lv2ImageNonScience", takes=no_science, special=True),
    Level2(name="Asn_Lv2ImageSpecial", takes=auxiliary_image, alike=MODE, special=True),
    Level2(name="Asn_Lv2ImageTSO", asn_type="tso-image2", takes=series_image, alike=MODE),
    Level2(name="Asn_Lv2NRSLAMPImage", takes=lamp_image, special=True),
    Level2(name="Asn_Lv2WFSC", takes=wavefront_image),
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
