"""Combine the drizzled variances of several images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import by_rows

#: the one that gives the weights first; in this order they add up to ERR
VARIANCES = ("var_rnoise", "var_flat", "var_poisson")


@dataclass
class VarianceSum:
    """Weighted sum of one variance over images: Σ v u² and Σ u, both single precision.

    weighted, weight : (ny, nx)
    """

    weighted: Float
    weight: Float

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> VarianceSum:
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def add(self, variance: Float, weight: NDArray[np.floating[Any]]) -> None:
        """Add an image where its variance is finite and not negative, and its weight positive."""

        def add_rows(start: int, stop: int) -> None:
            rows = slice(start, stop)
            v, u = variance[rows], weight[rows].astype(np.float64)
            good = np.isfinite(v) & (v >= 0) & (u > 0)
            with np.errstate(over="ignore", invalid="ignore"):
                np.add(
                    self.weighted[rows], v * u * u, out=self.weighted[rows], where=good, casting="same_kind"
                )
            np.add(self.weight[rows], u, out=self.weight[rows], where=good, casting="same_kind")

        by_rows(add_rows, len(variance))

    def result(self, ratio: float) -> Float:
        """Variance of the weighted mean; NaN where nothing was added. The sums are used up.

        ratio : of output to input pixel scale; the variance goes by its inverse square
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            self.weighted *= np.float32(1 / ratio**2)
            for _ in range(2):  # one division after the other: the square of a weight may overflow
                self.weighted /= self.weight
        return self.weighted


def combination_weight(var_rnoise: Float, weight_type: str, time: float) -> NDArray[np.floating[Any]]:
    """(ny, nx) weight of one image in the sums.

    ivm : 1 / its drizzled VAR_RNOISE, 0 where that is not positive and finite
    exptime : its exposure time, s
    """
    if weight_type == "exptime":
        return np.broadcast_to(np.float64(time), var_rnoise.shape)
    weight = np.zeros_like(var_rnoise)
    np.reciprocal(var_rnoise, out=weight, where=np.isfinite(var_rnoise) & (var_rnoise > 0))
    return weight


def total_error(variances: list[Float]) -> Float:
    """Root of the sum of those variances that are not NaN; NaN where all are."""
    total = np.zeros_like(variances[0])
    missing = np.ones(total.shape, bool)
    for variance in variances:
        valid = ~np.isnan(variance)
        np.add(total, variance, out=total, where=valid)
        missing &= ~valid
    np.sqrt(total, out=total)
    total[missing] = np.nan
    return total
