"""Drizzle exposures onto one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float, Image, PixelDQ
from calwebbd.stages.steps.resample.frame import Frame

GOOD_BITS = "~DO_NOT_USE+NON_SCIENCE"  #: every flag but these two is tolerated


@dataclass(frozen=True)
class Drizzled:
    """Arrays of one frame, (ny, nx); what was not asked for is None.

    sci : NaN (or the fill value) where no input contributed
    wht : sum of weights, 0 there
    con : (nplanes, ny, nx); bit k % 32 of plane k // 32 is set where image k contributed
    var_rnoise, var_poisson, var_flat, err : NaN where no input has a value
    dq : OR of the flags that contributed
    """

    sci: Float
    wht: Float
    con: NDArray[np.int32] | None = None
    err: Float | None = None
    var_poisson: Float | None = None
    var_rnoise: Float | None = None
    var_flat: Float | None = None
    dq: PixelDQ | None = None


def drizzle(
    images: Sequence[Image],
    frame: Frame,
    *,
    kernel: str = "square",
    pixfrac: float = 1.0,
    weight_type: str = "ivm",
    fillval: str = "NAN",
    good_bits: str | int | None = GOOD_BITS,
    with_variances: bool = True,
    with_context: bool = True,
    with_dq: bool = False,
    pixmap_stepsize: float = 1.0,
    pixmap_order: int = 1,
) -> Drizzled:
    """Drizzle images, in their order, onto a frame; they stay as they are.

    The images have a `wcs`, and NaN where DO_NOT_USE (`masking.match_nans_and_flags`). The sky
    (BKGLEVEL) is subtracted unless BKGSUB says that it has been.

    Raises InputError if an image is not 2-D or has no exposure time.
    Source: specification image2 §6.2-6; Fruchter & Hook 2002, doi:10.1086/338393.
    """
    raise NotImplementedError
