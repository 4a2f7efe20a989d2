"""Moments and histograms of samples of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.kernels import kernel


@kernel("(f4[:, ::1], b1[:, ::1], b1[:, ::1], f4, f4, f8, f4[::1], f4[::1], f8[::1])")
def gather(
    plane: Any,
    good: Any,
    wanted: Any,
    low: Any,
    high: Any,
    centre: float,
    values: Any,
    others: Any,
    core: Any,
) -> Any:
    """The good ones of the pixels that are wanted, and those not between `low` and `high`; both numbers.

    values, others : room for them
    core : gets number, sum, and sum of squares, both about `centre`, least and greatest of the rest
    """
    number, outside, count, total, squares = 0, 0, 0, 0.0, 0.0
    least, greatest = np.float32(np.inf), np.float32(-np.inf)
    for j in range(plane.shape[0]):
        for i in range(plane.shape[1]):
            value = plane[j, i]  # no branches: which pixels are taken cannot be foreseen
            taken = wanted[j, i] & good[j, i]
            inside = taken & (low <= value) & (value <= high)
            values[number] = others[outside] = value
            number += 1 if taken else 0
            outside += 1 if taken & ~inside else 0
            offset = value - centre if inside else 0.0
            count += 1 if inside else 0
            total += offset
            squares += offset * offset
            least = value if inside & (value < least) else least
            greatest = value if inside & (value > greatest) else greatest
    core[0], core[1], core[2], core[3], core[4] = count, total, squares, least, greatest
    return number, outside


@kernel("(f4[::1], f4, f4, f4, f8, f8[::1])")
def between(values: Any, low: Any, high: Any, first: Any, centre: float, core: Any) -> Any:
    """Number, mean, standard deviation (N - 1), least and greatest of the values from `low` to `high`.

    core : the same of further values, all between the limits, as `gather` leaves it
    Summed in double precision, returned in single. NaN never counts. Where `first`, the
    first of the sample, lies beyond a limit, that limit stands for the extreme on its
    side: this is what STScI's imagestats does, and the bins of a mode begin there.
    """
    count, total, squares = np.int64(core[0]), core[1], core[2]
    least = min(max(low, first), np.float32(core[3]))
    greatest = max(min(high, first), np.float32(core[4]))
    for value in values:
        if low <= value <= high:
            offset = value - centre
            count += 1
            total += offset
            squares += offset * offset
            least, greatest = min(least, value), max(greatest, value)
    mean = total / max(count, 1)
    sigma = np.sqrt(max(squares - total * mean, 0.0) / (count - 1)) if count > 1 else np.nan
    return count, np.float32(mean + centre), np.float32(sigma), least, greatest


@kernel("(f4[::1], f4, f4, i8[::1])")
def histogram(values: Any, start: Any, width: Any, counts: Any) -> None:
    """Add to the counts of bins of a width, from `start` on; single precision."""
    stop = start + width * np.float32(counts.size)
    scale = np.float32(1) / width
    for value in values:
        if start <= value < stop:
            bin_ = np.int64(scale * (value - start))
            if bin_ < counts.size:
                counts[bin_] += 1
