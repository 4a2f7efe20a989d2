"""Means over a ring about each pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper, kernel
from calwebbd.stages.kernels.differences import BAD

JUMP = flags.JUMP_DET


@helper
def significance(
    sci: Any, groupdq: Any, unusable: Any, gain: Any, median: Any, noise: Any, y: int, values: Any, good: Any
) -> None:
    """One row of differences between two groups from their median, in units of their noise.

    values, good : (nx,), 0 and 0 where there is none: a sample that is not used, a later one
        with JUMP_DET, an unusable pixel. Single precision.
    """
    for x in range(values.size):
        before, after = groupdq[0, y, x], groupdq[1, y, x]
        used = (before | after) & BAD == 0 and before != JUMP and after & JUMP == 0 and not unusable[y, x]
        difference = sci[1, y, x] * gain[y, x] - sci[0, y, x] * gain[y, x]
        ratio = abs(difference - median[y, x]) / noise[y, x]
        used = used and ratio < np.inf
        values[x] = ratio if used else 0.0
        good[x] = 1 if used else 0


@kernel(
    "(f4[:, :, ::1], u1[:, :, ::1], b1[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], b1[:, ::1], f8,"
    " u1[:, ::1])"
)
def exceeding(
    sci: Any, groupdq: Any, unusable: Any, gain: Any, median: Any, noise: Any, ring: Any, threshold: float,
    out: Any,
) -> None:  # fmt: skip
    """Where the mean significance of a difference, over the ring about a pixel, exceeds the threshold.

    sci, groupdq : (2, ny, nx), DN; gain : e-/DN; median, noise : of the difference, e-
    ring : (n, n), n odd; beyond the edges the significance is 0
    out : (ny, nx), 1 or 0, filled; 0 where the pixel itself has no significance
    """
    size, (ny, nx) = ring.shape[0], out.shape
    reach = size // 2
    values = np.zeros((size, nx + 2 * reach))
    good = np.ones((size, nx + 2 * reach), np.int16)
    total, number = np.empty(nx), np.empty(nx, np.int16)
    inner = slice(reach, reach + nx)
    for newest in range(-reach, ny + reach):
        row = newest % size
        if 0 <= newest < ny:
            significance(
                sci, groupdq, unusable, gain, median, noise, newest, values[row, inner], good[row, inner]
            )
        else:
            values[row, :] = 0.0
            good[row, :] = 1
        y = newest - reach
        if y < 0:
            continue
        total[:] = 0.0
        number[:] = 0
        for dy in range(size):
            source = (y - reach + dy) % size
            for dx in range(size):
                if ring[dy, dx]:
                    for x in range(nx):
                        total[x] += values[source, dx + x]
                        number[x] += good[source, dx + x]
        for x in range(nx):
            found = good[y % size, reach + x] and number[x] > 0 and total[x] / number[x] > threshold
            out[y, x] = 1 if found else 0
