"""Convolution of images with small kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.kernels import helper, kernel


@helper
def _add_products(total: Any, source: Any, weights: Any) -> None:
    """Add weight * source, one weight for all pixels or each its own."""
    if len(weights) == 1:
        weight = weights[0]
        for x in range(len(total)):
            total[x] += weight * source[x]
    else:
        for x in range(len(total)):
            total[x] += weights[x] * source[x]


@kernel("(i8, i8, f4[:, :, ::1], f4[:, :, :, ::1], i8, i8, i8, i8)")
def convolve(start: int, stop: int, planes: Any, weights: Any, y0: int, y1: int, x0: int, x1: int) -> None:
    """Convolve images with a small kernel, in place, zeros beyond their edges.

    start, stop : which images
    planes : (nplanes, ny, nx); only rows y0 to y1 and columns x0 to x1 are read and changed
    weights : (ky, kx, 1, 1), or (ky, kx, ny, nx) for a kernel of each result's own; ky and kx odd

    Products are added row by row, the central one last, in float32. The rows about the
    current one are kept as they were, so that no copy of an image is needed.
    """
    ky, kx, _, per_pixel = weights.shape
    half, side, width = ky // 2, kx // 2, x1 - x0
    w0, w1 = (0, 1) if per_pixel == 1 else (x0, x1)
    kept = np.zeros((ky, width + 2 * side), np.float32)
    total = np.empty(width, np.float32)
    for p in range(start, stop):
        kept[:] = np.float32(0)
        for y in range(y0, min(y0 + half, y1)):
            kept[y % ky, side : side + width] = planes[p, y, x0:x1]
        for y in range(y0, y1):
            kept[(y + half) % ky] = np.float32(0)
            if y + half < y1:
                kept[(y + half) % ky, side : side + width] = planes[p, y + half, x0:x1]
            own = min(y, weights.shape[2] - 1)
            total[:] = np.float32(0)
            for j in range(ky):
                row = kept[(y + half - j) % ky]
                for i in range(kx):
                    if j != half or i != side:
                        shift = 2 * side - i
                        _add_products(total, row[shift : shift + width], weights[j, i, own, w0:w1])
            _add_products(total, kept[y % ky, side : side + width], weights[half, side, own, w0:w1])
            planes[p, y, x0:x1] = total


@kernel("(i8, i8, f4[:, ::1], b1[:, ::1], f8[:, ::1], f8, f4[:, ::1])")
def smooth(start: int, stop: int, image: Any, missing: Any, weights: Any, total: float, out: Any) -> None:
    """Rows of an image under a kernel, zeros beyond its edges; what is missing or NaN is interpolated by it.

    weights : (ky, kx), odd; total : what their products are divided by, or 0 for the weights of the
        pixels that count
    out : NaN where none counts

    Added row by row, from the top left, in double precision.
    """
    ny, nx = image.shape
    ky, kx = weights.shape
    half, side = ky // 2, kx // 2
    values, counts = np.zeros((ky, nx + 2 * side)), np.ones((ky, nx + 2 * side))
    products, found = np.empty(nx), np.empty(nx)
    for last in range(start - half, stop + half):
        row, count = values[last % ky], counts[last % ky]
        row[:], count[:] = 0.0, 1.0
        if 0 <= last < ny:
            for x in range(nx):
                unknown = missing[last, x] or np.isnan(image[last, x])
                row[side + x] = 0.0 if unknown else np.float64(image[last, x])
                count[side + x] = 0.0 if unknown else 1.0
        y = last - half
        if y < start:
            continue
        products[:], found[:] = 0.0, total
        for j in range(ky):
            row, count = values[(y - half + j) % ky], counts[(y - half + j) % ky]
            for i in range(kx):
                weight = weights[ky - 1 - j : ky - j, kx - 1 - i]
                _add_products(products, row[i : i + nx], weight)
                if total == 0.0:
                    _add_products(found, count[i : i + nx], weight)
        for x in range(nx):
            out[y, x] = products[x] / found[x] if found[x] != 0.0 else np.nan
