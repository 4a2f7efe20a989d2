"""What the side reference pixels of a full frame say about correlated noise, by trained kernels.

Simple Improved Reference Subtraction (Rauscher et al. 2022, PASP 134, 104504,
doi:10.1088/1538-3873/ac9ad6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TO_SIGMA = 1.48  # median absolute deviation to standard deviation of a normal distribution


class SideKernels(NamedTuple):
    """Kernels along rows, (nchannels, 2 * halfwidth + 1), of the left and the right edge."""

    left: Array
    right: Array


def side_kernels(
    tree: Mapping[str, Any], detector: str, gaussmooth: float, halfwidth: int
) -> SideKernels | None:
    """Kernels from the Fourier coefficients of a ``sirskernel`` reference; None if it lacks the detector.

    tree : {detector: {"gamma" and "zeta": (nchannels, N + 1), complex}}, for the left and right edge
    gaussmooth : sigma of the Gaussian by which kernels are smoothed, rows
    halfwidth : of the kernels, rows
    """
    found = {name.upper(): value for name, value in tree.items()}.get(detector)
    if found is None:
        return None
    x = np.arange(-halfwidth, halfwidth + 1)
    window = np.exp(-(x**2) / (2 * gaussmooth**2))
    window /= window.sum()

    def kernel(coefficients: NDArray[np.complex128]) -> Array:
        middle = len(coefficients) - 1
        centred = np.fft.fftshift(np.fft.irfft(coefficients))
        return np.convolve(centred[middle - halfwidth : middle + halfwidth + 1], window, mode="same")

    left, right = (np.array([kernel(row) for row in np.asarray(found[name])]) for name in ("gamma", "zeta"))
    return SideKernels(left, right)


def side_templates(left: NDArray[Any], right: NDArray[Any], kernels: SideKernels, sigreject: float) -> Array:
    """Noise of each channel and row, (nchannels, nrows), DN.

    left, right : (nrows, 4), the edges, DN; pixels more than `sigreject` sigma from the
        edge's median weigh nothing
    Source: specification detector1 §3 refpix.
    """
    return _templates(left, kernels.left, sigreject) + _templates(right, kernels.right, sigreject)


def _templates(edge: NDArray[Any], kernels: Array, sigreject: float) -> Array:
    edge = edge.astype(np.float64)
    deviation = np.abs(edge - np.median(edge))
    good = deviation <= sigreject * TO_SIGMA * np.median(deviation)
    mean = (edge * good).sum(axis=1) / edge.shape[1]
    weight = good.sum(axis=1) / edge.shape[1]
    templates = np.empty((len(kernels), len(edge)))
    for template, kernel in zip(templates, kernels, strict=True):
        norm = np.convolve(np.ones(len(edge)), kernel, mode="same") / np.convolve(weight, kernel, mode="same")
        template[:] = np.convolve(mean, kernel, mode="same") * norm
    return templates
