"""Outliers among the differences between successive groups of a ramp.

Every kernel takes whole rows, tile by tile of columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper, kernel
from calwebbd.stages.kernels.differences import LARGEST, difference_tile, noise, sort_usable
from calwebbd.stages.kernels.sorting import middle
from calwebbd.stages.kernels.tiles import tile_width

JUMP = flags.JUMP_DET


@helper
def clipped_median(ordered: Any, x: int, count: int) -> Any:
    """Median of column x without its greatest value (and those equal to it); of 2 the lesser, of 3 as is."""
    if count == 2:
        return float(ordered[0, x])
    if count == 3:
        return float(ordered[1, x])
    if count < 2:
        return float("nan")
    rest = count - 1
    while rest > 0 and ordered[rest - 1, x] == ordered[count - 1, x]:
        rest -= 1
    return middle(ordered, x, 0, rest)


@helper
def deviation(value: float, median: float) -> Any:
    """Distance from the median, in single precision."""
    return abs(np.float32(np.float64(value) - median))


@helper
def greatest_deviation(ordered: Any, x: int, count: int, median: float) -> Any:
    """The greatest deviation in sorted column x: that of its first or its last value; 0 without a median."""
    if count < 2 or median != median:
        return np.float32(0)
    low = deviation(ordered[0, x], median)
    high = deviation(ordered[count - 1, x], median)
    return high if low < high else low


@helper
def remove(ordered: Any, x: int, count: int, median: float, worst: Any) -> int:
    """Drop the values of sorted column x that deviate by `worst`; how many are left."""
    kept = 0
    for k in range(count):
        if deviation(ordered[k, x], median) != worst:
            ordered[kept, x] = ordered[k, x]
            kept += 1
    return kept


@helper
def flag_deviants(groupdq: Any, y: int, x0: int, x: int, differences: Any, median: float, worst: Any) -> None:
    """Flag, and make NaN, the differences of one pixel whose size deviates by `worst`."""
    steps = groupdq.shape[1] - 1
    for k in range(differences.shape[0]):
        if deviation(abs(differences[k, x]), median) == worst:
            groupdq[k // steps, k % steps + 1, y, x0 + x] |= JUMP
            differences[k, x] = np.nan


@kernel("(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], f4[:, ::1], f8, f8[::1])")
def reject_iteratively(
    start: int,
    stop: int,
    sci: Any,
    groupdq: Any,
    gain: Any,
    readnoise: Any,
    nframes: float,
    thresholds: Any,
) -> None:
    """Flag each pixel's worst difference while it exceeds the threshold, of all its integrations.

    thresholds : sigma, by the number of differences that are left: 0, 1, 2, 3, 4 or more
    The median is rounded to single precision from the second round on, as in the
    reference pipeline.
    """
    width = tile_width(sci.shape[3])
    size = sci.shape[0] * (sci.shape[1] - 1)
    differences = np.full((size, width), np.nan, np.float32)
    ordered = np.empty((size, width), np.float32)
    counts = np.empty(width, np.int64)
    for y in range(start, stop):
        for x0 in range(0, sci.shape[3], width):
            difference_tile(sci, groupdq, gain, y, x0, 0, differences)
            sort_usable(differences, True, np.inf, ordered, counts)
            for x in range(min(width, sci.shape[3] - x0)):
                count = counts[x]
                median = clipped_median(ordered, x, count)
                worst = greatest_deviation(ordered, x, count, median)
                sigma = noise(median, gain[y, x0 + x], readnoise[y, x0 + x], nframes)
                while sigma > 0 and worst / sigma > thresholds[min(count, 4)]:
                    flag_deviants(groupdq, y, x0, x, differences, median, worst)
                    count = remove(ordered, x, count, median, worst)
                    median = np.float64(np.float32(clipped_median(ordered, x, count)))
                    worst = greatest_deviation(ordered, x, count, median)
                    sigma = noise(median, gain[y, x0 + x], readnoise[y, x0 + x], nframes)


@kernel("(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], f4[:, ::1], f8, f8, f8[:, ::1])")
def reject_at_once(
    start: int,
    stop: int,
    sci: Any,
    groupdq: Any,
    gain: Any,
    readnoise: Any,
    nframes: float,
    threshold: float,
    medians: Any,
) -> None:
    """Flag every difference further than `threshold` sigma from its pixel's median.

    medians : (ny, nx), e-, filled; NaN where there is none
    """
    width = tile_width(sci.shape[3])
    steps = sci.shape[1] - 1
    size = sci.shape[0] * steps
    differences = np.full((size, width), np.nan, np.float32)
    ordered = np.empty((size, width), np.float32)
    counts = np.empty(width, np.int64)
    for y in range(start, stop):
        for x0 in range(0, sci.shape[3], width):
            difference_tile(sci, groupdq, gain, y, x0, 0, differences)
            sort_usable(differences, False, np.inf, ordered, counts)
            for x in range(min(width, sci.shape[3] - x0)):
                count = counts[x]
                median = medians[y, x0 + x] = middle(ordered, x, 0, count)
                if count == 0:
                    continue
                sigma = noise(median, gain[y, x0 + x], readnoise[y, x0 + x], nframes)
                limit = max(abs(ordered[0, x] - median), abs(ordered[count - 1, x] - median))
                if not (sigma > 0 and limit / sigma > threshold):
                    continue
                for k in range(size):
                    d = differences[k, x]
                    if np.isfinite(d) and abs(d - median) / sigma > threshold:
                        groupdq[k // steps, k % steps + 1, y, x0 + x] |= JUMP


@helper
def square_deviations(ordered: Any, counts: Any, means: Any, out: Any) -> None:
    """Sum of the squares of each column's deviations from its mean. means : room, (width,)"""
    means[:] = 0.0
    out[:] = 0.0
    for k in range(ordered.shape[0]):
        row = ordered[k]
        for x in range(row.size):
            means[x] += np.float64(row[x]) if k < counts[x] else 0.0
    for x in range(counts.size):
        means[x] /= counts[x]
    for k in range(ordered.shape[0]):
        row = ordered[k]
        for x in range(row.size):
            deviation = row[x] - means[x] if k < counts[x] else 0.0
            out[x] += deviation * deviation


