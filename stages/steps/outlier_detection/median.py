"""The median of several images: a model of the sky without what only one of them saw."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from astropy.stats import sigma_clip

from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import by_rows, stack


def median(images: Iterable[tuple[Float, Float]], number: int, maskpt: float) -> Float:
    """The median of `number` images of one shape, given one after the other as (sci, weight).

    A pixel with less weight than `weight_threshold` does not count, nor does NaN; where
    nothing is left the median is NaN.
    """
    layers: Float | None = None
    for layer, (sci, weight) in enumerate(images):
        if layers is None:
            layers = np.empty((number, *sci.shape), np.float32)
        layers[layer] = sci
        layers[layer][weight < weight_threshold(weight, maskpt)] = np.nan
    assert layers is not None
    out = np.empty(layers.shape[1:], np.float32)
    by_rows(stack.median, len(out), layers, out)
    return out


def weight_threshold(weight: Float, maskpt: float) -> np.float64:
    """`maskpt` times the mean weight, clipped at 3 sigma about the median; NaN if there is no weight.

    Source: specification image3 §5.
    """
    used = weight[np.isfinite(weight) & (weight != 0)]
    if not used.size:
        return np.float64(np.nan)
    kept = sigma_clip(used, sigma=3, maxiters=5, masked=False, copy=False)
    return np.mean(kept, dtype=np.float64) * np.float64(maskpt)
