"""Subtract exposures of the background."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.stats import sigma_clip
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Image, PixelDQ
from calwebbd.stages.fits import read_image
from calwebbd.stages.products import Plane
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step

Reals = NDArray[Any]  # single or double precision
Arrays = tuple[Reals, Reals, PixelDQ]  #: values, variances or errors, and flags

ROWS = 64  #: that are clipped at a time, for the memory it takes
TILT = 1e-8  #: between positions of NIRSpec's grating wheel, at most


@dataclass(frozen=True)
class BkgSubtractParams:
    sigma: float = 3.0  #: from the median; values beyond it are left out
    maxiters: int | None = None  #: of clipping; None until nothing more is left out
    bkg_list: tuple[str, ...] = ()  #: files of the background; used if the association has none
    save_combined_background: bool = False  #: write the average as ``combinedbackground``
    save_results: bool = False  #: write what is left as ``bsub``, or ``bsubints``


@step(keyword="S_BKDSUB", params=BkgSubtractParams)
def bkg_subtract(
    image: Image, references: References, params: BkgSubtractParams, backgrounds: Sequence[Path] = ()
) -> Image:
    """Subtract the average of exposures of the background.

    Flags of all of them are added; errors stay as they are. Where none has a value,
    nothing is subtracted. Source: specification image2 §2.
    """
    files = backgrounds or [Path(name) for name in params.bkg_list]
    if not files:
        raise Skip("there is no exposure of the background")
    sci, err, dq = average_background(image, read_backgrounds(image, files), params.sigma, params.maxiters)
    image.sci -= sci
    image.dq |= dq
    if params.save_combined_background:
        image.byproducts["combinedbackground"] = Plane(image.header.copy(), sci, err, dq)
    return image


def read_backgrounds(image: Image, files: Iterable[Path]) -> Iterator[Image]:
    """Each file in turn, its arrays read when they are asked for.

    Raises InputError if one is not of the kind of the image, Skip if NIRSpec's grating wheel stood elsewhere.
    """
    for file in files:
        background = read_image(file, stored=True)
        if background.by_integration is not image.by_integration:
            kinds = ("rateints", "rate") if image.by_integration else ("rate", "rateints")
            raise InputError(f"the background {file.name} must be {kinds[0]}, not {kinds[1]}")
        if image.header.text("INSTRUME") == "NIRSPEC" and not same_tilt(image, background):
            raise Skip(f"the grating wheel of {file.name} is tilted otherwise")
        yield background


def same_tilt(image: Image, background: Image) -> bool:
    """Whether the grating wheel stood at one position."""
    keys = ("GWA_XTIL", "GWA_YTIL")
    return all(abs(image.header.real(key) - background.header.real(key)) <= TILT for key in keys)


def average_background(
    image: Image, backgrounds: Iterable[Image], sigma: float, maxiters: int | None = None
) -> Arrays:
    """Average exposures, clipped at `sigma`, on the pixels of an image: zero where none has a value.

    backgrounds : as the image, (ny, nx) or (nints, ny, nx), of any part of the detector; of
        integrations their clipped mean counts

    Returns SCI, ERR and DQ: the mean of what is not clipped, its error, and the flags of all.
    """
    planes = [on_image(image, arrays(each, sigma, maxiters), each) for each in backgrounds]
    values, variances = (np.stack([each[n] for each in planes]) for n in (0, 1))
    clipped = clip(values, sigma, maxiters)
    number = np.maximum((~clipped).sum(axis=0), 1)
    sci = mean(values, clipped)
    err = np.sqrt(np.where(clipped, 0, variances).sum(axis=0)) / number
    dq = np.bitwise_or.reduce([each[2] for each in planes])
    return sci.astype(np.float32), err.astype(np.float32), dq


def arrays(background: Image, sigma: float, maxiters: int | None) -> Arrays:
    """Values, variances and flags of an exposure; NaN where no integration has a value."""
    sci, err = (np.asarray(each) for each in (background.sci, background.err))
    dq: PixelDQ = np.asarray(background.dq)
    if not background.by_integration:
        return sci, err * err, dq
    found = []
    for array in (sci, err * err):
        clipped = clip(array, sigma, maxiters)
        found.append(np.where(clipped.all(axis=0), np.nan, mean(array, clipped)))
    together: PixelDQ = np.bitwise_or.reduce(dq)
    return found[0], found[1], together


def on_image(image: Image, found: Arrays, background: Image) -> Arrays:
    """The arrays of a background on the pixels of the image: NaN, without flags, where it has none."""
    ours, theirs = image.subarray, background.subarray
    x1, x2 = max(ours.x, theirs.x), min(ours.x + ours.nx, theirs.x + theirs.nx)
    y1, y2 = max(ours.y, theirs.y), min(ours.y + ours.ny, theirs.y + theirs.ny)
    shape = (ours.ny, ours.nx)
    planes = [np.full(shape, np.nan) for _ in range(2)]
    dq = np.zeros(shape, np.uint32)
    if x1 < x2 and y1 < y2:
        there = np.s_[y1 - theirs.y : y2 - theirs.y, x1 - theirs.x : x2 - theirs.x]
        for out, array in zip((*planes, dq), found, strict=True):
            out[y1 - ours.y : y2 - ours.y, x1 - ours.x : x2 - ours.x] = array[there]
    return planes[0], planes[1], dq


def clip(values: Reals, sigma: float, maxiters: int | None) -> NDArray[np.bool_]:
    """Which values, (n, ny, nx), are NaN or lie outside of `sigma` deviations of their pixel's median."""
    clipped = np.empty(values.shape, bool)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*automatically clipped", AstropyUserWarning)
        for y in range(0, values.shape[1], ROWS):
            rows = np.s_[:, y : y + ROWS]
            clipped[rows] = sigma_clip(values[rows], sigma=sigma, maxiters=maxiters, axis=0).mask
    return clipped


def mean(values: Reals, clipped: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean along the first axis of what is not clipped, summed in its own precision; 0 where all is."""
    number = np.maximum((~clipped).sum(axis=0), 1)
    average: NDArray[np.float64] = np.where(clipped, 0, values).sum(axis=0) / number
    return average
