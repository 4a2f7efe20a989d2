"""Which pipelines calibrate which exposures.

The tables follow the JWST documentation, "Pipeline stages by exposure type", and name all
pipelines; `pipeline_for` offers only those that this version has.
"""

from typing import NamedTuple

from calwebbd.stages.header import Header, flag, integer, text
from calwebbd.stages.pipelines import NAMES

PIPELINES = frozenset(NAMES)  #: what this version can run

DARKS = frozenset(
    {"NRC_DARK", "MIR_DARKALL", "MIR_DARKIMG", "MIR_DARKMRS", "NIS_DARK", "NRS_DARK", "FGS_DARK"}
)
GUIDE_STARS = frozenset(
    {"FGS_ID-IMAGE", "FGS_ID-STACK", "FGS_ACQ1", "FGS_ACQ2", "FGS_TRACK", "FGS_FINEGUIDE"}
)
CORONAGRAPHS = frozenset({"NRC_CORON", "MIR_LYOT", "MIR_4QPM"})
TIME_SERIES = frozenset({"NRC_TSIMAGE", "NRC_TSGRISM", "NRS_BRIGHTOBJ"})

#: stage 2 and stage 3 of science exposures
SCIENCE = {
    **dict.fromkeys(("NRC_IMAGE", "MIR_IMAGE", "NIS_IMAGE", "FGS_IMAGE"), ("image2", "image3")),
    "NRC_TSIMAGE": ("image2", "tso3"),
    **dict.fromkeys(sorted(CORONAGRAPHS), ("image2", "coron3")),
    "NIS_AMI": ("image2", "ami3"),
    **dict.fromkeys(("MIR_LRS-FIXEDSLIT", "MIR_LRS-SLITLESS", "MIR_MRS", "MIR_WFSS"), ("spec2", "spec3")),
    **dict.fromkeys(("NIS_SOSS", "NIS_WFSS", "NRC_WFSS"), ("spec2", "spec3")),
    **dict.fromkeys(("NRS_FIXEDSLIT", "NRS_IFU", "NRS_MSASPEC"), ("spec2", "spec3")),
    **dict.fromkeys(("NRC_TSGRISM", "NRS_BRIGHTOBJ"), ("spec2", "tso3")),
}
TARGET_ACQUISITIONS = frozenset(
    {"MIR_TACONFIRM", "MIR_TACQ", "NIS_TACONFIRM", "NIS_TACQ", "NRC_TACONFIRM", "NRC_TACQ", "NRS_CONFIRM"}
    | {"NRS_MSATA", "NRS_TACONFIRM", "NRS_TACQ", "NRS_TASLIT", "NRS_VERIFY", "NRS_WATA"}
)
#: acquisitions, focus and other images: they end with stage 2
ACQUISITIONS = TARGET_ACQUISITIONS | {
    *("MIR_CORONCAL", "NRS_IMAGE", "NRS_MIMF"),
    *("FGS_FOCUS", "NIS_FOCUS", "NRC_FOCUS", "NRS_FOCUS"),
}
LAMPS = frozenset({"NRS_AUTOFLAT", "NRS_AUTOWAVE", "NRS_LAMP"})
#: flats, lamps and external calibration: they end with stage 1
CALIBRATIONS = frozenset(
    {"FGS_INTFLAT", "FGS_SKYFLAT", "MIR_FLATIMAGE", "MIR_FLATIMAGE-EXT", "MIR_FLATMRS", "MIR_FLATMRS-EXT"}
    | {"NIS_EXTCAL", "NIS_LAMP", "NRC_FLAT", "NRC_GRISM", "NRC_LED", "NRC_WFSC"}
)
EXP_TYPES = DARKS | GUIDE_STARS | SCIENCE.keys() | ACQUISITIONS | LAMPS | CALIBRATIONS


class Route(NamedTuple):
    """The pipeline that takes a file, or None and why."""

    pipeline: str | None
    reason: str = ""


def exp_type(header: Header) -> str:
    return text(header, "EXP_TYPE").upper()


