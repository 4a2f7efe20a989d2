"""Combine variances of images that have the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.kernels import kernel


@kernel("(i8, i8, f4[:, :], f4[:, :], f8, f4[:, ::1], f4[:, ::1])")
def accumulate(
    start: int, stop: int, error: Any, readout: Any, time: float, weighted: Any, weight: Any
) -> None:
    """Rows of two sums, of v u² and of u, get those of one more image; both single precision.

    error : (ny, nx), the root of v; NaN where there is none
    readout : as error, whose inverse square is u; time : u itself, if it is not 0
    """
    for j in range(start, stop):
        for i in range(weight.shape[1]):
            v, u = error[j, i] * error[j, i], time
            if time == 0:
                noise = readout[j, i] * readout[j, i]
                u = np.float64(np.float32(1) / noise) if np.isfinite(noise) and noise > 0 else 0.0
            if np.isfinite(v) and u > 0:
                weighted[j, i] = weighted[j, i] + v * u * u
                weight[j, i] = weight[j, i] + u
