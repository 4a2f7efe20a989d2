"""Combine the drizzled variances of several images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float

#: in the order in which they add up to ERR
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

    def add(self, variance: Float, weight: NDArray[np.float64]) -> None:
        """Add an image where its variance is finite and not negative, and its weight positive."""
        good = np.isfinite(variance) & (variance >= 0) & (weight > 0)
        with np.errstate(over="ignore", invalid="ignore"):
            term = variance * weight * weight
            np.add(self.weighted, term, out=self.weighted, where=good, casting="same_kind")
        np.add(self.weight, weight, out=self.weight, where=good, casting="same_kind")

    def result(self, ratio: float) -> Float:
        """Variance of the weighted mean; NaN where nothing was added.

        ratio : of output to input pixel scale; the variance goes by its inverse square
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            # one division after the other: the square of a weight may overflow
            mean: Float = self.weighted * np.float32(1 / ratio**2) / self.weight / self.weight
        return mean


def combination_weight(var_rnoise: Float, weight_type: str, time: float) -> NDArray[np.float64]:
    """(ny, nx) weight of one image in the sums.

    ivm : 1 / its drizzled VAR_RNOISE, 0 where that is not positive and finite
    exptime : its exposure time, s
    """
    if weight_type == "exptime":
        return np.full(var_rnoise.shape, time)
    good = np.isfinite(var_rnoise) & (var_rnoise > 0)
    weight = np.zeros(var_rnoise.shape)
    np.reciprocal(var_rnoise, out=weight, where=good, dtype=np.float32)
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
