"""By how much the offset of two images of a star differs from that of their pointings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import griddata
from scipy.ndimage import center_of_mass, gaussian_filter
from scipy.signal import convolve, correlate

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Image
from calwebbd.stages.steps.wfs_combine.shift import overlap

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHARPEN = 5  #: pixels; structure wider than this does not count in the correlation
PEAK = 3  #: pixels on either side of the highest correlation that its centre is computed from


@dataclass(frozen=True)
class RefineParams:
    psf_size: int = 100  #: half of the largest star image, pixels
    blur_size: int = 10  #: of the smoothing before the star is looked for, pixels
    n_size: int = 2  #: half of the box from which a bad pixel is filled, pixels


def refinement(first: Image, second: Image, dx: int, dy: int, params: RefineParams) -> tuple[float, float]:
    """What to add to the offset (dx, dy), pixels, by correlating what both see around the star.

    Raises InputError if the offset leaves the images nothing in common there.
    """
    (sci1, bad1), (sci2, bad2) = (_plane(image) for image in (first, second))
    x, y = middle_of_star(np.where(bad1, sci1[~bad1].mean(), sci1), params.blur_size)
    part = around(x, y, sci1.shape, params.psf_size)
    filled1, filled2 = (
        fill(sci[part], bad[part], params.n_size) for sci, bad in ((sci1, bad1), (sci2, bad2))
    )
    a, b = overlap(filled1, filled2, dx, dy)
    if a.size == 0:
        raise InputError(f"an offset of {dx}, {dy} pixels leaves the images nothing in common at the star")
    ny, nx = a.shape
    part = around(nx / 2 + 1, ny / 2 + 1, (ny - 1, nx - 1), params.psf_size, nearest=False)
    return correlated(a[part], b[part])


def _plane(image: Image) -> tuple[Plane, Mask]:
    return np.nan_to_num(image.sci.astype(np.float64)), (image.dq & flags.DO_NOT_USE) != 0


def middle_of_star(sci: Plane, blur: int) -> tuple[float, float]:
    """Mean place (x, y) of what, smoothed, is above half of the highest value."""
    r = np.arange(-blur, blur + 1)
    profile = np.exp(-(r**2) / blur)
    smooth = convolve(sci, np.outer(profile, profile) / profile.sum() ** 2, mode="valid")
    rows, columns = np.nonzero(smooth > smooth.max() / 2)
    return float(columns.mean()) + blur, float(rows.mean()) + blur


def around(
    x: float, y: float, shape: tuple[int, ...], half: int, *, nearest: bool = True
) -> tuple[slice, slice]:
    """Rows and columns within `half` of a place, and within the shape; rounded, or cut, to whole pixels."""
    whole = round if nearest else int
    return tuple(  # type: ignore[return-value]
        slice(whole(max(0, middle - half)), whole(min(size, middle + half)))
        for middle, size in zip((y, x), shape, strict=True)
    )


def fill(sci: Plane, bad: Mask, half: int) -> Plane:
    """The image with bad pixels interpolated, one after the other, from a box about them.

    Linear between neighbours, or the nearest where that is not possible.
    """
    out = sci.copy()
    ny, nx = sci.shape
    for y, x in np.argwhere(bad):
        rows = np.arange(max(0, y - half), min(ny - half, y + half) + 1)
        columns = np.arange(max(0, x - half), min(nx - half, x + half) + 1)
        box = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
        box = box[(box != (y, x)).any(axis=1)]
        values = out[box[:, 0], box[:, 1]]
        found = griddata(box, values, [(y, x)], method="linear")[0]
        if np.isnan(found):
            found = griddata(box, values, [(y, x)], method="nearest")[0]
        out[y, x] = found
    return out


def correlated(first: Plane, second: Plane) -> tuple[float, float]:
    """How far (x, y) the second lies from the first, by the centre of the peak of their correlation."""
    sharp = [array - gaussian_filter(array, SHARPEN) for array in (second, first)]
    correlation = correlate(*sharp, method="fft")
    y, x = np.unravel_index(np.argmax(correlation), correlation.shape)
    peak = correlation[y - PEAK : y + PEAK + 1, x - PEAK : x + PEAK + 1]
    cy, cx = center_of_mass(peak)
    ny, nx = first.shape
    return float(x - nx + 1 + cx - PEAK), float(y - ny + 1 + cy - PEAK)
