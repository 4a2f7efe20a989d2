"""Where the background of an image ends and its sources begin.

Limits are those that `astropy.stats.sigma_clipped_stats` leads to, found without sorting
millions of values: only those about the median are put in order.
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
BLOCK = 1 << 14  # values in double precision at a time
ABOUT = 0.05  # of the values to either side of the median are sorted


class Centre(NamedTuple):
    """Centre of a distribution, and its standard deviation."""

    value: float
    sigma: float


class Values(NamedTuple):
    """A finite sample: those about its median, ascending, and in any order those below and above them."""

    low: Float
    middle: Float
    high: Float

    @classmethod
    def under(cls, image: Float, mask: Mask) -> Values:
        """The finite values of an image under a mask."""
        return cls.of(image[mask & np.isfinite(image)])

    @classmethod
    def of(cls, sample: Float) -> Values:
        """The sample, which is put into this order in place."""
        first, last = 0, len(sample)
        if last > BLOCK:
            first, last = int(last * (0.5 - ABOUT)), int(last * (0.5 + ABOUT))
            sample.partition((first, last))
        sample[first:last].sort()
        return cls(sample[:first], sample[first:last], sample[last:])

    @property
    def size(self) -> int:
        return sum(len(part) for part in self)

    def within(self, low: float = -np.inf, high: float = np.inf) -> Values:
        """Those from `low` to `high`."""
        least, greatest = _at_least(low), _at_most(high)
        first = np.searchsorted(self.middle, least, "left")
        last = np.searchsorted(self.middle, greatest, "right")
        low_part, high_part = _cut(self.low, least, greatest), _cut(self.high, least, greatest)
        return Values(low_part, self.middle[first:last], high_part)

    def lower(self, by: np.float32) -> None:
        """Subtract a constant, in place."""
        for part in self:
            np.subtract(part, by, out=part)

    def middle_two(self) -> tuple[np.float32, np.float32]:
        """The values on either side of the median of a centred sample; the same two if it is one."""
        first, last = self._about_median()
        return self.middle[first], self.middle[last]

    def centred(self) -> Values:
        """The same, put into order anew if the median has left the part that is."""
        first, last = self._about_median()
        if first < 0 or last >= len(self.middle):
            return Values.of(np.concatenate(self))
        return self

    def _about_median(self) -> tuple[int, int]:
        """Where the values on either side of the median are in the middle part."""
        return (self.size - 1) // 2 - len(self.low), self.size // 2 - len(self.low)

    def moments(self, about: float) -> tuple[float, float]:
        """Mean distance, and mean squared distance, from a value."""
        total = squares = 0.0
        for part in self:
            for start in range(0, len(part), BLOCK):
                distance = np.subtract(part[start : start + BLOCK], about, dtype=np.float64)
                total += float(distance.sum())
                distance *= distance
                squares += float(distance.sum())
        return total / self.size, squares / self.size


def clip(
    image: Float,
    mask: Mask,
    below: float,
    above: float,
    *,
    lower_half: bool = False,
    histogram: bool = False,
    values: Values | None = None,
) -> Values:
    """Take what lies more than so many sigma below and above the centre out of the mask, in place.

    image, mask : (ny, nx); what is not True in the mask does not count
    lower_half : find the spread from the values below the median, as if the others were their
        mirror image: diffuse light then does not widen it
    histogram : find centre and spread from a Gaussian fitted to the histogram of the values
    values : finite ones under the mask, if they are known

    Returns the values that remain.
    Source: specification detector1 §3 clean_flicker_noise, step 0.
    """
    if values is None:
        values = Values.under(image, mask)
    if not values.size:
        return values
    centre = _lower_half(values) if lower_half else _both_halves(values, mean=histogram)
    if histogram:
        centre = _gaussian(values, centre)
    low, high = centre.value - below * centre.sigma, centre.value + above * centre.sigma
    mask &= (image >= _at_least(low)) & (image <= _at_most(high))
    return values.within(low, high).centred()


def median(values: Values) -> np.float32:
    """Median, in the precision of the values; NaN of none."""
    if not values.size:
        return np.float32(np.nan)
    low, high = values.middle_two()
    return np.float32((low + high) / np.float32(2))


def _both_halves(values: Values, *, mean: bool) -> Centre:
    """Median (or mean) and standard deviation after clipping about the median."""
    kept = values
    for _ in range(ROUNDS):
        middle, _, sigma = _statistics(kept)
        before, kept = kept, kept.within(middle - CLIP * sigma, middle + CLIP * sigma).centred()
        if kept.size == before.size:
            break
    middle, average, sigma = _statistics(kept)
    return Centre(average if mean else middle, sigma)


def _statistics(values: Values) -> tuple[float, float, float]:
    """Median, mean and standard deviation."""
    low, high = values.middle_two()
    middle = (float(low) + float(high)) / 2
    offset, square = values.moments(middle)
    return middle, middle + offset, float(np.sqrt(square - offset * offset))


def _lower_half(values: Values) -> Centre:
    """Clipped median, and standard deviation about it of the values up to it, after clipping."""
    middle = _both_halves(values, mean=False).value
    kept = values.within(high=middle)
    for _ in range(ROUNDS):
        reach = CLIP * float(np.sqrt(kept.moments(middle)[1]))
        before, kept = kept, kept.within(low=middle - reach)
        if kept.size == before.size:
            break
    return Centre(middle, float(np.sqrt(kept.moments(middle)[1])))


def _gaussian(values: Values, start: Centre) -> Centre:
    """Centre and width of a Gaussian fitted to the histogram within 4 sigma; `start` if it does not fit."""
    from scipy.optimize import curve_fit

    low, high = start.value - 4.0 * start.sigma, start.value + 4.0 * start.sigma
    if not low < high:
        return start
    counts, edges = np.histogram(np.concatenate(values).astype(np.float64), bins=BINS, range=(low, high))
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


def _cut(part: Float, least: np.float32, greatest: np.float32) -> Float:
    """Values from `least` to `greatest`; copied only if others go."""
    if len(part) and part.min() < least:
        part = part[part >= least]
    if len(part) and part.max() > greatest:
        part = part[part <= greatest]
    return part


def _at_least(limit: float) -> np.float32:
    """The least single-precision number that is not below the limit: comparisons become exact."""
    rounded = np.float32(limit)
    return rounded if float(rounded) >= limit else np.nextafter(rounded, np.float32(np.inf))


def _at_most(limit: float) -> np.float32:
    return -_at_least(-limit)
