"""Arrays in huge pages."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from calwebbd.stages.memory import LARGE

HUGE = 2 << 20  # bytes of a huge page


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array, its values undefined; one that numpy asks huge pages for begins where such a page does.

    Else up to 2 MB at its ends would come in pages of 4 kB, each of which interrupts whoever fills it.
    """
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    room = np.empty(size + HUGE, np.uint8)
    start = -room.ctypes.data % HUGE
    return room[start : start + size].view(dtype).reshape(shape)
