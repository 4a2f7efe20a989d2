"""Samples of a tile of ramps, ready to be fitted, and the median rates that weights go by."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper
from calwebbd.stages.kernels.sorting import middle, sort_columns

DNU = flags.DO_NOT_USE
SATURATED = flags.SATURATED
JUMP = flags.JUMP_DET
PERSISTENCE = flags.PERSISTENCE
UNUSABLE = DNU | SATURATED

NORMAL, FIRST_GROUP, ZERO_FRAME = 0, 1, 2  # which time the first group of a ramp stands for


@helper
def load_tile(
    tile: Any, sci: Any, groupdq: Any, zeroframe: Any, i: int, first: int, y: int, x0: int, suppress: bool
) -> None:
    """Copy the ramps of an integration from (y, x0) on: fill `values`, `bits` and `kinds` of the tile.

    Saturated samples are NaN, suppressed ramps DO_NOT_USE.
    first : group to begin with; if it is not 0, it has no jump
    Kinds are NORMAL, FIRST_GROUP (the only good one) or ZERO_FRAME (in its place).
    """
    ngroups, width = tile.values.shape[0], min(tile.kinds.size, sci.shape[3] - x0)
    harmless = PERSISTENCE if suppress else 0
    good = tile.count
    good[:] = 0
    for g in range(ngroups):
        samples = sci[i, first + g, y, x0 : x0 + width]
        flagged = groupdq[i, first + g, y, x0 : x0 + width]
        values, bits = tile.values[g], tile.bits[g]
        kept = 0xFF ^ JUMP if first > 0 and g == 0 else 0xFF
        for x in range(width):
            values[x] = np.nan if flagged[x] & SATURATED else samples[x]
        for x in range(width):
            bits[x] = flagged[x] & kept
        counted = flagged if suppress else bits
        for x in range(width):
            good[x] += 1 if counted[x] & (0xFF ^ harmless) == 0 else 0
    for x in range(width):
        tile.kinds[x] = NORMAL
        if suppress:
            if good[x] == 1:
                for g in range(ngroups):
                    tile.bits[g, x] |= DNU
        elif good[x] == 1 and tile.bits[0, x] == 0:
            tile.kinds[x] = FIRST_GROUP
        elif good[x] == 0 and i < zeroframe.shape[0] and zeroframe[i, y, x0 + x] != 0:
            tile.kinds[x] = ZERO_FRAME
            tile.values[0, x] = zeroframe[i, y, x0 + x]
            tile.bits[0, x] = 0


@helper
def gather_flags(tile: Any, groupdq: Any, i: int, first: int, y: int, x0: int) -> None:
    """All flags of each ramp's groups, those of its rate, and whether it can be fitted."""
    every, own, usable = tile.every, tile.own, tile.usable
    ngroups = tile.bits.shape[0]
    every[:] = 0
    usable[:] = 0
    for g in range(ngroups):
        bits = tile.bits[g]
        for x in range(bits.size):
            every[x] |= bits[x]
        for x in range(bits.size):
            usable[x] |= 0 if bits[x] & UNUSABLE else 1
    for x in range(min(every.size, groupdq.shape[3] - x0)):
        if (
            tile.kinds[x] == ZERO_FRAME
        ):  # flags of the group it replaces count, but for a lone one's SATURATED
            replaced = groupdq[i, first, y, x0 + x]
            every[x] |= replaced if ngroups > 1 else replaced & (0xFF ^ SATURATED)
        own[x] = tile.flagged[x] | (every[x] & (JUMP | PERSISTENCE))
        if tile.bits[0, x] & SATURATED:
            own[x] |= UNUSABLE
            usable[x] = 0
        elif not usable[x]:
            own[x] |= DNU


@helper
def sort_rates(tile: Any, time: float) -> None:
    """Sort the differences of each ramp over the group time into `ordered`, unusable ones last; count them.

    Without any difference, the first group over the time stands for it.
    """
    values, ordered, count = tile.values, tile.ordered, tile.count
    ngroups, width = values.shape
    for g in range(ngroups):
        for x in range(width):
            ordered[g, x] = values[g, x] / time
    count[:] = 0
    for g in range(ngroups - 1):
        rate, following, now, later = ordered[g], ordered[g + 1], tile.bits[g], tile.bits[g + 1]
        for x in range(width):
            difference = following[x] - rate[x]
            unusable = (now[x] & DNU) | (later[x] & (DNU | JUMP))
            usable = (unusable == 0) & (difference == difference)
            rate[x] = difference if usable else np.inf
            count[x] += 1 if usable else 0
    for x in range(width):
        if count[x] == 0 and tile.bits[0, x] & DNU == 0 and values[0, x] == values[0, x]:
            ordered[0, x] = values[0, x] / time
            count[x] = 1
    sort_columns(ordered, ngroups - 1)


@helper
def add_median_rates(tile: Any, times: Any) -> None:
    """Add the median rate of each ramp, DN/s, to what is expected of its pixel; one without a rate adds 0.

    times : of a group, of one first group alone, of a zero frame, s
    """
    ngroups, width = tile.values.shape
    if ngroups > 1:
        sort_rates(tile, times[0])
    for x in range(width):
        if ngroups == 1:
            rate = tile.values[0, x] / times[FIRST_GROUP]
        elif tile.kinds[x] != NORMAL:
            rate = tile.values[0, x] / times[tile.kinds[x]]
        else:
            rate = middle(tile.ordered, x, 0, tile.count[x])
        tile.expected[x] += rate if rate == rate or ngroups == 1 else 0.0
