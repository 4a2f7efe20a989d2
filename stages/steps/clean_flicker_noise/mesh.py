"""A smooth background: medians of boxes, filtered and interpolated.

As photutils' `Background2D` with its median estimator makes it; but only the
background, and many boxes at once.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.steps.clean_flicker_noise.clipping import CLIP, ROUNDS, Mask, Values, median
from calwebbd.stages.threads import by_rows

LARGEST = 32  # side of a box, pixels
ENOUGH = 0.9  # of a box's pixels must be left for it to count
FILTER = 5  # boxes
TOGETHER = 64  # boxes at a time


def smooth_level(
    image: Float, mask: Mask, values: Values, box: tuple[int, int] | None = None
) -> Float | np.float32:
    """`smooth_background`, or where there is none the median of `values`, those under the mask."""
    smooth = smooth_background(image, mask, box)
    return median(values) if smooth is None else smooth


def smooth_background(image: Float, mask: Mask, box: tuple[int, int] | None = None) -> Float | None:
    """The background of an image at all its pixels, (ny, nx); None if no box has enough pixels.

    image, mask : (ny, nx); only finite values where the mask is True count
    box : its height and width, pixels; the largest that divide the image, up to 32, if None
    """
    height, width = box or (divisor(image.shape[0]), divisor(image.shape[1]))
    height, width = min(height, image.shape[0]), min(width, image.shape[1])
    levels = _levels(image, mask, height, width)
    if np.isnan(levels).all():
        return None
    return interpolated(filtered(filled(levels)), (height, width), image.shape)


def interpolated(levels: Float, box: tuple[int, int], shape: tuple[int, ...]) -> Float:
    """Values of boxes at all pixels of an image of this shape, within the range of the values.

    box : height and width; the last ones may reach beyond the image
    """
    (height, width), low, high = box, levels.min(), levels.max()
    if low == high:
        return np.full(shape, low)
    down = _spline(len(levels), height) @ levels.astype(np.float64)
    across = _spline(levels.shape[1], width).T[:, : shape[1]]
    out = np.empty(shape, np.float32)

    def rows(start: int, stop: int) -> None:
        np.clip(down[start:stop] @ across, low, high, out=out[start:stop], casting="unsafe")

    by_rows(rows, shape[0])
    return out


def divisor(length: int) -> int:
    """The largest number of pixels up to 32 that divides the length."""
    return next(n for n in range(LARGEST, 0, -1) if length % n == 0)


def _levels(image: Float, mask: Mask, height: int, width: int) -> Float:
    """Clipped median of each box; NaN where too few pixels are left."""
    ny, nx = image.shape
    rows, columns = -(-ny // height), -(-nx // width)
    together = max(1, TOGETHER // columns)
    levels = np.empty((rows, columns), np.float32)
    for row in range(0, rows, together):
        several = min(together, rows - row)
        part = slice(row * height, (row + several) * height)
        usable = mask[part] & np.isfinite(image[part])
        strip = np.where(usable, image[part], np.float32(np.inf))
        missing = (0, several * height - len(strip)), (0, columns * width - nx)
        strip = np.pad(strip, missing, constant_values=np.inf) if np.any(missing) else strip
        blocks = strip.reshape(several, height, columns, width).swapaxes(1, 2)
        boxes = blocks.reshape(several * columns, -1)
        boxes.sort(axis=1)
        first, last = _clipped(boxes, np.count_nonzero(np.isfinite(boxes), axis=1))
        number = last - first
        middle = [first + np.maximum(number - 1, 0) // 2, np.minimum(first + number // 2, height * width - 1)]
        low, high = (np.take_along_axis(boxes, at[:, None], 1)[:, 0] for at in middle)
        enough = number > ENOUGH * height * width
        medians = np.where(enough, (low + high) / np.float32(2), np.float32(np.nan))
        levels[row : row + several] = medians.reshape(-1, columns)
    return levels


def _clipped(boxes: Float, number: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First index, and one after the last, of what is left of each box's sorted values after clipping.

    boxes : (nboxes, npixels), ascending, infinite from `number` on
    """
    every = np.arange(len(boxes))
    reference = boxes[every, np.maximum(number - 1, 0) // 2].astype(np.float64)
    reference[number == 0] = 0.0
    centred = boxes - reference[:, None]
    finite = np.where(np.isfinite(boxes), centred, 0.0)
    sums, squares = (np.pad(np.cumsum(each, axis=1), ((0, 0), (1, 0))) for each in (finite, finite**2))
    first, last = np.zeros_like(number), number
    for _ in range(ROUNDS):
        count = np.maximum(last - first, 1)
        low = centred[every, np.minimum(first + (count - 1) // 2, boxes.shape[1] - 1)]
        high = centred[every, np.minimum(first + count // 2, boxes.shape[1] - 1)]
        middle = (low + high) / 2
        mean = (sums[every, last] - sums[every, first]) / count
        variance = (squares[every, last] - squares[every, first]) / count - mean**2
        reach = CLIP * np.sqrt(np.maximum(variance, 0.0))
        below = np.count_nonzero(centred < (middle - reach)[:, None], axis=1)
        within = np.count_nonzero(centred <= (middle + reach)[:, None], axis=1)
        before, first, last = (first, last), np.maximum(first, below), np.minimum(last, within)
        if (first == before[0]).all() and (last == before[1]).all():
            break
    return first, last


@cache
def _spline(boxes: int, pixels: int) -> NDArray[np.float64]:
    """Cubic spline through the centres of boxes, at their pixels: (boxes * pixels, boxes)."""
    from scipy.ndimage import zoom

    return np.asarray(
        np.stack(
            [zoom(one, pixels, order=3, mode="reflect", grid_mode=True) for one in np.eye(boxes)], axis=1
        )
    )


def filled(levels: Float) -> Float:
    """Boxes without a level get that of their ten nearest, weighted by inverse distance."""
    known = ~np.isnan(levels)
    if known.all():
        return levels
    from photutils.utils import ShepardIDWInterpolator

    at = ShepardIDWInterpolator(np.argwhere(known), levels[known])
    filled = levels.copy()
    filled[~known] = at(np.argwhere(~known), n_neighbors=10, power=1.0, eps=0.0, regularization=0.0)
    return filled


def filtered(levels: Float, size: int = FILTER) -> Float:
    """Running median of size x size boxes, of fewer at the edges."""
    padded = np.pad(levels, size // 2, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return np.asarray(np.nanmedian(windows.reshape(*levels.shape, -1), axis=-1))
