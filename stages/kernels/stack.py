"""Combine a stack of images, pixel by pixel."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.kernels import kernel


@kernel("(i8, i8, f4[:, :, ::1], f4[:, ::1])")
def median(start, stop, stack, out):  # type: ignore[no-untyped-def]
    """Rows of the median along the first axis of (n, ny, nx), without NaN; NaN where all are."""
    n, _, nx = stack.shape
    kept = np.empty(n, np.float32)
    for j in range(start, stop):
        for i in range(nx):
            count = 0
            for k in range(n):
                value = stack[k, j, i]
                if np.isnan(value):
                    continue
                place = count
                while place > 0 and kept[place - 1] > value:
                    kept[place] = kept[place - 1]
                    place -= 1
                kept[place] = value
                count += 1
            if count == 0:
                out[j, i] = np.nan
            elif count % 2:
                out[j, i] = kept[count // 2]
            else:
                out[j, i] = (kept[count // 2 - 1] + kept[count // 2]) / np.float32(2)
