"""Undo the coupling of each pixel's charge to its neighbours' (interpixel capacitance)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from calwebbd.stages.exposure import Float, Ramp, Subarray
from calwebbd.stages.irs2 import Index, image_of, is_interleaved, pixel_rows
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.kernels.convolution import convolve
from calwebbd.stages.readout import BORDER, MIRI_COLUMNS, SIZE, is_miri
from calwebbd.stages.references import References
from calwebbd.stages.step import NoParams, step


class Window(NamedTuple):
    """Rows y0 to y1 and columns x0 to x1 of an image, zero-based, ends excluded."""

    y0: int
    y1: int
    x0: int
    x1: int


def without_reference_pixels(subarray: Subarray, *, miri: bool = False) -> Window:
    """The part of a subarray that sees light; MIRI has reference pixels at the left and right only."""

    def inside(start: int, length: int, size: int) -> tuple[int, int]:
        return max(0, BORDER - start), length - max(0, start + length - (size - BORDER))

    if miri:
        return Window(0, subarray.ny, *inside(subarray.x, subarray.nx, MIRI_COLUMNS))
    return Window(*inside(subarray.y, subarray.ny, SIZE), *inside(subarray.x, subarray.nx, SIZE))


def deconvolve(sci: Float, kernel: Float, window: Window) -> None:
    """Convolve each group with the inverse of the coupling, in place.

    sci : (nints, ngroups, ny, nx), DN
        Pixels outside the window neither change nor take part; beyond it there are zeros.
        NaN spreads as far as the kernel reaches.
    kernel : (ky, kx), or (ky, kx, ny, nx) for each pixel its own; ky and kx odd
    Source: specification detector1 §3 ipc.
    """
    planes = sci.reshape(-1, *sci.shape[-2:])
    weights = kernel if kernel.ndim == 4 else kernel[:, :, None, None]
    in_threads([partial(convolve, p, p + 1, planes, weights, *window) for p in range(len(planes))])


def deconvolve_rows(sci: Float, rows: Index, kernel: Float, window: Window) -> None:
    """`deconvolve` the image that is in the given rows of interleaved groups, in place."""

    def one(plane: Float) -> None:
        image = plane[rows]
        deconvolve(image[None, None], kernel, window)
        plane[rows] = image

    in_threads([partial(one, plane) for plane in sci.reshape(-1, *sci.shape[-2:])])


@step(keyword="S_IPC", references=("ipc",))
def ipc(ramp: Ramp, references: References, params: NoParams) -> Ramp:
    """Correct interpixel capacitance."""
    interleaved = is_interleaved(ramp)
    image = image_of(ramp.subarray) if interleaved else ramp.subarray
    reference = references.within(image)["ipc"]
    kernel = reference.floats(cut=len(reference.shape()) == 4)
    window = without_reference_pixels(image, miri=is_miri(ramp.header))
    if interleaved:
        deconvolve_rows(ramp.sci, pixel_rows(ramp.header), kernel, window)
    else:
        deconvolve(ramp.sci, kernel, window)
    return ramp
