"""Slopes and the clock they are measured by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calwebbd.stages.exposure import Float, PixelDQ


class Slopes(NamedTuple):
    """Count rates, DN/s, their errors and variances, and flags: (ny, nx) or (nints, ny, nx)."""

    sci: Float
    err: Float
    var_poisson: Float
    var_rnoise: Float
    dq: PixelDQ


def empty_slopes(shape: tuple[int, ...], dq: PixelDQ | None = None) -> Slopes:
    """Arrays to be filled; the flags may be there already."""
    sci, err, var_poisson, var_rnoise = (np.empty(shape, np.float32) for _ in range(4))
    return Slopes(sci, err, var_poisson, var_rnoise, np.empty(shape, np.uint32) if dq is None else dq)
