"""The chain of coordinate frames of an imaging exposure.

detector (pixels, 0-based) → v2v3 (arcsec) → v2v3vacorr (arcsec) → world (ICRS, degrees)

Stage 3 finds the frames by these names: tweakreg puts its correction after v2v3vacorr.
Source: specification image2 §3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gwcs
import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS
from astropy.modeling import bind_bounding_box
from astropy.modeling.models import Identity, RotationSequence3D, Scale, Shift
from gwcs import coordinate_frames as cf
from gwcs.geometry import CartesianToSpherical, SphericalToCartesian

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header, Subarray

Box = tuple[tuple[float, float], tuple[float, float]]  # ((x1, x2), (y1, y2))


def imaging_wcs(header: Header, subarray: Subarray, distortion: Any, offset: tuple[float, float]) -> Any:
    """The gwcs of an imaging exposure.

    distortion : astropy model of full-frame pixels (0-based) to V2, V3 in arcsec; its own
        bounding box, if any, bounds full-frame exposures
    offset : shift that the filter causes, pixels

    Raises InputError if the header lacks the pointing or VA_SCALE is not positive.
    """
    names = {"axes_order": (0, 1), "axes_names": ("v2", "v3"), "unit": (u.arcsec, u.arcsec)}
    steps = [
        (
            cf.Frame2D(name="detector", axes_order=(0, 1), unit=(u.pix, u.pix)),
            detector_to_v2v3(subarray, distortion, offset),
        ),
        (cf.Frame2D(name="v2v3", **names), velocity_aberration(header)),
        (cf.Frame2D(name="v2v3vacorr", **names), v2v3_to_sky(header)),
        (cf.CelestialFrame(reference_frame=ICRS(), name="world"), None),
    ]
    return gwcs.WCS(steps)


def detector_to_v2v3(subarray: Subarray, distortion: Any, offset: tuple[float, float]) -> Any:
    """Distortion as seen by the pixels of a subarray, bounded by it."""
    try:
        box = distortion.bounding_box.bounding_box(order="F")
    except NotImplementedError:
        box = array_box(subarray.ny, subarray.nx)
    transform = distortion
    if any(offset):
        transform = Shift(offset[0]) & Shift(offset[1]) | transform
    if not subarray.full:
        corner = [Shift(start) if start else Identity(1) for start in (subarray.x, subarray.y)]
        transform = corner[0] & corner[1] | transform
        box = array_box(subarray.ny, subarray.nx)
    bind_bounding_box(transform, box, order="F")
    return transform


def array_box(ny: int, nx: int) -> Box:
    """Outer edges of an array, in x and in y."""
    return (-0.5, nx - 0.5), (-0.5, ny - 0.5)


def filter_offset(rows: Sequence[Mapping[str, Any]], header: Header) -> tuple[float, float]:
    """Shift (x, y) of the row for FILTER and PUPIL, pixels; none if there is no such row.

    MIRI has no pupil wheel, and its first row for the filter counts. Raises InputError if another
    instrument has two.
    """
    is_miri = header.text("INSTRUME") == "MIRI"
    wheels = {key: header.text(key) for key in (("FILTER",) if is_miri else ("FILTER", "PUPIL"))}
    found = [row for row in rows if all(str(row[k.lower()]).upper() == v for k, v in wheels.items())]
    if len(found) > 1 and not is_miri:
        raise InputError(f"the filteroffset reference has {len(found)} rows for {wheels}")
    values = [found[0].get(f"{axis}_offset", "N/A") for axis in ("column", "row")] if found else ["N/A"]
    return (0.0, 0.0) if "N/A" in values else (float(values[0]), float(values[1]))


def velocity_aberration(header: Header) -> Any:
    """Scale V2 and V3 about the reference point by VA_SCALE; without it nothing changes."""
    scale = header.real("VA_SCALE", 1.0)
    if scale == 1:
        return Identity(2)
    if scale <= 0:
        raise InputError(f"VA_SCALE is {scale}, but must be positive")
    v2, v3 = header.real("V2_REF", 0.0), header.real("V3_REF", 0.0)
    corrected = Scale(scale, name="dva_scale_v2") & Scale(scale, name="dva_scale_v3")
    if v2 or v3:
        shift_v2 = Shift((1 - scale) * v2, name="dva_v2_shift")
        shift_v3 = Shift((1 - scale) * v3, name="dva_v3_shift")
        corrected |= shift_v2 & shift_v3
        corrected.name = "DVA_Correction"
    return corrected


def v2v3_to_sky(header: Header) -> Any:
    """The rotation that carries (V2_REF, V3_REF) to (RA_REF, DEC_REF) with +V3 at position angle ROLL_REF."""
    needed = ("V2_REF", "V3_REF", "ROLL_REF", "DEC_REF", "RA_REF")
    missing = [key for key in needed if header.get(key) in (None, "")]
    if missing:
        raise InputError(f"{', '.join(missing)} missing from the header")
    v2, v3, roll, dec, ra = (header.real(key) for key in needed)
    rotation = RotationSequence3D(np.array([v2 / 3600, -v3 / 3600, roll, dec, -ra]), axes_order="zyxyz")
    sky = (
        Scale(1 / 3600) & Scale(1 / 3600)
        | SphericalToCartesian(wrap_lon_at=180)
        | rotation
        | CartesianToSpherical(wrap_lon_at=360)
    )
    sky.name = "v23tosky"
    return sky
