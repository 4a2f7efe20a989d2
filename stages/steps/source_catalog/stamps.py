"""Small cut-outs of an image around many places at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 4 << 20  #: values in the cut-outs of a block

Values = NDArray[np.floating[Any]]


def cut(image: Values, rows: NDArray[np.intp], columns: NDArray[np.intp], half: int, fill: float) -> Values:
    """(n, 2 * half + 1, 2 * half + 1) cut-outs centred on pixels; `fill` beyond the image."""
    ny, nx = image.shape
    y, x = _lines(rows, half)[:, :, None], _lines(columns, half)[:, None, :]
    stamps = image[np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)]
    return np.where(within(image.shape, rows, columns, half), stamps, stamps.dtype.type(fill))


def within(
    shape: tuple[int, ...], rows: NDArray[np.intp], columns: NDArray[np.intp], half: int
) -> NDArray[np.bool_]:
    """True where pixels of such cut-outs are on an image of this shape."""
    y, x = _lines(rows, half)[:, :, None], _lines(columns, half)[:, None, :]
    on_image: NDArray[np.bool_] = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    return on_image


def _lines(middle: NDArray[np.intp], half: int) -> NDArray[np.intp]:
    """(n, 2 * half + 1)"""
    lines: NDArray[np.intp] = middle[:, None] + np.arange(-half, half + 1)
    return lines


def blocks(number: int, half: int) -> Iterator[slice]:
    """Slices of so many sources as are cut out at once."""
    each = max(1, AT_ONCE // (2 * half + 1) ** 2)
    return (slice(start, start + each) for start in range(0, number, each))
