"""Medians in a window that runs along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.kernels import helper, kernel


@helper
def _put_row(window: Any, count: int, row: Any, bad: Any) -> int:
    """Insert a row's good values into the sorted window, and return its new length."""
    for i in range(len(row)):
        if not bad[i] and not np.isnan(row[i]):
            at = count
            while at > 0 and window[at - 1] > row[i]:
                window[at] = window[at - 1]
                at -= 1
            window[at] = row[i]
            count += 1
    return count


@helper
def _take_row(window: Any, count: int, row: Any, bad: Any) -> int:
    """Remove a row's good values from the sorted window, and return its new length."""
    for i in range(len(row)):
        if not bad[i] and not np.isnan(row[i]):
            at = 0
            while window[at] != row[i]:
                at += 1
            count -= 1
            for k in range(at, count):
                window[k] = window[k + 1]
    return count


@kernel("(f8[:, ::1], b1[:, ::1], i8, b1, f8[::1])")
def median_along(values: Any, bad: Any, length: int, single: bool, out: Any) -> None:
    """Median of the good values in `length` rows about each row, rows reflected at both ends.

    values, bad : (nrows, ncolumns)
    single : the mean of the two middle values is rounded to float32, as their own precision is that
    out : (nrows,), filled; NaN where the window has no good value, or a good one that is NaN
    """
    nrows, ncolumns = values.shape
    half = length // 2
    mirror = 2 * (nrows - 1)
    window = np.empty(length * ncolumns)
    nans = np.zeros(nrows, np.int64)
    for y in range(nrows):
        for x in range(ncolumns):
            nans[y] += np.isnan(values[y, x]) and not bad[y, x]
    count = 0
    spoilt = 0
    for y in range(-half, nrows - half + length - 1):
        at = abs(y) if y < nrows else mirror - y
        count = _put_row(window, count, values[at], bad[at])
        spoilt += nans[at]
        centre = y - length + 1 + half
        if centre < 0:
            continue
        if count == 0 or spoilt:
            out[centre] = np.nan
        else:
            middle = (window[(count - 1) // 2] + window[count // 2]) / 2
            out[centre] = np.float32(middle) if single else middle
        leaving = abs(centre - half)
        count = _take_row(window, count, values[leaving], bad[leaving])
        spoilt -= nans[leaving]
