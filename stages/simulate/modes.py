"""Kinds of exposures: what light falls on the detector, and how the header names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.simulate.detectors import DETECTORS, INSTRUMENTS, Detector, known


@dataclass(frozen=True)
class Mode:
    """An exposure type of some detectors.

    detectors : how their names begin
    light : "stars" of the sky, "dark", or one of the patterns of `spectra`
    subarrays : in which the mode is the usual one; none are all that no other mode claims
    optics : entries of ``meta.instrument``; FILTER is that of the cache where not given
    """

    exp_type: str
    detectors: str
    light: str
    template: str
    subarrays: tuple[str, ...] = ()
    optics: Mapping[str, str] = field(default_factory=dict)
    tso: bool = False


SLITS = ("ALLSLITS", "SUBS200A1")
STRIPS = ("SUBSTRIP256", "SUBSTRIP96")
GRATING = {"filter": "F170LP", "grating": "G235H"}
PRISM = {"filter": "CLEAR", "grating": "PRISM"}
SOSS = {"filter": "CLEAR", "pupil": "GR700XD"}
MASKED = {"filter": "F480M", "pupil": "NRM"}
LONG, SHORT = {"channel": "34", "band": "SHORT"}, {"channel": "12", "band": "MEDIUM"}
BRIGHT = "NIRSpec Bright Object Time Series"
MRS = "MIRI Medium Resolution Spectroscopy"

#: Of those that fit, the first is the usual one.
MODES: Final = (
    Mode("NRC_IMAGE", "NRC", "stars", "NIRCam Imaging", optics={"pupil": "CLEAR"}),
    Mode("NRC_TSIMAGE", "NRC", "stars", "NIRCam Imaging", optics={"pupil": "CLEAR"}, tso=True),
    Mode("NRC_DARK", "NRC", "dark", "NIRCam Dark", optics={"pupil": "FLAT"}),
    Mode("NRS_FIXEDSLIT", "NRS", "slit", "NIRSpec Fixed Slit Spectroscopy", SLITS, GRATING),
    Mode("NRS_BRIGHTOBJ", "NRS", "slit", BRIGHT, ("SUB2048",), GRATING, tso=True),
    Mode("NRS_BRIGHTOBJ", "NRS", "prism", BRIGHT, ("SUB512", "SUB32"), PRISM, tso=True),
    Mode("NRS_IFU", "NRS", "slices", "NIRSpec IFU Spectroscopy", (), GRATING),
    Mode("NRS_DARK", "NRS", "dark", "NIRSpec Dark", (), {"filter": "OPAQUE", "grating": "MIRROR"}),
    Mode("NIS_SOSS", "NIS", "orders", "NIRISS Single-Object Slitless Spectroscopy", STRIPS, SOSS, tso=True),
    Mode("NIS_AMI", "NIS", "stars", "NIRISS Aperture Masking Interferometry", ("SUB80",), MASKED),
    Mode("NIS_IMAGE", "NIS", "stars", "NIRISS Imaging", (), {"filter": "CLEAR", "pupil": "F158M"}),
    Mode("NIS_DARK", "NIS", "dark", "NIRISS Dark", (), {"filter": "CLEAR", "pupil": "F158M"}),
    Mode("FGS_IMAGE", "GUIDER", "stars", "FGS Engineering Imaging"),
    Mode("FGS_DARK", "GUIDER", "dark", "FGS Dark"),
    Mode("MIR_LRS-SLITLESS", "MIRIM", "dispersed", "MIRI Low Resolution Spectroscopy", ("SLITLESSPRISM",),
         {"filter": "P750L"}, tso=True),
    Mode("MIR_IMAGE", "MIRIM", "stars", "MIRI Imaging"),
    Mode("MIR_DARKIMG", "MIRIM", "dark", "MIRI Dark", (), {"filter": "OPAQUE"}),
    Mode("MIR_MRS", "MIRIFUL", "channels", MRS, optics=LONG),
    Mode("MIR_MRS", "MIRIFUS", "channels", MRS, optics=SHORT),
    Mode("MIR_DARKMRS", "MIRIFUL", "dark", "MIRI Dark", optics=LONG),
    Mode("MIR_DARKMRS", "MIRIFUS", "dark", "MIRI Dark", optics=SHORT),
)  # fmt: skip

#: Subarray and read pattern.
USUAL: Final = {
    "NIRCAM": ("SUB160", "BRIGHT1"), "NIRSPEC": ("SUBS200A1", "NRSRAPID"), "NIRISS": ("SUB80", "NISRAPID"),
    "FGS": ("SUB128CNTR", "FGSRAPID"), "MIRI": ("SUB256", "FASTR1"),
}  # fmt: skip


def mode_of(detector: Detector, subarray: str, exp_type: str | None = None, tso: bool = False) -> Mode:
    """The mode of that exposure type, or the usual one of the subarray, as a time series if so asked.

    Raises ParameterError where the detector has no such mode.
    """
    own = [mode for mode in MODES if detector.name.startswith(mode.detectors)]
    if exp_type:
        known({mode.exp_type: mode for mode in own}, exp_type, f"exposure type of {detector.name}")
        own = [mode for mode in own if mode.exp_type == exp_type]
    elif tso:
        own = [mode for mode in own if mode.tso]
    claimed = [mode for mode in own if subarray in mode.subarrays]
    fitting = claimed or [mode for mode in own if not mode.subarrays] or own
    if not fitting:
        raise ParameterError(f"{detector.name} makes no time series", step="simulate")
    return fitting[0]


def usual(detector: str) -> tuple[str, str]:
    """Subarray and read pattern of those who do not ask for another; ParameterError for an unknown name."""
    instrument = known(DETECTORS, detector, "detector").instrument
    return ("FULL" if detector.startswith("MIRIFU") else USUAL[instrument][0]), USUAL[instrument][1]


def exp_types(instrument: str) -> str:
    """All exposure types of an instrument, as CRDS rules write them."""
    found = (mode.exp_type for mode in MODES if INSTRUMENTS[mode.detectors[:3]] == instrument)
    return "|".join(dict.fromkeys(found))
