"""Small images with a pointing, as stage 2 meets them."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.modeling.models import Mapping, Polynomial2D, Scale, Shift

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
