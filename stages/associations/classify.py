"""The part of an exposure in an association, and the products by which it takes part.

Specification associations §6.
"""

import re

from calwebbd.stages.associations.pool import Row, value
from calwebbd.stages.exptypes import (
    ACQUISITIONS,
    CORONAGRAPHS,
    DARKS,
    SCIENCE,
    TARGET_ACQUISITIONS,
    TIME_SERIES,
    occulted,
)

IMAGES = frozenset({"NRC_IMAGE", "MIR_IMAGE", "NIS_IMAGE", "FGS_IMAGE", "NRS_MIMF"})
#: that image2 calibrates: science …
IMAGE2 = frozenset(kind for kind, (stage2, _) in SCIENCE.items() if stage2 == "image2") | {"NRS_MIMF"}
#: … and what is treated as such
NON_SCIENCE = ACQUISITIONS - {"NRS_MIMF", "FGS_FOCUS"}
LEVEL2 = SCIENCE.keys() | IMAGE2 | NON_SCIENCE

ROLES = {
    **dict.fromkeys(TARGET_ACQUISITIONS - {"NRS_VERIFY"}, "target_acquisition"),
    **dict.fromkeys(DARKS - {"FGS_DARK"}, "dark"),
    **dict.fromkeys(("MIR_FLATIMAGE", "MIR_FLATMRS", "MIR_FLATIMAGE-EXT", "MIR_FLATMRS-EXT"), "flat"),
    **dict.fromkeys(("NIS_FOCUS", "NIS_LAMP", "NRC_FOCUS", "NRC_LED"), "engineering"),
    **dict.fromkeys(("NRS_FOCUS", "NRS_IMAGE", "NRS_LAMP"), "engineering"),
    "NRC_FLAT": "flat",
    "NRS_AUTOFLAT": "autoflat",
    "NRS_AUTOWAVE": "autowave",
}

_RAW = re.compile(r"(.+)_uncal(\..+)")


def exp_type(row: Row) -> str:
    return value(row, "exp_type").upper()


def role(row: Row) -> str:
    """``science``, ``background``, ``psf``, ``imprint``, ``target_acquisition``, …"""
    pointing = value(row, "pntgtype") or "science"
    if pointing != "science":
        return pointing
    if other := ROLES.get(exp_type(row)):
        return other
    for column, part in (("is_psf", "psf"), ("is_imprt", "imprint"), ("bkgdtarg", "background")):
        if value(row, column):
            return part
    return "science"


def is_series(row: Row) -> bool:
    """Whether the exposure is part of a time series."""
    if not _on_science(row):
        return False
    return value(row, "tsovisit") == "t" or exp_type(row) in TIME_SERIES


def is_wavefront(row: Row) -> bool:
    """Whether the visit senses or controls the wavefront."""
    return "wfsc" in value(row, "visitype")[1:-1]


def by_integration(row: Row) -> bool:
    """Whether integrations matter, so that rateints and calints take part, not rate and cal."""
    kind = exp_type(row)
    if not _on_science(row):
        return False
    coronagraph = kind in CORONAGRAPHS and (kind != "NRC_CORON" or has_target(row))
    return coronagraph or kind == "NIS_AMI" or is_series(row)


def has_target(row: Row) -> bool:
    """Whether a coronagraph's target is on the detector."""
    return occulted(value(row, "detector"), value(row, "pupil"), value(row, "subarray"))


def rate_name(row: Row, ints: bool) -> str:
    """The file by which the exposure takes part in stage 2; a name that is not ``_uncal`` stays."""
    return _renamed(row["filename"], "rateints" if ints else "rate")


def cal_name(row: Row, ints: bool, part: str) -> str:
    """The file by which the exposure takes part in stage 3: backgrounds are subtracted as spectra."""
    suffix = "x1d" if part == "background" else "cal" if exp_type(row) in LEVEL2 else "rate"
    return _renamed(row["filename"], f"{suffix}ints" if ints else suffix)


def _on_science(row: Row) -> bool:
    return value(row, "pntgtype") == "science" and exp_type(row) not in TARGET_ACQUISITIONS


def _renamed(name: str, suffix: str) -> str:
    found = _RAW.match(name)
    return f"{found[1]}_{suffix}{found[2]}" if found else name
