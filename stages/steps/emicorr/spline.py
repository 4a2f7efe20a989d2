"""A wave between its samples."""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

from calwebbd.stages.steps.emicorr.clock import Array


class PeriodicSpline:
    """Cubic spline through samples of one period, each in the middle of its part of it.

    One sample is repeated at each end, to which the spline goes on.
    pieces : (4, nsamples + 1), as `kernels.waves` takes them
    """

    def __init__(self, samples: Array) -> None:
        from scipy.interpolate import make_interp_spline  # takes a third of a second to import

        n = len(samples)
        x = (np.arange(n + 2) - 0.5) / n
        spline = make_interp_spline(x, np.r_[samples[-1], samples, samples[0]], k=3)
        begin, middle = x[:-1], x[:-1] + 0.5 / n  # the third derivative jumps from piece to piece
        self.pieces: Array = np.stack(
            [
                spline.derivative(p)(middle if p == 3 else begin) / (factorial(p) * float(n) ** p)
                for p in (3, 2, 1, 0)
            ]
        )

    def __len__(self) -> int:
        return int(self.pieces.shape[1]) - 1

    def __call__(self, phases: Array) -> Array:
        place = (phases % 1) * len(self) + 0.5
        k = place.astype(np.intp)
        place -= k
        value: Any = self.pieces[0][k]
        for coefficients in self.pieces[1:]:
            value *= place
            value += coefficients[k]
        return np.asarray(value)