@helper
def square_deviation(ordered: Any, x: int, first: int, last: int) -> float:
    """The same of rows first … last − 1 of column x."""
    total = squares = 0.0
    for k in range(first, last):
        total += ordered[k, x]
    mean = total / (last - first)
    for k in range(first, last):
        squares += (ordered[k, x] - mean) * (ordered[k, x] - mean)
    return squares


@helper
def clip_bounds(ordered: Any, x: int, count: int, squares: float, sigma: float) -> Any:
    """Bounds of column x about its median after at most five rounds of clipping (astropy's sigma_clip).

    squares : of its deviations
    """
    first, last = 0, count
    low = high = np.nan
    for _ in range(5):
        if last == first:
            break
        centre = middle(ordered, x, first, last)
        width = sigma * np.sqrt(squares / (last - first))
        low = centre - width
        high = centre + width
        before = last - first
        while first < last and ordered[first, x] < low:
            first += 1
        while first < last and ordered[last - 1, x] > high:
            last -= 1
        if last - first == before:
            break
        squares = square_deviation(ordered, x, first, last)
    return low, high


@kernel("(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], f8, b1)")
def clip_integrations(
    start: int, stop: int, sci: Any, groupdq: Any, gain: Any, sigma: float, by_group: bool
) -> None:
    """Flag differences beyond the sigma-clipped bounds of their pixel over the integrations.

    by_group : each group's differences apart, or all groups together
    """
    width = tile_width(sci.shape[3])
    nints, steps = sci.shape[0], sci.shape[1] - 1
    differences = np.full((nints * steps, width), np.nan, np.float32)
    sets = steps if by_group else 1
    size = nints * steps // sets
    ordered = np.empty((size, width), np.float32)
    counts = np.empty(width, np.int64)
    means, squares = np.empty(width), np.empty(width)
    for y in range(start, stop):
        for x0 in range(0, sci.shape[3], width):
            difference_tile(sci, groupdq, gain, y, x0, 0, differences)
            for s in range(sets):
                sort_usable(differences[s::sets], False, LARGEST, ordered, counts)
                square_deviations(ordered, counts, means, squares)
                for x in range(min(width, sci.shape[3] - x0)):
                    low, high = clip_bounds(ordered, x, counts[x], squares[x], sigma)
                    for k in range(s, nints * steps, sets):
                        d = differences[k, x]
                        if abs(d) <= LARGEST and (d < low or d > high):
                            groupdq[k // steps, k % steps + 1, y, x0 + x] |= JUMP
