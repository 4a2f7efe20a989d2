"""Differences between successive groups of a ramp, in electrons, and their noise.

They are formed in single precision; medians, noise and ratios are double.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper, kernel
from calwebbd.stages.kernels.sorting import middle, sort_columns
from calwebbd.stages.kernels.tiles import tile_width

BAD = flags.DO_NOT_USE | flags.SATURATED
LARGEST = float(np.finfo(np.float32).max)  # of what is finite


@helper
def difference_tile(sci: Any, groupdq: Any, gain: Any, y: int, x0: int, alone: int, out: Any) -> None:
    """Differences between groups of the pixels from (y, x0) on, e-; NaN where a sample is unusable.

    alone : flags that make a sample unusable which has just these; 0 for none
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
                usable = bits[x] & BAD == 0 and (bits[x] != alone or alone == 0)
                now = values[x] * gains[x] if usable else np.float32(np.nan)
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


@kernel("(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], f4[:, ::1])")
def median_differences(start: int, stop: int, sci: Any, groupdq: Any, gain: Any, out: Any) -> None:
    """Median difference of each pixel over all integrations, e-, without samples that have a jump alone.

    out : (ny, nx), filled; NaN where there is none
    """
    width = tile_width(sci.shape[3])
    differences = np.full((sci.shape[0] * (sci.shape[1] - 1), width), np.nan, np.float32)
    ordered = np.empty_like(differences)
    counts = np.empty(width, np.int64)
    for y in range(start, stop):
        for x0 in range(0, sci.shape[3], width):
            difference_tile(sci, groupdq, gain, y, x0, flags.JUMP_DET, differences)
            sort_usable(differences, False, np.inf, ordered, counts)
            for x in range(min(width, sci.shape[3] - x0)):
                out[y, x0 + x] = middle(ordered, x, 0, counts[x])
