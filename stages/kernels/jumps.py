"""Outliers among the differences between successive groups of a ramp.

Differences are formed in single precision from ramps in electrons; medians, noise
and ratios are double. Every kernel takes whole rows, tile by tile of columns, so
that its working arrays stay in the processor's first cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper, kernel
from calwebbd.stages.kernels.sorting import middle, sort_columns

BAD = flags.DO_NOT_USE | flags.SATURATED
JUMP = flags.JUMP_DET
NOT_JUMP = 0xFF & ~flags.JUMP_DET
LARGEST = float(np.finfo(np.float32).max)  # of what is finite
TILE = 64  # columns; a tile of ten groups is 2.5 kB


@helper
def difference_tile(sci: Any, groupdq: Any, gain: Any, y: int, x0: int, out: Any) -> None:
    """Differences between groups of the pixels from (y, x0) on, e-; NaN where a sample is unusable.

    out : (nints * (ngroups - 1), width), integrations one after the other
    """
    nints, ngroups = sci.shape[0], sci.shape[1]
    width = min(out.shape[1], sci.shape[3] - x0)
    before = np.empty(out.shape[1], np.float32)
    for i in range(nints):
        for g in range(ngroups):
            values = sci[i, g, y, x0 : x0 + width]
            bits = groupdq[i, g, y, x0 : x0 + width]
            gains = gain[y, x0 : x0 + width]
            row = out[max(0, i * (ngroups - 1) + g - 1)]
            for x in range(width):
                now = values[x] * gains[x] if bits[x] & BAD == 0 else np.float32(np.nan)
                if g > 0:
                    row[x] = now - before[x]
                before[x] = now


@helper
def sort_usable(differences: Any, absolute: bool, largest: float, out: Any, count: Any) -> None:
    """Sort each column's differences, or their sizes, into `out`, unusable ones last; count the others.

    largest : size beyond which a difference is not usable; NaN never is
    """
    count[:] = 0
    for k in range(differences.shape[0]):
        row = differences[k]
        target = out[k]
        for x in range(row.size):
            value = row[x]
            usable = abs(value) <= largest
            count[x] += 1 if usable else 0
            target[x] = (abs(value) if absolute else value) if usable else np.float32(np.inf)
    sort_columns(out, differences.shape[0])


@helper
def noise(median: float, gain: float, readnoise: float, nframes: float) -> float:
    """Standard deviation expected of one difference, e-; `readnoise` is of a difference, DN."""
    electrons = np.float32(readnoise) * np.float32(gain)
    square = electrons * electrons
    return float(np.sqrt(abs(median) + np.float64(square) / nframes))


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
    size = sci.shape[0] * (sci.shape[1] - 1)
    differences = np.full((size, TILE), np.nan, np.float32)
    ordered = np.empty((size, TILE), np.float32)
    counts = np.empty(TILE, np.int64)
    for y in range(start, stop):
        for x0 in range(0, sci.shape[3], TILE):
            difference_tile(sci, groupdq, gain, y, x0, differences)
            sort_usable(differences, True, np.inf, ordered, counts)
            for x in range(min(TILE, sci.shape[3] - x0)):
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


@kernel("(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], f4[:, ::1], f8, f8)")
def reject_at_once(
    start: int,
    stop: int,
    sci: Any,
    groupdq: Any,
    gain: Any,
    readnoise: Any,
    nframes: float,
    threshold: float,
) -> None:
    """Flag every difference further than `threshold` sigma from its pixel's median."""
    steps = sci.shape[1] - 1
    size = sci.shape[0] * steps
    differences = np.full((size, TILE), np.nan, np.float32)
    ordered = np.empty((size, TILE), np.float32)
    counts = np.empty(TILE, np.int64)
    for y in range(start, stop):
        for x0 in range(0, sci.shape[3], TILE):
            difference_tile(sci, groupdq, gain, y, x0, differences)
            sort_usable(differences, False, np.inf, ordered, counts)
            for x in range(min(TILE, sci.shape[3] - x0)):
                count = counts[x]
                if count == 0:
                    continue
                median = middle(ordered, x, 0, count)
                sigma = noise(median, gain[y, x0 + x], readnoise[y, x0 + x], nframes)
                limit = max(abs(ordered[0, x] - median), abs(ordered[count - 1, x] - median))
                if not (sigma > 0 and limit / sigma > threshold):
                    continue
                for k in range(size):
                    d = differences[k, x]
                    if np.isfinite(d) and abs(d - median) / sigma > threshold:
                        groupdq[k // steps, k % steps + 1, y, x0 + x] |= JUMP


@helper
def clip_bounds(ordered: Any, x: int, count: int, sigma: float) -> Any:
    """Bounds of column x about its median after at most five rounds of clipping (astropy's sigma_clip)."""
    first, last = 0, count
    low = high = np.nan
    for _ in range(5):
        if last == first:
            break
        total = 0.0
        for k in range(first, last):
            total += ordered[k, x]
        mean = total / (last - first)
        squares = 0.0
        for k in range(first, last):
            squares += (ordered[k, x] - mean) * (ordered[k, x] - mean)
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
    return low, high


@kernel("(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], f8, b1)")
def clip_integrations(
    start: int, stop: int, sci: Any, groupdq: Any, gain: Any, sigma: float, by_group: bool
) -> None:
    """Flag differences beyond the sigma-clipped bounds of their pixel over the integrations.

    by_group : each group's differences apart, or all groups together
    """
    nints, steps = sci.shape[0], sci.shape[1] - 1
    differences = np.full((nints * steps, TILE), np.nan, np.float32)
    sets = steps if by_group else 1
    size = nints * steps // sets
    ordered = np.empty((size, TILE), np.float32)
    counts = np.empty(TILE, np.int64)
    for y in range(start, stop):
        for x0 in range(0, sci.shape[3], TILE):
            difference_tile(sci, groupdq, gain, y, x0, differences)
            for s in range(sets):
                sort_usable(differences[s::sets], False, LARGEST, ordered, counts)
                for x in range(min(TILE, sci.shape[3] - x0)):
                    low, high = clip_bounds(ordered, x, counts[x], sigma)
                    for k in range(s, nints * steps, sets):
                        d = differences[k, x]
                        if abs(d) <= LARGEST and (d < low or d > high):
                            groupdq[k // steps, k % steps + 1, y, x0 + x] |= JUMP


@helper
def jumped(groupdq: Any, y: int, x0: int, out: Any) -> Any:
    """Mark the pixels of a tile that have a jump in any group; how many flags there are."""
    width = min(out.size, groupdq.shape[3] - x0)
    out[:] = 0
    total = 0
    for i in range(groupdq.shape[0]):
        for g in range(groupdq.shape[1]):
            bits = groupdq[i, g, y, x0 : x0 + width]
            for x in range(width):
                jump = bits[x] & JUMP
                out[x] |= jump
                total += 1 if jump else 0
    return total


@helper
def pixel_differences(sci: Any, groupdq: Any, gain: Any, y: int, x: int, out: Any, ordered: Any) -> Any:
    """Differences of one pixel into the column `out`, e-, NaN where unusable; their median."""
    steps = sci.shape[1] - 1
    count = 0
    for i in range(sci.shape[0]):
        for g in range(steps):
            usable = (groupdq[i, g, y, x] | groupdq[i, g + 1, y, x]) & BAD == 0
            value = sci[i, g + 1, y, x] * gain[y, x] - sci[i, g, y, x] * gain[y, x]
            out[i * steps + g, 0] = value if usable else np.float32(np.nan)
            if usable and value == value:
                place = count
                while place > 0 and ordered[place - 1, 0] > value:
                    ordered[place, 0] = ordered[place - 1, 0]
                    place -= 1
                ordered[place, 0] = value
                count += 1
    return middle(ordered, 0, 0, count)


@kernel(
    "(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], f4[:, ::1], f8, f8, f8,"
    " u1[:, :, :, ::1], i8[::1])"
)
def mark_spreading(
    start: int,
    stop: int,
    sci: Any,
    groupdq: Any,
    gain: Any,
    readnoise: Any,
    nframes: float,
    least: float,
    most: float,
    spreading: Any,
    counts: Any,
) -> None:
    """Mark the jumps between `least` and `most` sigma, which spread to their neighbours; count all jumps.

    spreading : (nints, ngroups, ny, ceil(nx / 8)), a bit for each pixel, lowest first
    counts : jumps in each row
    """
    steps = sci.shape[1] - 1
    differences = np.empty((sci.shape[0] * steps, 1), np.float32)
    ordered = np.empty((sci.shape[0] * steps, 1), np.float32)
    marks = np.empty(TILE, np.uint8)
    for y in range(start, stop):
        for x0 in range(0, sci.shape[3], TILE):
            total = jumped(groupdq, y, x0, marks)
            counts[y] += total
            if total == 0:
                continue
            for x in range(x0, min(x0 + TILE, sci.shape[3])):
                if not marks[x - x0]:
                    continue
                median = pixel_differences(sci, groupdq, gain, y, x, differences, ordered)
                sigma = noise(median, gain[y, x], readnoise[y, x], nframes)
                for k in range(differences.shape[0] if sigma > 0 else 0):
                    i, g = k // steps, k % steps + 1
                    ratio = abs(differences[k, 0] - median) / sigma
                    if least < ratio < most and groupdq[i, g, y, x] & JUMP:
                        spreading[i, g, y, x // 8] |= 1 << (x % 8)


@helper
def flag_neighbours(groupdq: Any, spreading: Any, i: int, g: int, y: int) -> None:
    """Flag the pixels of one row that are beside, above or below one that spreads."""
    ny, nx = groupdq.shape[2], groupdq.shape[3]
    last = spreading.shape[3] - 1
    for k in range(last + 1):
        here = np.int64(spreading[i, g, y, k])
        bits = (here << 1) | (here >> 1)
        if k > 0:
            bits |= np.int64(spreading[i, g, y, k - 1]) >> 7
        if k < last:
            bits |= np.int64(spreading[i, g, y, k + 1]) << 7
        if y > 0:
            bits |= np.int64(spreading[i, g, y - 1, k])
        if y < ny - 1:
            bits |= np.int64(spreading[i, g, y + 1, k])
        if bits & 0xFF == 0:
            continue
        for x in range(8 * k, min(8 * k + 8, nx)):
            if (bits >> (x - 8 * k)) & 1 and groupdq[i, g, y, x] & BAD == 0:
                groupdq[i, g, y, x] |= JUMP


@helper
def flag_after(
    groupdq: Any, y: int, x: int, differences: Any, median: float, limits: Any, lasts: Any
) -> None:
    """Flag the groups after each jump of a pixel that is large enough.

    limits : least jumps above the median, e-; lasts : groups that each affects
    """
    steps = groupdq.shape[1] - 1
    for i in range(groupdq.shape[0]):
        left = 0
        for g in range(1, steps + 1):
            bits = groupdq[i, g, y, x]
            if left > 0 and bits & BAD == 0:
                groupdq[i, g, y, x] |= JUMP
            left -= 1
            if bits & JUMP:
                jump = differences[i * steps + g - 1, 0] - median
                for k in range(limits.size):
                    if jump >= limits[k] and lasts[k] > left:
                        left = lasts[k]


@kernel("(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], u1[:, :, :, ::1], f8[::1], i8[::1])")
def spread(
    start: int, stop: int, sci: Any, groupdq: Any, gain: Any, spreading: Any, limits: Any, lasts: Any
) -> None:
    """Flag the neighbours of marked jumps and the groups after large ones; unflag unusable samples.

    spreading : as `mark_spreading` leaves it
    limits, lasts : least jump, e-, and number of groups it affects afterwards
    """
    steps = sci.shape[1] - 1
    differences = np.empty((sci.shape[0] * steps, 1), np.float32)
    ordered = np.empty((sci.shape[0] * steps, 1), np.float32)
    marks = np.empty(TILE, np.uint8)
    for y in range(start, stop):
        for i in range(sci.shape[0]):
            for g in range(1, steps + 1):
                flag_neighbours(groupdq, spreading, i, g, y)
        if lasts[0] > 0 or lasts[1] > 0:
            for x0 in range(0, sci.shape[3], TILE):
                if jumped(groupdq, y, x0, marks) == 0:
                    continue
                for x in range(x0, min(x0 + TILE, sci.shape[3])):
                    if marks[x - x0]:
                        median = pixel_differences(sci, groupdq, gain, y, x, differences, ordered)
                        flag_after(groupdq, y, x, differences, median, limits, lasts)
        for i in range(sci.shape[0]):
            for g in range(steps + 1):
                row = groupdq[i, g, y]
                for x in range(row.size):
                    row[x] &= NOT_JUMP if row[x] & BAD else 0xFF
