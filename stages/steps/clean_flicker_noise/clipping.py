"""Where the background of an image ends and its sources begin.

Statistics are of sorted values: clipping is then a matter of two indices, and a median
of one. Limits are those that `astropy.stats.sigma_clipped_stats` leads to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float

Mask = NDArray[np.bool_]
CLIP = 3.0  # sigma of the clipping by which centre and spread are found
ROUNDS = 5  # of it, at most
BINS = 2000
BLOCK = 1 << 16  # values in double precision at a time


class Centre(NamedTuple):
    """Centre of a distribution, and its standard deviation."""

    value: float
    sigma: float


def clip(
    image: Float,
    mask: Mask,
    below: float,
    above: float,
    *,
    lower_half: bool = False,
    histogram: bool = False,
    values: Float | None = None,
) -> Float:
    """Take what lies more than so many sigma below and above the centre out of the mask, in place.

    image, mask : (ny, nx); what is not True in the mask does not count
    lower_half : find the spread from the values below the median, as if the others were their
        mirror image: diffuse light then does not widen it
    histogram : find centre and spread from a Gaussian fitted to the histogram of the values
    values : finite ones under the mask, ascending, if they are known

    Returns the values that remain, ascending.
    Source: specification detector1 §3 clean_flicker_noise, step 0.
    """
    if values is None:
        values = ascending(image, mask)
    if not len(values):
        return values
    centre = _lower_half(values) if lower_half else _both_halves(values, mean=histogram)
    if histogram:
        centre = _gaussian(values, centre)
    low = _at_least(centre.value - below * centre.sigma)
    high = _at_most(centre.value + above * centre.sigma)
    mask &= (image >= low) & (image <= high)
    return values[slice(*_within(values, low, high))]


def ascending(image: Float, mask: Mask) -> Float:
    """Finite values under the mask, sorted."""
    values = image[mask]
    values.sort()  # NaN come last
    return values[slice(*_within(values, np.float32(-np.finfo("f4").max), np.float32(np.finfo("f4").max)))]


def median(values: Float) -> np.float32:
    """Median of sorted values, in their precision; NaN of none."""
    if not len(values):
        return np.float32(np.nan)
    low, high = values[(len(values) - 1) // 2], values[len(values) // 2]
    return np.float32(low if len(values) % 2 else np.float32(low + high) / np.float32(2))


def _both_halves(values: Float, *, mean: bool) -> Centre:
    """Median (or mean) and standard deviation after clipping about the median."""
    kept = values
    for _ in range(ROUNDS):
        middle, spread = _middle(kept), _spread(kept, _mean(kept))
        limits = _at_least(middle - CLIP * spread), _at_most(middle + CLIP * spread)
        before, kept = kept, kept[slice(*_within(kept, *limits))]
        if len(kept) == len(before):
            break
    return Centre(_mean(kept) if mean else _middle(kept), _spread(kept, _mean(kept)))


def _lower_half(values: Float) -> Centre:
    """Clipped median, and standard deviation about it of the values up to it, after clipping."""
    middle = _both_halves(values, mean=False).value
    kept = values[: np.searchsorted(values, _at_most(middle), "right")]
    for _ in range(ROUNDS):
        before, kept = kept, kept[np.searchsorted(kept, _at_least(middle - CLIP * _spread(kept, middle))) :]
        if len(kept) == len(before):
            break
    return Centre(middle, _spread(kept, middle))


def _gaussian(values: Float, start: Centre) -> Centre:
    """Centre and width of a Gaussian fitted to the histogram within 4 sigma; `start` if it does not fit."""
    from scipy.optimize import curve_fit

    low, high = start.value - 4.0 * start.sigma, start.value + 4.0 * start.sigma
    if not low < high:
        return start
    counts, edges = np.histogram(values.astype(np.float64), bins=BINS, range=(low, high))
    at = (edges[1:] + edges[:-1]) / 2.0
    peak = int(np.argmax(counts))

    def gaussian(x: NDArray[np.float64], height: float, centre: float, sigma: float) -> NDArray[np.float64]:
        return np.asarray(height * np.exp(-0.5 * ((x - centre) / sigma) ** 2))

    bounds = [(0, at[0], 0), (np.inf, at[-1], at[-1] - at[0])]
    try:
        found, _ = curve_fit(gaussian, at, counts, p0=(counts[peak], at[peak], start.sigma), bounds=bounds)
    except RuntimeError:  # it does not converge
        return start
    return Centre(float(found[1]), float(found[2]))


def _within(values: Float, low: np.float32, high: np.float32) -> tuple[int, int]:
    """First index, and one after the last, of the sorted values from `low` to `high`."""
    return int(np.searchsorted(values, low, "left")), int(np.searchsorted(values, high, "right"))


def _middle(values: Float) -> float:
    return (float(values[(len(values) - 1) // 2]) + float(values[len(values) // 2])) / 2


def _mean(values: Float) -> float:
    return float(values.mean(dtype=np.float64))


def _spread(values: Float, about: float) -> float:
    """Root of the mean squared distance."""
    total = 0.0
    for start in range(0, len(values), BLOCK):
        distance = values[start : start + BLOCK].astype(np.float64) - about
        total += float(distance @ distance)
    return float(np.sqrt(total / len(values)))


def _at_least(limit: float) -> np.float32:
    """The least single-precision number that is not below the limit: comparisons become exact."""
    rounded = np.float32(limit)
    return rounded if float(rounded) >= limit else np.nextafter(rounded, np.float32(np.inf))


def _at_most(limit: float) -> np.float32:
    return -_at_least(-limit)
