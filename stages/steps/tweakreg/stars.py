"""Find stars as IRAF's starfind does: peaks of the image seen through a Gaussian, measured by their moments.

The numbers are those of photutils' `IRAFStarFinder`; only pixels above the threshold are
compared with their neighbours, which takes a tenth of the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

from calwebbd.stages.exposure import Float
from calwebbd.stages.threads import by_rows

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]
Pixels = NDArray[np.intp]
LEAST_RADIUS = 2.0  # pixels, of the kernel
SIGMA = 1 / (2 * np.sqrt(2 * np.log(2)))  # of a Gaussian, in FWHM


@dataclass(frozen=True)
class Shape:
    """Which peaks are stars.

    fwhm : of the kernel, pixels; radius : where it ends, sigma
    separation : pixels within which a star is the highest peak
    sharpness, roundness : least and greatest; brightest : how many to keep; peak : greatest, above the sky
    """

    fwhm: float
    radius: float
    separation: float
    sharpness: tuple[float, float]
    roundness: tuple[float, float]
    brightest: int | None = None
    peak: float | None = None


def find_stars(image: Float, mask: Mask, threshold: float, shape: Shape) -> tuple[Array, Array, Array]:
    """x, y (0-based pixels) and flux of the stars, brightest first.

    image : (ny, nx), without background; what a NaN touches is no star
    mask : where no peak can be
    threshold : of the convolved image
    """
    kernel, inside = _kernel(shape.fwhm, shape.radius)
    y, x = _peaks(_convolved(image, kernel), mask, threshold, shape.separation)
    cuts = _cut_out(image, y, x, len(kernel) // 2)
    sky = (cuts * ~inside).sum(axis=(1, 2)) / np.count_nonzero(~inside)
    cuts = np.maximum((cuts - sky[:, None, None]) * inside, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        along_x, along_y, fwhm, roundness, flux = _moments(cuts)
    sharpness, peak = fwhm / shape.fwhm, cuts.max(axis=(1, 2), initial=0)
    good = np.count_nonzero(cuts, axis=(1, 2)) > 1
    good &= _within(sharpness, shape.sharpness) & _within(roundness, shape.roundness)
    if shape.peak is not None:
        good &= peak <= shape.peak
    chosen = np.flatnonzero(good)
    chosen = chosen[np.argsort(flux[chosen])[::-1][: shape.brightest]]
    start = len(kernel) // 2
    return (x - start + along_x)[chosen], (y - start + along_y)[chosen], flux[chosen].astype(np.float64)


def _within(values: Array, limits: tuple[float, float]) -> Mask:
    """False for what is not finite."""
    return np.asarray((values >= limits[0]) & (values <= limits[1]))


def _kernel(fwhm: float, radius: float) -> tuple[Array, Mask]:
    """A Gaussian that ends at a radius, less its mean; and where it is."""
    sigma = fwhm * SIGMA
    half = int(max(LEAST_RADIUS, radius * sigma))
    distance = np.hypot(*np.mgrid[-half : half + 1, -half : half + 1])
    inside = (distance <= LEAST_RADIUS) | (distance**2 / (2 * sigma**2) <= radius**2 / 2)
    gaussian = np.exp(-(distance**2) / (2 * sigma**2)) * inside
    mean = gaussian.sum() / inside.sum()
    spread = (gaussian**2).sum() - gaussian.sum() * mean
    return (gaussian - mean) / spread * inside, inside


def _convolved(image: Float, kernel: Array) -> Float:
    """The image seen through a kernel, 0 beyond its edges; some rows and those around them at a time."""
    out, half = np.empty_like(image), len(kernel) // 2

    def rows(start: int, stop: int) -> None:
        first = max(0, start - half)
        found = convolve(image[first : stop + half], kernel, mode="constant")
        out[start:stop] = found[start - first : stop - first]

    by_rows(rows, len(image))
    return out


def _peaks(image: Float, mask: Mask, threshold: float, separation: float) -> tuple[Pixels, Pixels]:
    """Rows and columns of the pixels above the threshold that no other one within `separation` exceeds."""
    with np.errstate(invalid="ignore"):
        y, x = np.nonzero((image > threshold) & ~mask)
    values, ny, nx = image[y, x], *image.shape
    highest = np.ones(len(y), bool)
    reach = int(separation)
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    for dy, dx in np.argwhere(distance <= separation) - reach:
        at = y + dy, x + dx
        beyond = (at[0] < 0) | (at[0] >= ny) | (at[1] < 0) | (at[1] >= nx)
        beside = np.where(beyond, 0, image[at[0].clip(0, ny - 1), at[1].clip(0, nx - 1)])
        highest &= ~(beside > values)
    return y[highest], x[highest]


def _cut_out(image: Float, y: Pixels, x: Pixels, half: int) -> Float:
    """(n, 2 half + 1, 2 half + 1) pixels around each place; 0 beyond the image."""
    padded = np.pad(image, half)
    steps = np.arange(2 * half + 1)
    return np.asarray(padded[(y[:, None] + steps)[:, :, None], (x[:, None] + steps)[:, None, :]])


def _moments(cuts: Float) -> tuple[Array, Array, Array, Array, Array]:
    """Centroid (x, y), FWHM, roundness and sum of each."""
    steps = np.arange(cuts.shape[-1], dtype=np.float64)
    total = cuts.sum(axis=(1, 2), dtype=np.float64)
    x = (cuts.sum(axis=1, dtype=np.float64) @ steps) / total
    y = (cuts.sum(axis=2, dtype=np.float64) @ steps) / total
    dx, dy = steps - x[:, None], steps - y[:, None]
    xx = np.einsum("nij,nj->n", cuts, dx**2) / total
    yy = np.einsum("nij,ni->n", cuts, dy**2) / total
    xy = np.einsum("nij,ni,nj->n", cuts, dy, dx) / total
    fwhm = 2 * np.sqrt(np.log(2) * (xx + yy))
    return x, y, fwhm, np.hypot(xx - yy, 2 * xy) / (xx + yy), total
