"""Shift images against each other by whole pixels."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Image

Kind = TypeVar("Kind", bound=np.generic)


def offset(first: Image, second: Image) -> tuple[int, int]:
    """(dx, dy): what the first sees in its middle pixel, the second sees that far from there; by the WCS."""
    middle = tuple(size // 2 for size in first.sci.shape[::-1])
    sky = first.wcs(*middle, with_bounding_box=False)
    x, y = second.wcs.invert(*sky, with_bounding_box=False)
    return round(float(x) - middle[0]), round(float(y) - middle[1])


def shifted(array: NDArray[Kind], dx: int, dy: int, outside: int) -> NDArray[Kind]:
    """An array of the same shape with array[y + dy, x + dx] at [y, x]; `outside` beyond its edges."""
    out = np.full_like(array, outside)
    into, part = overlap(out, array, dx, dy)
    into[...] = part
    return out


def overlap(
    first: NDArray[Kind], second: NDArray[Any], dx: int, dy: int
) -> tuple[NDArray[Kind], NDArray[Any]]:
    """Views of what both arrays have in common, if [y, x] of the first is [y + dy, x + dx] of the second."""
    ny, nx = first.shape
    here = np.s_[max(0, -dy) : max(0, ny - dy), max(0, -dx) : max(0, nx - dx)]
    there = np.s_[max(0, dy) : max(0, ny + dy), max(0, dx) : max(0, nx + dx)]
    return first[here], second[there]
