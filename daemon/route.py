"""From a catalogued file to what follows: pure. Only here do queues meet astronomy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calwebbd.stages import exptypes
from calwebbd.stages.associations import GroupKey, level3_key
from calwebbd.stages.associations.pool import KEYWORDS as ASSOCIATING
from calwebbd.stages.associations.pool import LOGICALS
from calwebbd.stages.exptypes import pipeline_for
from calwebbd.stages.header import Header, Value
from calwebbd.stages.memory import disk_mb, peak_mb
from calwebbd.stages.names import KEYWORDS as NAMING
from calwebbd.stages.names import split_suffix

STAGES = {
    **dict.fromkeys(("guider", "dark", "detector1"), 1),
    **dict.fromkeys(("image2", "spec2"), 2),
    **dict.fromkeys(("image3", "wfs-image3", "spec3", "tso3", "coron3", "ami3"), 3),
}

_ASKED_FOR = """
CORONMSK DATE-OBS EXPCOUNT EXPEND EXPSTART INTEND INTSTART LAMPMODE NEXPOSUR NOUTPUTS READPATT
SSTR_NST SUBSIZE1 SUBSIZE2 SUBSTRT1 SUBSTRT2 TIME-OBS
"""
#: what routing, associating and choosing references ask of a header; the rest is not catalogued
KEYWORDS = (
    frozenset(_ASKED_FOR.split())
    | ASSOCIATING
    | LOGICALS.keys()
    | {keyword for keyword, _ in NAMING.values()}
)

POOL = "_pool.csv"

#: kinds of files that are taken from a watched folder
INPUTS = frozenset({"uncal", "rate", "rateints", "cal", "calints"})
MANIFESTS = (".manifest", ".sha256")


@dataclass(frozen=True)
class Follow:
    """The pipeline for this file alone, or None and why; the group it belongs to, if any."""

    pipeline: str | None
    reason: str
    group: GroupKey | None = None


def wanted(name: str) -> bool:
    """Whether a file of this name is ours to calibrate; hidden and temporary names are not."""
    if name.startswith("."):
        return False
    if name.endswith(("_asn.json", POOL, *MANIFESTS)) or name == "SHA256SUMS":
        return True
    return name.endswith(".fits") and split_suffix(name)[2] in INPUTS


def keep(header: Header) -> dict[str, Value]:
    """The part of a header that is catalogued."""
    return {keyword: value for keyword, value in header.items() if keyword in KEYWORDS}


def follow(kind: str, header: Header) -> Follow:
    """What becomes of a file of this kind. A file that stage 3 takes waits for its group."""
    if kind == "ramp":
        return Follow(None, "stage 1 wrote it beside its rates, or in their place")
    route = pipeline_for(header, kind)
    if route.pipeline is None:
        return Follow(None, route.reason)
    group = level3_key(header)
    if STAGES[route.pipeline] == 3:
        return Follow(None, "" if group else "stage 3 has no group for it", group)
    return Follow(route.pipeline, "", group)


def member_name(name: str) -> str:
    """The file by which an exposure joins its stage-3 group."""
    return f"{split_suffix(name)[0]}_cal.fits"


def estimate_mb(
    pipeline: str,
    headers: Sequence[Mapping[str, Any]],
    *,
    threads: int = 1,
    mosaic_mb: int | None = None,
) -> int:
    """Memory a job needs, MB; see `peak_mb`."""
    return peak_mb(stage_of(pipeline), headers, threads=threads, mosaic_mb=mosaic_mb)


def estimate_disk_mb(pipeline: str, headers: Sequence[Mapping[str, Any]]) -> int:
    """Room on the disk that a job needs, MB."""
    return disk_mb(stage_of(pipeline), headers)


def lacking(pipeline: str) -> str:
    """Why this version cannot make what a pipeline makes; empty if it can."""
    known_only = pipeline in STAGES and pipeline not in exptypes.PIPELINES
    return f"calwebb_{pipeline} is not available in this version" if known_only else ""


def to_be_held() -> frozenset[str]:
    """Pipelines whose associations are gathered, and go on when a version can make them."""
    return frozenset(filter(lacking, STAGES))


def stage_of(pipeline: str) -> int:
    """Pipelines of plug-ins combine what stages 2 and 3 have made."""
    return STAGES.get(pipeline, 3)
