"""Combine the drizzled variances of several images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import by_rows, variances

#: the one that gives the weights first; in this order they add up to ERR
VARIANCES = ("var_rnoise", "var_flat", "var_poisson")


@dataclass
class VarianceSum:
    """Weighted sum of one variance over images: Σ v u² and Σ u, both single precision.

    weighted, weight : (ny, nx)
    """

    weighted: Float
    weight: Float

    def add(self, error: Float, readout: Float, time: float) -> None:
        """Add an image where its variance is finite, and its weight positive.

        error : (ny, nx), the drizzled root of the variance; NaN where there is none
        readout : likewise of VAR_RNOISE, whose inverse is the weight; 0 where that is not finite
        time : the weight itself, if it is not 0
        """
        by_rows(variances.accumulate, len(error), error, readout, time, self.weighted, self.weight)

    def result(self, ratio: float) -> Float:
        """Variance of the weighted mean; NaN where nothing was added. The sums are used up.

        ratio : of output to input pixel scale; the variance goes by its inverse square
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            self.weighted *= np.float32(1 / ratio**2)
            for _ in range(2):  # one division after the other: the square of a weight may overflow
                self.weighted /= self.weight
        return self.weighted


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
