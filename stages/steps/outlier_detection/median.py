"""The median of several images: a model of the sky without what only one of them saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import memory, scratch
from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import by_rows, stack
from calwebbd.stages.ordering import sort

CLIP = 3.0  # sigma
ROUNDS = 5  # of clipping, at most


@dataclass(frozen=True, eq=False)
class Layer:
    """An image that covers part of a frame.

    x, y : of the frame, where its first pixel is
    sci : (rows, columns), NaN where it does not count; in memory or a cube
    outside : what it has elsewhere
    """

    x: int
    y: int
    sci: Any
    outside: np.float32


def layer(x: int, y: int, sci: Any, weight: Any, maskpt: float, fill: float = np.nan) -> Layer:
    """The pixels of an image that have enough weight (`weight_threshold`); fill : where it has none."""
    threshold = weight_threshold(np.asarray(weight), maskpt)
    for rows, values in scratch.in_bands(change=(sci,)):
        values[scratch.rows(weight, rows.start, rows.stop) < threshold] = np.nan
    return Layer(x, y, sci, np.float32(np.nan if threshold > 0 else fill))


def median(layers: Sequence[Layer], shape: tuple[int, int]) -> Any:
    """The median of layers in a frame of this shape, without NaN; where nothing is left it is NaN.

    An array, or a cube if it is too large for memory.
    """
    out = scratch.zeros(shape, np.float32, on_disk=4 * shape[0] * shape[1] > memory.budget())

    def some(start: int, stop: int) -> None:
        rows = slice(start, stop)
        values = _stacked(layers, rows, shape[1])
        with scratch.window({"median": out}, rows, slice(0, shape[1])) as found:
            stack.median(0, stop - start, values, found["median"])

    by_rows(some, shape[0])
    return out


def _stacked(layers: Sequence[Layer], rows: slice, width: int) -> NDArray[np.float32]:
    """(layers, rows, width): those rows of all layers that any of them reaches."""
    reached = [
        each
        for each in layers
        if (each.y < rows.stop and rows.start < each.y + each.sci.shape[0]) or not np.isnan(each.outside)
    ]
    values = np.empty((max(1, len(reached)), rows.stop - rows.start, width), np.float32)
    values[:] = np.nan
    for value, each in zip(values, reached, strict=False):
        value[:] = each.outside
        first, last = max(rows.start, each.y), max(rows.start, min(rows.stop, each.y + each.sci.shape[0]))
        part = scratch.rows(each.sci, first - each.y, last - each.y)
        value[first - rows.start : last - rows.start, each.x : each.x + part.shape[1]] = part
    return values


def weight_threshold(weight: Float, maskpt: float) -> np.float64:
    """`maskpt` times the mean weight, clipped at 3 sigma about the median; NaN if there is no weight.

    Source: specification image3 §5.
    """
    used = weight[np.isfinite(weight) & (weight != 0)]
    if not used.size:
        return np.float64(np.nan)
    return np.mean(_clipped(used), dtype=np.float64) * np.float64(maskpt)


def _clipped(values: Float) -> Float:
    """What clipping leaves of the values, which it sorts: once, so that a median is a place among them."""
    sort(values)
    kept = values
    for _ in range(ROUNDS):
        middle, limit = kept[(kept.size - 1) // 2 : kept.size // 2 + 1].mean(), CLIP * np.std(kept)
        first, last = np.searchsorted(kept, middle - limit), np.searchsorted(kept, middle + limit, "right")
        if last - first == kept.size:
            break
        kept = kept[first:last]
    return kept
