"""Offsets of rows and of columns."""

from __future__ import annotations

from typing import Any

from calwebbd.stages.kernels import kernel


@kernel("(i8, i8, f4[:, :], f8[:], f8[:])")
def subtract_crossed(start: int, stop: int, image: Any, columns: Any, rows: Any) -> None:
    """Subtract each column's offset, then each row's, in float64, rounding once; in place.

    image : (ny, nx), any strides; columns : (nx,); rows : (ny,)
    """
    if abs(image.strides[0]) < abs(image.strides[1]):  # its columns lie together in memory
        for x in range(image.shape[1]):
            for y in range(start, stop):
                image[y, x] = image[y, x] - columns[x] - rows[y]
        return
    for y in range(start, stop):
        for x in range(image.shape[1]):
            image[y, x] = image[y, x] - columns[x] - rows[y]
