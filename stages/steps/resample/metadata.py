"""The header of a resampled product."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from astropy.modeling.projections import Projection
from astropy.wcs.utils import celestial_frame_to_wcs
from gwcs.fitswcs import FITSImagingWCSTransform
from numpy.typing import NDArray

from calwebbd.stages import footprints
from calwebbd.stages.errors import ParameterError
from calwebbd.stages.exposure import Header, Image
from calwebbd.stages.groups import groups
from calwebbd.stages.steps.resample.frame import Frame

ARCSEC2_PER_SR = float(np.rad2deg(3600)) ** 2
#: of a detector, which the product has left behind
_OF_DETECTOR = re.compile(
    r"CD\d_\d|(A|B|AP|BP)_(ORDER|\d_\d)|V[23]_REF|RA_REF|DEC_REF|ROLL_REF|V3I_YANG|VPARITY"
)
NEAR = 0.05  #: pixels; vertices of a footprint as close as this are one
STRAIGHT = 1e-6  #: radians; so are edges that bend less


def times(images: Sequence[Image]) -> dict[str, float | None]:
    """Exposure times summed over groups, and the first start and last end; None to remove a keyword.

    Detectors of one group were exposed together and count once, by the first of them.
    """
    members = [images[indices[0]].header for indices in groups(images).values()]
    exposure = sum(header.real("EFFEXPTM", 0.0) for header in members)
    duration = sum(header.real("DURATION", 0.0) for header in members)
    measured = [header.get("TMEASURE") for header in members]
    starts = [header.real("EXPSTART") for header in members if "EXPSTART" in header]
    ends = [header.real("EXPEND") for header in members if "EXPEND" in header]
    return {
        "EFFEXPTM": exposure,
        "XPOSURE": exposure,
        "DURATION": duration,
        "TELAPSE": duration,
        "TMEASURE": None if None in measured else sum(header.real("TMEASURE") for header in members),
        "EXPSTART": min(starts, default=None),
        "EXPEND": max(ends, default=None),
    }


def frame_keywords(frame: Frame, header: Header) -> dict[str, Any]:
    """The FITS WCS of a frame; a custom one that is no plain projection is approximated to first order."""
    transform = frame.wcs.forward_transform
    if not isinstance(transform, FITSImagingWCSTransform):
        return _linear_approximation(frame, header)
    wcs = frame.wcs.pipeline[-1].frame
    fits = celestial_frame_to_wcs(wcs.reference_frame, projection=transform.projection.prjprm.code).wcs
    keywords: dict[str, Any] = {}
    for axis in (0, 1):
        keywords[f"CRPIX{axis + 1}"] = float(transform.crpix.value[axis]) + 1
        keywords[f"CRVAL{axis + 1}"] = float(transform.crval.value[axis])
        keywords[f"CDELT{axis + 1}"] = float(transform.cdelt.value[axis])
        keywords[f"CTYPE{axis + 1}"] = fits.ctype[axis]
        keywords[f"CUNIT{axis + 1}"] = str(frame.wcs.output_frame.unit[axis])
        keywords |= {f"PC{axis + 1}_{j + 1}": float(transform.pc.value[axis][j]) for j in (0, 1)}
    return keywords


def _linear_approximation(frame: Frame, header: Header) -> dict[str, Any]:
    projections = [m for m in frame.wcs.forward_transform.traverse_postorder() if isinstance(m, Projection)]
    if not projections:
        raise ParameterError("resample.output_wcs has no projection, so FITS keywords cannot describe it")
    ny, nx = frame.shape
    box = None if frame.wcs.bounding_box is not None else ((-0.5, nx - 0.5), (-0.5, ny - 0.5))
    crpix = [header.get("CRPIX1"), header.get("CRPIX2")]
    cards = frame.wcs.to_fits_sip(
        degree=1,
        max_inv_pix_error=None,
        inv_degree=0,
        npoints=12,
        crpix=None if None in crpix else crpix,
        projection=projections[0].prjprm.code,
        bounding_box=box,
    )
    return {k: v for k, v in cards.items() if re.fullmatch(r"(CRPIX|CRVAL|CTYPE|CUNIT)\d|CD\d_\d", k)}


def footprint(images: Sequence[Image], frame: Frame) -> str:
    """S_REGION of the product: the union of those of the images within the frame; empty if there is none.

    Polygons are joined in the plane of the output pixels.
    """
    to_sky = frame.wcs.get_transform(frame.wcs.input_frame.name, frame.wcs.output_frame.name)
    to_pixels = to_sky.inverse

    def planar(polygon: footprints.Polygon) -> Any:
        return shapely.Polygon(np.stack(to_pixels(*polygon.T), axis=1))

    texts = [str(image.header.get("S_REGION", "")) for image in images]
    union = shapely.unary_union([planar(polygon) for text in texts for polygon in footprints.parse(text)])
    outline = planar(np.asarray(frame.wcs.footprint()))
    found = []
    for part in shapely.get_parts(union):
        # simplified before and after: so does the reference pipeline
        clipped = shapely.intersection(shapely.Polygon(_simplified(part)), outline)
        if not clipped.is_empty:
            found.append(np.stack(to_sky(*_simplified(clipped).T), axis=1))
    return footprints.write(found)


def _simplified(polygon: Any) -> NDArray[np.float64]:
    """(n, 2) vertices without those that are near their predecessor, or on a straight edge."""
    vertices = shapely.get_coordinates(polygon.exterior)[:-1]
    arrive = vertices - np.roll(vertices, 1, axis=0)
    leave = np.roll(arrive, -1, axis=0)
    near = (np.abs(arrive) < NEAR).all(axis=1)
    slopes = [edge[:, 1] / (edge[:, 0] + 1e-12) for edge in (arrive, leave)]
    bend = np.arctan((slopes[1] - slopes[0]) / (1 + slopes[0] * slopes[1]))
    kept: NDArray[np.float64] = vertices[~(near | (np.abs(bend) < STRAIGHT))]
    return kept


def remove_detector(header: Header) -> None:
    """Delete what describes the detector's own coordinates."""
    for key in [key for key in header if _OF_DETECTOR.fullmatch(key)]:
        del header[key]
