"""Undo the coupling of each pixel's charge to its neighbours' (interpixel capacitance)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from calwebbd.stages.exposure import Float, Lines, Ramp, Subarray
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.kernels.convolution import convolve
from calwebbd.stages.readout import BORDER, MIRI_COLUMNS, SIZE, is_miri
from calwebbd.stages.references import References
from calwebbd.stages.step import NoParams, step
from calwebbd.stages.stripes import window
from calwebbd.stages.superstripes import each_superstripe


class Window(NamedTuple):
    """Rows y0 to y1 and columns x0 to x1 of an image, zero-based, ends excluded."""

    y0: int
    y1: int
    x0: int
    x1: int


def without_reference_pixels(subarray: Subarray, *, miri: bool = False) -> list[Window]:
    """The parts of a subarray that see light: one, or as many as it has stripes.

    MIRI has reference pixels at the left and right only.
    """
    if miri:
        rows = [(0, subarray.ny)]
        columns = _runs(subarray.columns, MIRI_COLUMNS)
    else:
        rows, columns = _runs(subarray.rows, SIZE), _runs(subarray.columns, SIZE)
    return [Window(*some, *others) for some in rows for others in columns]


def _runs(lines: Lines, size: int) -> list[tuple[int, int]]:
    """Begin and end of each run of neighbouring rows, or columns, in the array."""
    light = (lines >= BORDER) & (lines < size - BORDER)
    breaks = np.flatnonzero((np.diff(lines) != 1) | (light[1:] != light[:-1])) + 1
    ends = [0, *breaks.tolist(), len(lines)]
    return [(begin, end) for begin, end in pairwise(ends) if light[begin]]


def deconvolve(sci: Float, kernel: Float, part: Window) -> None:
    """Convolve each group with the inverse of the coupling, in place.

    sci : (..., ny, nx), DN, contiguous
        Pixels outside the part neither change nor take part; beyond it there are zeros.
        NaN spreads as far as the kernel reaches.
    kernel : (ky, kx), or (ky, kx, ny, nx) for each pixel its own; ky and kx odd
    Source: specification detector1 §3 ipc.
    """
    planes = sci.reshape(-1, *sci.shape[-2:])
    weights = kernel if kernel.ndim == 4 else kernel[:, :, None, None]
    in_threads([partial(convolve, p, p + 1, planes, weights, *part) for p in range(len(planes))])


@step(keyword="S_IPC", references=("ipc",))
@each_superstripe
def ipc(ramp: Ramp, references: References, params: NoParams) -> Ramp:
    """Correct interpixel capacitance, between pixels that are neighbours on the detector too."""
    image = ramp.subarray if ramp.between else window(ramp)
    reference = references.within(image)["ipc"]
    kernel = reference.floats(cut=len(reference.shape()) == 4)
    for part in without_reference_pixels(image, miri=is_miri(ramp.header)):
        for sci, _ in ramp.integrations():
            deconvolve(sci, kernel, part)
    return ramp
