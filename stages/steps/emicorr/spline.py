"""A wave between its samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.steps.emicorr.clock import Array


class PeriodicSpline:
    """Cubic spline through samples of one period, each in the middle of its part of it.

    One sample is repeated at each end, to which the spline goes on; its first two pieces are
    one polynomial, and so are the last two.
    pieces : (4, nsamples + 1), as `kernels.waves` takes them
    """

    def __init__(self, samples: Array) -> None:
        y = np.r_[samples[-1], samples, samples[0]]
        bend = second_derivatives(y)
        slope = np.diff(y) - (2 * bend[:-1] + bend[1:]) / 6
        self.pieces: Array = np.stack([np.diff(bend) / 6, bend[:-1] / 2, slope, y[:-1]])

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


def second_derivatives(y: Array) -> Array:
    """Those of the cubic spline through samples at 0, 1, 2, …, four or more, that has no knot at the second
    and the last but one.

    In between, ``m[k - 1] + 4 m[k] + m[k + 1] = 6 (y[k - 1] - 2 y[k] + y[k + 1])``. Where there is no
    knot they lie on a line, ``m[0] - 2 m[1] + m[2] = 0``, so that m[1] is a sixth of its right side.
    """
    m = np.zeros(len(y))
    m[1:-1] = 6 * np.diff(y, 2)
    m[[1, -2]] /= 6
    inner = m[2:-2]
    inner[:1] -= m[1]
    inner[-1:] -= m[-2]
    pivots = np.full(inner.size, 4.0)
    for k in range(1, inner.size):
        pivots[k] -= 1 / pivots[k - 1]
        inner[k] -= inner[k - 1] / pivots[k - 1]
    inner[-1:] /= pivots[-1:]
    for k in range(inner.size - 2, -1, -1):
        inner[k] = (inner[k] - inner[k + 1]) / pivots[k]
    m[0], m[-1] = 2 * m[1] - m[2], 2 * m[-2] - m[-3]
    return m
