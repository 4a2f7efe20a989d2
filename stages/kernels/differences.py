"""Differences between successive groups of a ramp, in electrons, and their noise.

They are formed in single precision; medians, noise and ratios are double.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper
from calwebbd.stages.kernels.sorting import median_of, sort_columns

BAD = flags.DO_NOT_USE | flags.SATURATED
LARGEST = float(np.finfo(np.float32).max)  # of what is finite
TILE = 64  # columns; a tile of ten groups is 2.5 kB, so that all of it stays in the first cache


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
                ordered[count, 0] = value
                count += 1
    return median_of(ordered[:, 0], count)
