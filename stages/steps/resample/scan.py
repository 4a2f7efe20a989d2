"""Which pixels of an image the drizzle library takes for a frame: those whose centres lie in it.

It maps the outline that image and frame have in common back to the image, to `PRECISION`,
and takes of each row the pixels between the left and the right edges. Along edges of the
frame that cut through an image a pixel is lost that would still reach into it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from drizzle import cdrizzle
from numpy.typing import NDArray

from calwebbd.stages.steps.resample.pixmap import PixelMap

PRECISION = 0.03  #: pixels
GOLDEN = 0.6180339887498948
SIDES = np.array([[False, False], [False, True], [True, False], [True, True]])  # far in x, far in y
SAME = 1e-12  #: relative; heights that differ by less are one

Limits = dict[str, int]
Vertices = NDArray[np.float64]  # (n, 2): x, y


def columns_taken(pixmap: PixelMap, limits: Limits, shape: tuple[int, int]) -> NDArray[np.int64]:
    """(rows, 2): first and last column to take of each row of an image; the first is greater if none.

    pixmap : x and y in the frame
    limits : xmin, xmax, ymin, ymax, the pixels that may be taken
    shape : (ny, nx) of the frame
    """
    out = np.tile(np.array([0, -1]), (pixmap.shape[0], 1))
    limits = _with_places(pixmap, limits)
    outline = _outline(pixmap, limits, shape)
    if len(outline) < 3:
        return out
    low, high = outline[:, 1].min(), outline[:, 1].max()
    first = max(0, int(low + 0.5 + 2 * PRECISION))
    last = min(limits["ymax"], int(high + 2 * PRECISION))
    rows = np.arange(first, last + 1)
    rows = rows[(rows + 0.5 > low) & (rows - 0.5 < high + 1)]
    left, right = _chains(outline)
    edges = [(*_edges(left, rows), left, -1), (*_edges(right, rows), right, 1)]
    there = np.logical_and.reduce([upper < len(chain) - 1 for _, upper, chain, _ in edges])
    rows = rows[there]
    begin, end = (
        np.stack([_column(chain, side, which[there], rows) for which in (lower, upper)])
        for lower, upper, chain, side in edges
    )
    begin, end = np.maximum(begin, limits["xmin"]), np.minimum(end, limits["xmax"])
    some = begin < end  # in the lower and in the upper half of a row; it takes the narrower of both
    both, half = some.all(axis=0), (some[1].astype(np.intp), np.arange(len(rows)))
    out[rows, 0] = np.floor(np.where(both, begin.max(axis=0), begin[half]) + 0.5)
    out[rows, 1] = np.floor(np.where(both, end.min(axis=0), end[half]) + 0.5)
    out[rows[~some.any(axis=0)]] = 0, -1
    return out


def _with_places(pixmap: PixelMap, limits: Limits) -> Limits:
    """The limits, as narrow as the pixels require that have a place."""
    x1, x2, y1, y2 = (limits[name] for name in ("xmin", "xmax", "ymin", "ymax"))
    x, y = np.arange(x1, x2 + 1), np.arange(y1, y2 + 1)
    if all(np.isfinite(pixmap.at(*side).sum(axis=-1)).any() for side in ((x, y1), (x, y2), (x1, y), (x2, y))):
        return limits
    placed = np.isfinite(pixmap.rows(y1, y2 + 1)[:, x1 : x2 + 1].sum(axis=-1))
    x, y = x1 + np.flatnonzero(placed.any(axis=0)), y1 + np.flatnonzero(placed.any(axis=1))
    if not x.size:
        return limits
    return {"xmin": int(x[0]), "xmax": int(x[-1]), "ymin": int(y[0]), "ymax": int(y[-1])}


def _outline(pixmap: PixelMap, limits: Limits, shape: tuple[int, int]) -> Vertices:
    """The part of the image that lies in the frame, in pixels of the image; all of it if that is unknown."""
    (x1, x2), (y1, y2) = ((limits[f"{axis}min"] - 0.5, limits[f"{axis}max"] + 0.5) for axis in "xy")
    image = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    mapped = _map(pixmap, image)
    if np.isnan(mapped).any():
        return image
    right, top = shape[1] - 0.5, shape[0] - 0.5
    frame = [[-0.5, -0.5], [right, -0.5], [right, top], [-0.5, top]]
    common = np.array(cdrizzle.clip_polygon([tuple(v) for v in mapped], [tuple(v) for v in frame]))
    found = _invert(pixmap, common.reshape(-1, 2), image[0], image[2])
    return image if np.isnan(found).any() else _counter_clockwise(found)


def _map(pixmap: PixelMap, points: Vertices) -> Vertices:
    """The places of points (..., 2), bilinear in their cells of the map, or beyond the outermost ones."""
    cells = np.clip(points.astype(np.int64), 0, np.array(pixmap.shape[::-1]) - 2)
    (i, j), (u, v) = np.moveaxis(cells, -1, 0), np.moveaxis(points - cells, -1, 0)[..., None]
    low, right, high, both = pixmap.at(np.stack([i, i + 1, i, i + 1]), np.stack([j, j, j + 1, j + 1]))
    found: Vertices = low * (1 - u) * (1 - v) + right * u * (1 - v) + high * (1 - u) * v + both * u * v
    return found


def _invert(pixmap: PixelMap, points: Vertices, low: Any, high: Any) -> Vertices:
    """Pixels between two corners that are nearest to points of the frame; NaN if there is a hole on the way.

    Golden sections along both axes at once narrow the field, as in the library, to `PRECISION`.
    """
    low, high = (np.broadcast_to(corner, points.shape) for corner in (low, high))
    while (high - low > PRECISION).any():
        near, far = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        tried = np.stack([np.where(side, far, near) for side in SIDES])
        offsets = _map(pixmap, tried) - points
        distances = (offsets**2).sum(axis=-1)
        if np.isnan(distances).any():
            return np.full(points.shape, np.nan)
        least = distances == distances.min(axis=0)
        best = np.where(least.sum(axis=0) == 1, least.argmax(axis=0), 3)  # the last of several
        low, high = np.where(SIDES[best], near, low), np.where(SIDES[best], high, far)
    middle: Vertices = 0.5 * (low + high)
    return middle


def _counter_clockwise(outline: Vertices) -> Vertices:
    one, other = (outline - outline.mean(axis=0))[:2] if len(outline) > 2 else np.zeros((2, 2))
    return outline if one[0] * other[1] >= one[1] * other[0] else outline[::-1]


def _chains(outline: Vertices) -> tuple[Vertices, Vertices]:
    """The vertices on the left and on the right, both from the lowest to the highest."""
    n, y = len(outline), outline[:, 1]
    bottom_left, bottom_right = _ends(outline, int(y.argmin()), 1)
    top_left, top_right = _ends(outline, int(y.argmax()), -1)
    left = [(bottom_left - k) % n for k in range((bottom_left - top_left) % n + 1)]
    right = [(bottom_right + k) % n for k in range((top_right - bottom_right) % n + 1)]
    return outline[left], outline[right]


def _ends(outline: Vertices, extreme: int, up: int) -> tuple[int, int]:
    """Left and right end of the lowest (up = 1) or highest (-1) side; twice its vertex if it is a tip."""
    n, y = len(outline), up * outline[:, 1]
    before, after = (extreme - 1) % n, (extreme + 1) % n
    other = before if y[before] < y[after] else after
    if y[other] > y[extreme] + SAME * abs(y[extreme]):
        return extreme, extreme
    left, right = sorted((extreme, other), key=lambda k: float(outline[k, 0]))
    return left, right


def _edges(chain: Vertices, rows: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each row, which edge of the chain its lower and its upper half meet; their number if none."""
    tops = np.maximum.accumulate(chain[1:, 1])
    return np.searchsorted(tops, rows - 0.5), np.searchsorted(tops + 0.5 + PRECISION, rows + 0.5)


def _column(
    chain: Vertices, side: int, which: NDArray[np.intp], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The outermost column of each row that is inside of an edge, of a left (side = -1) or right (1) one."""
    (x1, y1), (x2, y2) = chain[:-1].T, chain[1:].T
    slope = (x2 - x1) / (y2 - y1)
    offset = (x1 * y2 - y1 * x2) / (y2 - y1) - side * (0.5 + 0.5 * np.abs(slope))
    column: NDArray[np.float64] = slope[which] * rows + offset[which] + side * PRECISION
    return column
