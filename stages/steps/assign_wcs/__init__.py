"""Give each pixel its place on the sky."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calwebbd.stages import footprints
from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.exposure import Image
from calwebbd.stages.references import References
from calwebbd.stages.step import step
from calwebbd.stages.steps.assign_wcs.imaging import filter_offset, imaging_wcs
from calwebbd.stages.steps.assign_wcs.sip import SipParams, remove_linear_and_sip, sip_keywords

IMAGING = frozenset(
    {"NRC_IMAGE", "NRC_TSIMAGE", "NRC_CORON", "NRC_TACQ", "NRC_TACONFIRM", "NRC_FOCUS", "FGS_IMAGE"}
    | {"MIR_IMAGE", "MIR_LYOT", "MIR_4QPM", "MIR_CORONCAL", "MIR_TACQ", "MIR_TACONFIRM", "FGS_FOCUS"}
    | {"NIS_IMAGE", "NIS_AMI", "NIS_TACQ", "NIS_TACONFIRM", "NIS_FOCUS"}
)
#: of NIRSpec, through the mirror of its grating wheel
MIRROR = frozenset(
    {"NRS_IMAGE", "NRS_FOCUS", "NRS_CONFIRM", "NRS_MSATA", "NRS_TACONFIRM", "NRS_TACQ", "NRS_TASLIT"}
    | {"NRS_MIMF", "NRS_VERIFY", "NRS_WATA"}
)
#: Types of other modes. The products of all modes have the R_ keywords of all of them.
OTHER_MODES = (
    *("specwcs", "regions", "wavelengthrange", "camera", "chromcorr", "collimator", "disperser", "fore"),
    *("fpa", "msa", "ote", "ifupost", "ifufore", "ifuslicer"),
)


@dataclass(frozen=True)
class AssignWcsParams(SipParams):
    """Imaging needs only those of the SIP approximation."""


# distortion is not among the references that a step may lack: an image without it is an error
@step(
    keyword="S_WCS",
    optional=("distortion", "filteroffset", *OTHER_MODES),
    names_all=True,
    params=AssignWcsParams,
)
def assign_wcs(image: Image, references: References, params: AssignWcsParams) -> Image:
    """Attach the coordinate system, its footprint and its FITS approximation.

    What a lamp lights through closed filters ends at NIRSpec's shutters, not on the sky: it has
    neither of the last two.
    """
    exp_type = image.header.text("EXP_TYPE")
    if exp_type in MIRROR or image.header.text("GRATING") == "MIRROR":
        from calwebbd.stages.steps.assign_wcs.nirspec.imaging import assign_mirror  # takes a while

        assign_mirror(image, references)
    elif exp_type in IMAGING:
        assign_distortion(image, references)
    else:
        raise InputError(f"EXP_TYPE {exp_type} is not one that this version gives a WCS")
    if image.wcs.output_frame.name == "world":
        describe(image, params if exp_type in IMAGING | MIRROR else replace(params, sip_approx=False))
    else:
        image.header.pop("S_REGION", None)
    return image


def assign_distortion(image: Image, references: References) -> None:
    """Give an image the WCS that its distortion reference describes."""
    if "distortion" not in references:
        raise ReferenceMissing("the distortion reference is N/A for this exposure")
    if image.header.text("INSTRUME") == "MIRI" and "filteroffset" not in references:
        raise ReferenceMissing("the filteroffset reference is N/A for this exposure of MIRI")
    rows = references["filteroffset"].tree()["filters"] if "filteroffset" in references else []
    distortion = references["distortion"].tree()["model"]
    image.wcs = imaging_wcs(image.header, image.subarray, distortion, filter_offset(rows, image.header))


def describe(image: Image, params: SipParams) -> None:
    """Write what the header says of the image's WCS: S_REGION and the SIP approximation."""
    outline = footprint(image)
    if np.isfinite(outline).all():
        image.header["S_REGION"] = footprints.write([outline])
    if params.sip_approx:
        approximate(image, params)


def footprint(image: Image) -> footprints.Polygon:
    """`corners` of the image."""
    return corners(image.wcs)


def corners(wcs: Any) -> footprints.Polygon:
    """(4, 2) sky positions of the corners of the bounding box, degrees.

    Order: (x1, y1), (x1, y2), (x2, y2), (x2, y1).
    """
    (x1, x2), (y1, y2) = wcs.bounding_box.bounding_box(order="F")
    pixels = np.array([(x1, y1), (x1, y2), (x2, y2), (x2, y1)], np.float64)
    ra, dec = wcs(*pixels.T, with_bounding_box=False)
    return np.stack([np.mod(ra, 360), dec], axis=1)


def approximate(image: Image, params: SipParams) -> None:
    """Write the SIP keywords. A fit that fails leaves the header as it was, with a warning."""
    try:
        keywords, metadata = sip_keywords(image.wcs, image.header, params)
    except (ValueError, RuntimeError) as error:
        warnings.warn(f"assign_wcs: no SIP approximation: {error}", stacklevel=2)
        return
    remove_linear_and_sip(image.header)
    image.header.update(keywords)
    image.metadata.update(metadata)
