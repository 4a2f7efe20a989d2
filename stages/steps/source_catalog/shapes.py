"""Sharpness, roundness and neighbours of sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.steps.source_catalog.detection import FWHM_PER_SIGMA
from calwebbd.stages.steps.source_catalog.stamps import blocks, cut, within

Values = NDArray[np.floating[Any]]


def kernel(fwhm: float) -> tuple[Values, NDArray[np.bool_]]:
    """DAOFIND's kernel, a Gaussian in a circle less its mean, and the circle; both of odd side.

    Its sum with an image is the height of the best-fitting Gaussian of that FWHM, pixels.
    Source: Stetson 1987, doi:10.1086/131977.
    """
    sigma = fwhm / FWHM_PER_SIGMA
    radius = max(2.0, 1.5 * sigma)
    y, x = np.mgrid[-int(radius) : int(radius) + 1, -int(radius) : int(radius) + 1]
    inside = np.hypot(x, y) <= radius
    g = np.exp(-(x**2 + y**2) / (2 * sigma**2)) * inside
    n = inside.sum()
    return (g - g.sum() / n) / ((g**2).sum() - g.sum() ** 2 / n) * inside, inside


def sharpness_roundness(sci: Float, x: Values, y: Values, fwhm: float) -> tuple[Values, Values]:
    """Sharpness and roundness of DAOFIND at each place, (n,); NaN off the image or beside NaN.

    sharpness : height of the pixel above the mean of those around it, over that of the Gaussian
    roundness : asymmetry under a quarter turn, over the sum of all absolute values

    Source: specification image3 §7, 6.
    """
    weights, circle = kernel(fwhm)
    half = len(weights) // 2
    sharpness, roundness = np.full(len(x), np.nan), np.full(len(x), np.nan)
    rows, columns = (np.ceil(place - 0.5).astype(np.intp) for place in (y, x))
    for part in blocks(len(x), 2 * half):
        stamps = cut(sci, rows[part], columns[part], 2 * half, 0)
        inside = within(sci.shape, rows[part], columns[part], half)
        sharpness[part], roundness[part] = _of_stamps(stamps, inside, weights, circle)
    return sharpness, roundness


def _of_stamps(
    stamps: Values, inside: NDArray[np.bool_], weights: Values, circle: NDArray[np.bool_]
) -> tuple[Values, Values]:
    """stamps : (n, 4h + 1, 4h + 1); inside : (n, 2h + 1, 2h + 1), whether on the image."""
    from scipy.ndimage import convolve

    c = len(weights) // 2
    height = convolve(stamps, weights[None], mode="constant")[:, c:-c, c:-c] * inside
    pixels = stamps[:, c:-c, c:-c]
    with np.errstate(invalid="ignore", divide="ignore"):
        others = (pixels * circle).sum(axis=(1, 2)) - pixels[:, c, c]
        sharpness = (pixels[:, c, c] - others / (circle.sum() - 1)) / height[:, c, c]
        height[:, c, c] = 0
        quarters = (
            -height[:, : c + 1, c + 1 :].sum(axis=(1, 2))
            + height[:, :c, : c + 1].sum(axis=(1, 2))
            - height[:, c:, :c].sum(axis=(1, 2))
            + height[:, c + 1 :, c:].sum(axis=(1, 2))
        )
        return sharpness, 2 * quarters / np.abs(height).sum(axis=(1, 2))


def nearest(label: NDArray[np.int32], x: Values, y: Values) -> tuple[NDArray[np.int32], Values]:
    """Label and distance (pixels) of each source's nearest neighbour; -1 and NaN where there is none."""
    from scipy.spatial import KDTree

    neighbour, distance = np.full(len(x), -1, np.int32), np.full(len(x), np.nan)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(known) > 1:
        places = np.transpose((x[known], y[known]))
        found, index = KDTree(places).query(places, k=[2])
        distance[known], neighbour[known] = found[:, 0], label[known[index[:, 0]]]
    return neighbour, distance
