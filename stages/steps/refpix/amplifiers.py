"""What reference pixels show, by amplifier and by row, and its removal.

Everything here is in detector orientation, (slow, fast): the four amplifiers of a full
frame are blocks of columns, and reference pixels lie along all four edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.kernels.crossed import subtract_crossed
from calwebbd.stages.kernels.running import median_along
from calwebbd.stages.readout import BORDER, SIZE
from calwebbd.stages.steps.refpix.sirs import SideKernels, side_templates

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Mean = np.float32 | np.float64
AMPLIFIERS = 4


@dataclass(frozen=True)
class RefPixParams:
    odd_even_columns: bool = True  #: treat odd and even columns apart
    use_side_ref_pixels: bool = True  #: subtract what the left and right edges show, row by row
    side_smoothing_length: int = 11  #: rows of the running median at the sides
    side_gain: float = 1.0  #: by which the sides' signal is multiplied
    odd_even_rows: bool = True  #: treat odd and even rows apart (MIRI)
    ovr_corr_mitigation_ftr: float = 3.0  #: sigma of bad interleaved pixels (IRS2)
    preserve_irs2_refpix: bool = False  #: keep interleaved pixels (IRS2)
    irs2_mean_subtraction: bool = False  #: subtract amplifiers' means first (IRS2)
    refpix_algorithm: Literal["median", "sirs"] = "median"  #: of the sides, for full frames
    sigreject: float = 4.0  #: sigma of outliers at the sides (sirs)
    gaussmooth: float = 1.0  #: sigma of the kernels' smoothing, samples (sirs)
    halfwidth: int = 30  #: of the kernels, rows (sirs)
    siglimit: float = 3.0  #: sigma at which means are clipped


class Edges(NamedTuple):
    """Reference pixels of the whole detector: rows (4, size) and columns (size, 4)."""

    bottom: Array
    top: Array
    left: Array
    right: Array


def clipped_mean(values: Array, limit: float) -> Mean | None:
    """Mean of values after dropping, again and again, those beyond `limit` standard deviations.

    In the precision of `values`, or in float64 if all are equal. None if there are none; NaN
    if one is NaN.
    """
    if not values.size:
        return None
    spread = values.std(dtype=np.float64)
    if spread == 0:
        return np.float64(values.mean(dtype=np.float64))
    while values.size and np.isfinite(spread):
        mean, std = values.mean(), values.std()
        kept = values[(values >= mean - std * limit) & (values <= mean + std * limit)]
        if kept.size == values.size:
            return cast(Mean, mean)
        values = kept
    return cast(Mean, values.dtype.type(np.nan))


def edges_of(plane: Array, at: tuple[int, int], absent: Any, size: int) -> Edges:
    """The edges of a detector of which `plane` is the part at `at`; `absent` where that does not reach."""

    def edge(rows: slice, columns: slice) -> Array:
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        out = np.full(shape, absent, plane.dtype)
        here, there = zip(
            _overlap(at[0], plane.shape[0], rows), _overlap(at[1], plane.shape[1], columns), strict=True
        )
        out[there] = plane[here]
        return out

    whole, low, high = slice(0, size), slice(0, BORDER), slice(size - BORDER, size)
    return Edges(edge(low, whole), edge(high, whole), edge(whole, low), edge(whole, high))


def _overlap(start: int, length: int, wanted: slice) -> tuple[slice, slice]:
    """Where `wanted` and ``start .. start + length`` overlap, counted in each of the two."""
    first, last = max(start, wanted.start), max(start, wanted.start, min(start + length, wanted.stop))
    return slice(first - start, last - start), slice(first - wanted.start, last - wanted.start)


def amplifier_offsets(edges: Edges, bad: Edges, params: RefPixParams) -> NDArray[np.float64]:
    """What the bottom and top edges show for each column, DN.

    For each amplifier, and for odd and even columns apart, the clipped mean of the bottom
    and of the top rows; their mean, or the one there is. If one of an amplifier's two
    values is missing, the amplifier is left alone.
    """
    size = edges.bottom.shape[1]
    step = 2 if params.odd_even_columns else 1
    offsets = np.zeros(size)
    for first in range(0, size, size // AMPLIFIERS):
        every = [slice(first + k, first + size // AMPLIFIERS, step) for k in range(step)]
        signals = [_edge_signal(edges, bad, columns, params.siglimit) for columns in every]
        for columns, signal in zip(every, signals, strict=True):
            if all(each is not None for each in signals):
                offsets[columns] = signal
    return offsets


def _edge_signal(edges: Edges, bad: Edges, columns: slice, limit: float) -> Mean | None:
    bottom = clipped_mean(edges.bottom[:, columns][~bad.bottom[:, columns]], limit)
    top = clipped_mean(edges.top[:, columns][~bad.top[:, columns]], limit)
    if bottom is None or top is None:
        return top if bottom is None else bottom
    return 0.5 * (top + bottom)


def side_medians(edges: Edges, bad: Edges, length: int) -> NDArray[np.float64]:
    """What the left and right edges show for each row, DN: the mean of their running medians.

    The one there is where the other has no good pixels; 0 where neither has.
    """
    single = edges.left.dtype == np.float32
    left, right = np.empty(len(edges.left)), np.empty(len(edges.left))
    median_along(edges.left.astype(np.float64), bad.left, length, single, left)
    median_along(edges.right.astype(np.float64), bad.right, length, single, right)
    only = np.where(np.isnan(left), np.where(np.isnan(right), 0.0, right), left)
    both = ~np.isnan(left) & ~np.isnan(right)
    return np.where(both, 0.5 * (left + right), only)


def correct_four_amplifiers(
    planes: Float,
    bad: Mask,
    at: tuple[int, int],
    params: RefPixParams,
    kernels: SideKernels | None = None,
    *,
    first: bool = True,
    size: int = SIZE,
) -> None:
    """Correct planes of a detector read through four amplifiers, in place.

    planes : (nplanes, slow, fast), DN, a view; at : where its first pixel lies on the detector
    bad : (slow, fast), reference pixels that must not be used
    kernels : of the sides' correction, instead of the running median
    first : the first plane is the first of its file, whose amplifier correction the reference
        pipeline rounds to float32 before it goes on to the sides; other planes are rounded once
    Source: specification detector1 §3 refpix.
    """
    bad_edges = edges_of(bad, at, True, size)

    def correct(p: int) -> None:
        rounded = not params.use_side_ref_pixels or (first and p == 0)
        precision: type[Mean] = np.float32 if rounded else np.float64
        edges = Edges(*(e.astype(precision) for e in edges_of(planes[p], at, 0.0, size)))
        columns = amplifier_offsets(edges, bad_edges, params)
        rows = np.zeros((1, size))
        if params.use_side_ref_pixels:
            left = (edges.left - columns[:BORDER]).astype(precision)
            right = (edges.right - columns[-BORDER:]).astype(precision)
            edges = edges._replace(left=left, right=right)
            if kernels is not None:
                rows = side_templates(left, right, kernels, params.sigreject)
            else:
                rows = params.side_gain * side_medians(edges, bad_edges, params.side_smoothing_length)[None]
            if rounded:
                _subtract(planes[p], at, columns, np.zeros((1, size)))
                columns = np.zeros(size)
        _subtract(planes[p], at, columns, rows)

    in_threads([partial(correct, p) for p in range(len(planes))])


def _subtract(plane: Float, at: tuple[int, int], columns: Array, rows: Array) -> None:
    """Subtract offsets of columns and of rows, the latter by blocks of columns."""
    ny, nx = plane.shape
    columns, rows = columns[at[1] : at[1] + nx], rows[:, at[0] : at[0] + ny]
    width = -(-nx // len(rows))
    for k, block in enumerate(rows):
        part = slice(k * width, (k + 1) * width)
        subtract_crossed(0, ny, plane[:, part], columns[part], block)


def correct_one_amplifier(planes: Float, usable: Mask, parity: int, params: RefPixParams) -> None:
    """Correct planes of a subarray read through one amplifier, in place.

    planes : (nplanes, slow, fast), DN, a view
    usable : (slow, fast), the reference pixels; without any, nothing is done
    parity : of the first column on the detector
    Raises InputError if odd or even columns have no reference pixel, and the others have.
    Source: specification detector1 §3 refpix.
    """
    step = 2 if params.odd_even_columns else 1
    columns = (np.arange(usable.shape[1]) + parity) % step
    pixels = [np.nonzero(usable & (columns == k)) for k in range(step)]
    if not usable.any():
        return
    if not all(len(slow) for slow, _ in pixels):
        raise InputError("either odd or even columns have no usable reference pixel")
    rows = np.zeros(usable.shape[0])

    def correct(plane: Float) -> None:
        means = np.array([clipped_mean(plane[where], params.siglimit) for where in pixels], np.float64)
        subtract_crossed(0, len(plane), plane, means[columns], rows)

    in_threads([partial(correct, plane) for plane in planes])
