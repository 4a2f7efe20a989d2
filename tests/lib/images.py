"""Small images with a pointing, as stage 2 meets them."""

from __future__ import annotations

from typing import Any

import gwcs
import numpy as np
from astropy.coordinates import ICRS
from astropy.modeling.models import Mapping, Pix2Sky_TAN, Polynomial2D, Scale, Shift
from gwcs import FITSImagingWCSTransform
from gwcs import coordinate_frames as cf

from calwebbd.stages import footprints
from calwebbd.stages.exposure import Header, Image

SCALE = 0.03  #: arcsec a pixel

POINTING = {
    "V2_REF": 120.0,
    "V3_REF": -500.0,
    "RA_REF": 80.0,
    "DEC_REF": -69.0,
    "ROLL_REF": 30.0,
    "V3I_YANG": 0.0,
    "VPARITY": -1,
}
EXPOSURE = {
    "INSTRUME": "NIRCAM",
    "EXP_TYPE": "NRC_IMAGE",
    "FILTER": "F200W",
    "PUPIL": "CLEAR",
    "SUBARRAY": "SUB2",
    "EFFEXPTM": 10.0,
    "DURATION": 12.0,
    "EXPSTART": 60000.0,
    "EXPEND": 60000.1,
}


def make_image(sci: Any, **keywords: Any) -> Image:
    """An image of these values with ERR 1, variances 1/2, no flags; keywords over those of the pointing."""
    sci = np.array(sci, np.float32)
    half = np.full(sci.shape, 0.5, np.float32)
    return Image(
        Header({**POINTING, **EXPOSURE, **keywords}),
        sci,
        err=np.ones_like(sci),
        dq=np.zeros(sci.shape, np.uint32),
        var_poisson=half.copy(),
        var_rnoise=half,
    )


def distortion(nx: int, ny: int, bend: float = 0.0) -> Any:
    """Pixels to (V2, V3) with the middle of the array at the reference point; `bend` makes x quadratic."""
    centre = Shift(-(nx - 1) / 2) & Shift(-(ny - 1) / 2)
    unbend = Polynomial2D(2, c1_0=1, c2_0=bend) & Polynomial2D(2, c0_1=1)
    model = centre | Mapping((0, 1, 0, 1)) | unbend | Scale(-SCALE) & Scale(SCALE)
    back = Scale(-1 / SCALE) & Scale(1 / SCALE) | Shift((nx - 1) / 2) & Shift((ny - 1) / 2)
    model |= Shift(POINTING["V2_REF"]) & Shift(POINTING["V3_REF"])
    model.inverse = Shift(-POINTING["V2_REF"]) & Shift(-POINTING["V3_REF"]) | back  # exact without bend
    return model


def tangent_plane(nx: int, ny: int, crpix: tuple[float, float] = (0, 0), scale: float = SCALE) -> Any:
    """A gwcs without distortion, north up, with `crpix` (0-based) at RA_REF, DEC_REF; `scale` in arcsec."""
    sky = cf.CelestialFrame(reference_frame=ICRS(), name="world")
    transform = FITSImagingWCSTransform(
        Pix2Sky_TAN(),
        crpix=crpix,
        crval=[POINTING["RA_REF"], POINTING["DEC_REF"]],
        cdelt=[scale / 3600] * 2,
        pc=[[-1, 0], [0, 1]],
    )
    wcs = gwcs.WCS([(cf.Frame2D(name="detector"), transform), (sky, None)])
    wcs.bounding_box = ((-0.5, nx - 0.5), (-0.5, ny - 0.5))
    return wcs


def placed_image(sci: Any, crpix: tuple[float, float] = (0, 0), **keywords: Any) -> Image:
    """An image in the tangent plane, north up, with its S_REGION."""
    image = make_image(sci, ROLL_REF=0.0, **keywords)
    ny, nx = image.sci.shape
    image.wcs = tangent_plane(nx, ny, crpix)
    image.var_flat = np.zeros_like(image.sci)
    corners = np.array([(-0.5, -0.5), (-0.5, ny - 0.5), (nx - 0.5, ny - 0.5), (nx - 0.5, -0.5)])
    image.header["S_REGION"] = footprints.write([np.stack(image.wcs(*corners.T), axis=1)])
    return image
