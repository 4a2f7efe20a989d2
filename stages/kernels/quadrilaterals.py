"""Spread pixels over another grid by the areas in which they overlap its pixels.

The corners of a drop are mapped to the output, where they make a quadrilateral. Its
overlap with an output pixel is a sum over the four sides: of the area below each,
within that pixel, with the sign of the side's direction.

Values are averaged as they come, in single precision, in the order of the input, as
the drizzle library does; here for some rows of the output, so that threads can share
the work: none of them changes the order of what a pixel receives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.kernels import helper, kernel


@helper
def _between(pixmap: Any, j: int, i: int, c: int, x: float, y: float) -> Any:
    """Coordinate `c` of the map at (x, y) from the node (j, i), bilinear in its cell, or beyond it."""
    u, v = 1.0 - x, 1.0 - y
    low, high = pixmap[j], pixmap[j + 1]
    return low[i, c] * u * v + low[i + 1, c] * x * v + high[i, c] * u * y + high[i + 1, c] * x * y


@helper
def _find_corners(pixmap: Any, top: int, ny: int, j: int, i: int, half: float, corners: Any) -> bool:
    """Map the corners of a drop, `half` its side from pixel (j, i); False if one has no place.

    pixmap : rows of the map from `top` on, of `ny` that there are
    corners : (2, 4), x and y; gets the upper ones first, clockwise from the left
    """
    nx = pixmap.shape[1]
    inside = 0 < i < nx - 2 and 0 < j < ny - 2
    far, near = half * half, (1 - half) * (1 - half)
    side = (1 - half) * half
    for c in range(2):
        for k in range(4):
            right, up = k == 1 or k == 2, k < 2
            if inside:  # the sum of four nodes, in the order of the map
                i0, j0 = (i if right else i - 1), (j if up else j - 1)
                first = near if right and up else far if not (right or up) else side
                second = near if not right and up else far if right and not up else side
                third = near if right and not up else far if up and not right else side
                fourth = near if not (right or up) else far if right and up else side
                low, high = pixmap[j0 - top], pixmap[j0 - top + 1]
                corners[c, k] = (
                    low[i0, c] * first
                    + low[i0 + 1, c] * second
                    + high[i0, c] * third
                    + high[i0 + 1, c] * fourth
                )
            else:  # the outermost cells are extrapolated
                x, y = (i + half if right else i - half), (j + half if up else j - half)
                i0, j0 = min(max(int(x), 0), nx - 2), min(max(int(y), 0), ny - 2)
                corners[c, k] = _between(pixmap, j0 - top, i0, c, x - i0, y - j0)
            if np.isnan(corners[c, k]):
                return False
    return True


@helper
def _area_below(x1: float, y1: float, x2: float, slope: float) -> float:
    """Area of the unit square that lies below the line from (x1, y1) rightwards to x2."""
    left, right = max(x1, 0.0), min(x2, 1.0)
    if left >= right:
        return 0.0
    a, b = y1 + slope * (left - x1), y1 + slope * (right - x1)
    if a <= 0.0 and b <= 0.0:
        return 0.0
    if a >= 1.0 and b >= 1.0:
        return right - left
    if a < 0.0:
        left, a = left - a / slope, 0.0
    elif b < 0.0:
        right, b = right - b / slope, 0.0
    beneath = 0.0  # where the line is above the square, all of it is below the line
    if a > 1.0:
        crossing = right - (b - 1.0) / slope
        beneath, left, a = crossing - left, crossing, 1.0
    elif b > 1.0:
        crossing = left + (1.0 - a) / slope
        beneath, right, b = right - crossing, crossing, 1.0
    return beneath + 0.5 * (a + b) * (right - left)


@helper
def _overlap(corners: Any, slopes: Any, x: int, y: int) -> float:
    """Area common to a quadrilateral and the pixel centred at (x, y), positive if it runs clockwise."""
    x0, y0 = x - 0.5, y - 0.5
    total = 0.0
    for k in range(4):
        n = (k + 1) % 4
        x1, x2 = corners[0, k] - x0, corners[0, n] - x0
        if x1 < x2:
            total += _area_below(x1, corners[1, k] - y0, x2, slopes[k])
        elif x1 > x2:
            total -= _area_below(x2, corners[1, n] - y0, x1, slopes[k])
    return total


@helper
def _mean(old: Any, old_weight: Any, new: Any, weight: Any) -> Any:
    """Running weighted mean, float32; `new` itself if there was nothing."""
    if old_weight == np.float32(0):
        return new
    return (old * old_weight + weight * new) / (old_weight + weight)


@kernel("(i8, i8, f8[:, :, ::1], f8[:, :, ::1])")
def extent(start: int, stop: int, pixmap: Any, out: Any) -> None:
    """Rows of a map: least and greatest x and y, and the longest step to the next node along and across.

    out : (ny, 2, 3); a row without any place has a least above the greatest
    """
    ny, nx, _ = pixmap.shape
    for j in range(start, stop):
        above = pixmap[min(j + 1, ny - 1)]
        for c in range(2):
            least, greatest, step = np.inf, -np.inf, 0.0
            for i in range(nx):
                here = pixmap[j, i, c]
                least = here if here < least else least  # NaN never is
                greatest = here if here > greatest else greatest
                along, across = abs(pixmap[j, min(i + 1, nx - 1), c] - here), abs(above[i, c] - here)
                step = along if along > step else step
                step = across if across > step else step
            out[j, c, 0], out[j, c, 1], out[j, c, 2] = least, greatest, step


@kernel(
    "(i8, i8, i8, i8, f8[:, :, ::1], i8, i8, i8, i8[:, ::1], f8[:, ::1], f8, f8, f4[:, ::1], f4, f4[:, ::1],"
    " f4[:, ::1], f4[:, ::1], f4[:, ::1], u4[:, ::1], i4, f4[:, ::1], f4[:, ::1], i4[:, ::1], u4[:, ::1],"
    " f4[:, :, ::1])"
)
def spread(
    x0: int,
    y0: int,
    nx: int,
    ny: int,
    pixmap: Any,
    map_start: int,
    start: int,
    height: int,
    columns: Any,
    reach: Any,
    margin: float,
    half: float,
    values: Any,
    sky: Any,
    weights: Any,
    first: Any,
    second: Any,
    third: Any,
    flags: Any,
    bit: int,
    out: Any,
    out_weight: Any,
    contributed: Any,
    out_flags: Any,
    errors: Any,
) -> None:
    """Add some rows of one image to a window of the output.

    x0, y0, nx, ny : the first pixel of the window, and its size
    pixmap : (rows, columns, 2), x and y in the output; of the rows from `map_start` on, which begin
        before those to add and end after them, where the image does not
    start : the first row to add; height : how many the image has
    columns : (rows, 2), first and last column to take of each row
    reach : (rows, 2), least and greatest y of the drops of each row; margin : by which they may exceed
        the pixel's own y
    half : of the side of a drop, pixels
    values, weights : (rows, columns); sky : to subtract from the values
    first, second, third : as values, variances whose roots have the same weights; (0, 0) if there is none
    flags : as values; (0, 0) if not to be combined
    out, out_weight : (ny, nx), mean so far and its weight
    contributed : gets `bit`; out_flags : gets the flags
    errors : (ny, nx, 4), means of the roots of the variances, and their weight; or (0, 0, 4)
    """
    corners, slopes = np.empty((2, 4)), np.empty(4)
    roots = np.zeros(3, np.float32)
    for j in range(values.shape[0]):
        if reach[j, 1] < y0 - 0.5 or reach[j, 0] > y0 + ny - 0.5:
            continue
        lowest, highest = y0 - 0.5 - margin, y0 + ny - 0.5 + margin
        for i in range(columns[j, 0], columns[j, 1] + 1):
            weight, y = weights[j, i], pixmap[start - map_start + j, i, 1]
            if weight == np.float32(0) or not (lowest <= y <= highest):
                continue
            if not _find_corners(pixmap, map_start, height, start + j, i, half, corners):
                continue
            x_low = min(min(corners[0, 0], corners[0, 1]), min(corners[0, 2], corners[0, 3]))
            x_high = max(max(corners[0, 0], corners[0, 1]), max(corners[0, 2], corners[0, 3]))
            y_low = min(min(corners[1, 0], corners[1, 1]), min(corners[1, 2], corners[1, 3]))
            y_high = max(max(corners[1, 0], corners[1, 1]), max(corners[1, 2], corners[1, 3]))
            left, right = max(int(np.floor(x_low + 0.5)), x0), min(int(np.floor(x_high + 0.5)), x0 + nx - 1)
            bottom, top = max(int(np.floor(y_low + 0.5)), y0), min(int(np.floor(y_high + 0.5)), y0 + ny - 1)
            if left > right or bottom > top:
                continue
            for k in range(4):
                n = (k + 1) % 4
                slopes[k] = (corners[1, n] - corners[1, k]) / (corners[0, n] - corners[0, k])
            area = 0.5 * (
                (corners[0, 1] - corners[0, 3]) * (corners[1, 0] - corners[1, 2])
                - (corners[0, 0] - corners[0, 2]) * (corners[1, 1] - corners[1, 3])
            )
            density = np.float64(weight) / area
            value = values[j, i] - sky
            if first.size:
                roots[0] = np.sqrt(first[j, i])
            if second.size:
                roots[1] = np.sqrt(second[j, i])
            if third.size:
                roots[2] = np.sqrt(third[j, i])
            for y_out in range(bottom, top + 1):
                for x_out in range(left, right + 1):
                    share = np.float32(_overlap(corners, slopes, x_out, y_out) * density)
                    if share == np.float32(0):
                        continue
                    row, column = y_out - y0, x_out - x0
                    before = out_weight[row, column]
                    out[row, column] = _mean(out[row, column], before, value, share)
                    out_weight[row, column] = before + share
                    if contributed.size and share > np.float32(0):
                        contributed[row, column] |= bit
                    if flags.size:
                        out_flags[row, column] |= flags[j, i]
                    if errors.size:
                        mean = errors[row, column]
                        before = mean[3]
                        for k in range(3):
                            mean[k] = _mean(mean[k], before, roots[k], share)
                        mean[3] = before + share
