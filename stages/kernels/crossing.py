"""When ramps first reach a threshold, and what that means for their neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.flags import AD_FLOOR, DO_NOT_USE, SATURATED
from calwebbd.stages.kernels import kernel

FLOOR = AD_FLOOR | DO_NOT_USE


@kernel("(i8, i8, f4[:, :, ::1], u1[:, :, ::1], f4[:, ::1], i2[:, ::1])")
def first_crossings(start: int, stop: int, sci: Any, groupdq: Any, threshold: Any, first: Any) -> None:
    """For each pixel the first group at or above its threshold, or SATURATED already.

    sci, groupdq : (ngroups, ny, nx); values of zero or less gain AD_FLOOR and DO_NOT_USE
    threshold : (ny, nx)
    first : (ny, nx), filled; ngroups where there is none, NaN being below any threshold
    """
    ngroups, _, nx = sci.shape
    for y in range(start, stop):
        for x in range(nx):
            first[y, x] = ngroups
        for g in range(ngroups - 1, -1, -1):
            for x in range(nx):
                value = sci[g, y, x]
                dq = groupdq[g, y, x]
                groupdq[g, y, x] = dq | np.uint8(FLOOR if value <= np.float32(0) else 0)
                if (value >= threshold[y, x]) | ((dq & np.uint8(SATURATED)) != 0):
                    first[y, x] = g


@kernel("(i8, i8, i8, i2[:, ::1], i2[:, ::1], u1[:, :, ::1])")
def flag_from_first(start: int, stop: int, reach: int, first: Any, grown: Any, groupdq: Any) -> None:
    """Set SATURATED from the first group at which a pixel or one near it has crossed.

    reach : a pixel's neighbours are those up to so many rows and columns away
    first : (ny, nx), as `first_crossings` gives it
    grown : (ny, nx), filled with the least of `first` in each neighbourhood
    groupdq : (ngroups, ny, nx)
    """
    ngroups, ny, nx = groupdq.shape
    least = np.empty(nx, np.int16)
    for y in range(start, stop):
        least[:] = ngroups
        for near in range(max(0, y - reach), min(ny, y + reach + 1)):
            for x in range(nx):
                least[x] = min(least[x], first[near, x])
        for x in range(nx):
            when = least[x]
            for near in range(max(0, x - reach), min(nx, x + reach + 1)):
                when = min(when, least[near])
            grown[y, x] = when
            for g in range(when, ngroups):
                groupdq[g, y, x] |= np.uint8(SATURATED)
