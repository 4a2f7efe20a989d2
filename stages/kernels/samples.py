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

NORMAL, FIRST_GROUP, ZERO_FRAME = 0, 1, 2  # which time the first group of a ramp stands for


@helper
def load_tile(
    sci: Any,
    groupdq: Any,
    zeroframe: Any,
    first: int,
    y: int,
    x0: int,
    suppress: bool,
    values: Any,
    bits: Any,
    kinds: Any,
) -> None:
    """Copy the ramps from (y, x0) on; saturated samples are NaN, suppressed ramps DO_NOT_USE.

    first : group to begin with; if it is not 0, it has no jump
    values : (nints * ngroups, width), DN; bits : their flags
    kinds : (nints, width), NORMAL, FIRST_GROUP (the only good one) or ZERO_FRAME (in its place)
    """
    nints = sci.shape[0]
    ngroups = values.shape[0] // nints
    width = min(values.shape[1], sci.shape[3] - x0)
    good = np.empty(values.shape[1], np.int64)
    lasting = np.empty(values.shape[1], np.int64)
    for i in range(nints):
        for x in range(width):
            good[x] = lasting[x] = 0
        for g in range(ngroups):
            row, marks = values[i * ngroups + g], bits[i * ngroups + g]
            for x in range(width):
                q = groupdq[i, first + g, y, x0 + x]
                row[x] = np.nan if q & SATURATED else sci[i, first + g, y, x0 + x]
                lasting[x] += 1 if q & (0xFF ^ PERSISTENCE) == 0 else 0
                if first > 0 and g == 0:
                    q &= 0xFF ^ JUMP
                marks[x] = q
                good[x] += 1 if q == 0 else 0
        for x in range(width):
            kinds[i, x] = NORMAL
            if suppress:
                if lasting[x] == 1:
                    for g in range(ngroups):
                        bits[i * ngroups + g, x] |= DNU
            elif good[x] == 1 and bits[i * ngroups, x] == 0:
                kinds[i, x] = FIRST_GROUP
            elif good[x] == 0 and zeroframe.shape[0] == nints and zeroframe[i, y, x0 + x] != 0:
                kinds[i, x] = ZERO_FRAME
                values[i * ngroups, x] = zeroframe[i, y, x0 + x]
                bits[i * ngroups, x] = 0


@helper
def rate_differences(
    values: Any, bits: Any, first: int, ngroups: int, time: float, out: Any, count: Any
) -> None:
    """Sorted differences of one integration's ramps over the group time, unusable ones last; their number.

    out : (ngroups - 1, width), DN/s. Without any difference, the first group over the time stands for it.
    """
    for x in range(count.size):
        count[x] = 0
    for g in range(ngroups - 1):
        k = first + g
        for x in range(values.shape[1]):
            usable = (bits[k, x] | bits[k + 1, x]) & DNU == 0 and bits[k + 1, x] & JUMP == 0
            rate = values[k + 1, x] / time - values[k, x] / time
            usable = usable and rate == rate
            out[g, x] = rate if usable else np.inf
            count[x] += 1 if usable else 0
    for x in range(values.shape[1]):
        if count[x] == 0 and bits[first, x] & DNU == 0 and values[first, x] == values[first, x]:
            out[0, x] = values[first, x] / time
            count[x] = 1
    sort_columns(out, ngroups - 1)


@helper
def median_rates(values: Any, bits: Any, kinds: Any, times: Any, ordered: Any, count: Any, out: Any) -> None:
    """Mean over the integrations of the median rate of each pixel of a tile, DN/s.

    times : of a group, of one first group alone, of a zero frame, s
    An integration without a rate counts as 0.
    """
    nints = kinds.shape[0]
    ngroups = values.shape[0] // nints
    for x in range(out.size):
        out[x] = 0.0
    for i in range(nints):
        first = i * ngroups
        if ngroups > 1:
            rate_differences(values, bits, first, ngroups, times[0], ordered, count)
        for x in range(out.size):
            if ngroups == 1:
                rate = values[first, x] / times[FIRST_GROUP]
            elif kinds[i, x] != NORMAL:
                rate = values[first, x] / times[kinds[i, x]]
            else:
                rate = middle(ordered, x, 0, count[x])
            out[x] += rate if rate == rate or ngroups == 1 else 0.0
    for x in range(out.size):
        out[x] /= nints