def in_series(header: Header) -> bool:
    """Whether it belongs to a time series; TSOVISIT means the visit without its acquisitions."""
    kind = exp_type(header)
    return kind in TIME_SERIES or (flag(header, "TSOVISIT") and kind in SCIENCE)


def is_tso(header: Header) -> bool:
    """Whether steps treat the exposure as a time series: one integration is none."""
    return in_series(header) and (integer(header, "NINTS") or 0) > 1


def is_wavefront(header: Header) -> bool:
    """Whether the visit measures the wavefront; its images are combined in pairs."""
    return "WFSC" in text(header, "VISITYPE").upper()


def stage1(header: Header) -> str | None:
    kind = exp_type(header)
    if kind not in EXP_TYPES:
        return None
    return "dark" if kind in DARKS else "guider" if kind in GUIDE_STARS else "detector1"


def stage2(header: Header) -> str | None:
    kind = exp_type(header)
    if kind in ACQUISITIONS:
        return "image2"
    if kind in LAMPS:
        return "image2" if text(header, "GRATING").upper() == "MIRROR" else "spec2"
    return SCIENCE.get(kind, (None, None))[0]


def stage3(header: Header) -> str | None:
    kind = exp_type(header)
    pipeline = SCIENCE.get(kind, (None, None))[1]
    if pipeline and in_series(header):
        return "tso3"
    if pipeline == "image3" and is_wavefront(header):
        return "wfs-image3"
    return pipeline


def path_of(header: Header) -> list[str]:
    """The pipelines an exposure of this header goes through, in order, as far as there are any."""
    return [name for name in (stage1(header), stage2(header), stage3(header)) if name in PIPELINES]


def stage2_input(header: Header) -> str:
    """The stage-1 product that stage 2 takes: ``rateints`` where integrations matter, else ``rate``.

    A full-frame NRC_CORON exposure of a detector without the occulted target is an
    ordinary image.
    """
    kind = exp_type(header)
    series = in_series(header) or kind == "NIS_AMI"
    return "rateints" if series or (kind in CORONAGRAPHS and _occulted(header)) else "rate"


def pipeline_for(header: Header, kind: str) -> Route:
    """Choose the pipeline for a file of this header and kind (its suffix)."""
    name = exp_type(header) or "no EXP_TYPE"
    if kind in {"uncal", "ramp"}:
        pipeline = stage1(header)
    elif kind in {"rate", "rateints"}:
        wanted = stage2_input(header)
        both = exp_type(header) == "NRC_CORON" and wanted == "rateints" and _full(header)
        if kind != wanted and not both:
            return Route(None, f"stage 2 takes the {wanted} product of {name}, not {kind}")
        pipeline = stage2(header)
    elif kind in {"cal", "calints"}:
        pipeline = stage3(header)
        if pipeline in {"image3", "wfs-image3"} and kind != "cal":
            return Route(None, f"calwebb_{pipeline} takes cal products, not {kind}")
    else:
        starts = f"no pipeline starts from {kind} products"
        return Route(None, starts if kind else "its name has no suffix that says what it is, as _uncal does")
    if pipeline is None:
        return Route(None, f"{name} has no pipeline that starts from {kind} products")
    if pipeline not in PIPELINES:
        return Route(None, f"calwebb_{pipeline} is not available in this version")
    return Route(pipeline)


def occulted(detector: str, mask: str, subarray: str) -> bool:
    """Whether a coronagraph's target is on the detector; of full-frame short-wave NIRCam on one only."""
    free = {"MASKBAR": {"NRCA1", "NRCA2", "NRCA3"}, "MASKRND": {"NRCA1", "NRCA3", "NRCA4"}}
    return not (subarray.upper() == "FULL" and detector.upper() in free.get(mask.upper(), set()))


def _full(header: Header) -> bool:
    return text(header, "SUBARRAY").upper() == "FULL"


def _occulted(header: Header) -> bool:
    return occulted(text(header, "DETECTOR"), text(header, "PUPIL"), text(header, "SUBARRAY"))
