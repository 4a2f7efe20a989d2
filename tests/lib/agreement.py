"""How far the arrays of two products agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import QTable
from numpy.typing import NDArray

RTOL, ATOL = 1e-5, 1e-6
FRACTION = 1e-6  #: of the pixels may differ: those where rounding decides which way a test falls
CHUNK = 1 << 21
PIXEL = 1e-6  #: by which a place on the sky may be off, of a pixel
NUMBERS = "iufb"  #: kinds of numpy's types
SAME = 50.0  #: mas within which two sources are one
MAS = 1.0  #: by which it may be, mas, once stars have been fitted


@dataclass(frozen=True)
class Agreement:
    """Of two arrays, or of many pairs.

    pixels : compared
    over : values that differ by more than ATOL + RTOL |reference|; integers that are not equal
    worst : the largest difference of the others, as a fraction of what is allowed
    nans : NaN in one and not in the other
    """

    pixels: int = 0
    over: int = 0
    worst: float = 0.0
    nans: int = 0

    @property
    def good(self) -> bool:
        return self.nans == 0 and self.over <= FRACTION * self.pixels

    def __add__(self, other: Agreement) -> Agreement:
        worst = max(self.worst, other.worst)
        return Agreement(self.pixels + other.pixels, self.over + other.over, worst, self.nans + other.nans)


def of_files(reference: Path, candidate: Path, part: Any = ...) -> dict[str, Agreement]:
    """The agreement of each image extension; one that the candidate lacks differs wholly.

    part : of the arrays that is compared; all if not given
    """
    with fits.open(reference) as theirs, fits.open(candidate) as ours:
        arrays = {hdu.name: hdu.data[part] for hdu in theirs if hdu.is_image and hdu.data is not None}
        return {
            name: of_arrays(array, ours[name].data[part]) if name in ours else _nothing(array)
            for name, array in arrays.items()
        }


def of_wcs(reference: Path, candidate: Path, aligned: bool) -> Agreement:
    """Where the pixels of a grid are on the sky, as an agreement of so many places.

    A place may be off by PIXEL of a pixel; `aligned`, which is by stars, by MAS.
    """
    apart, pixel = places(reference, candidate)
    excess = apart / (MAS if aligned else PIXEL * pixel)
    return Agreement(len(excess), int((excess > 1).sum()), float(excess[excess <= 1].max(initial=0.0)))


def places(reference: Path, candidate: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """How far apart the pixels of a grid are on the sky, and how large a pixel is there, mas."""
    from stdatamodels.jwst import datamodels

    with datamodels.open(reference) as theirs, datamodels.open(candidate) as ours:
        ny, nx = theirs.data.shape[-2:]
        x, y = (a.ravel() for a in np.meshgrid(np.linspace(0, nx - 1, 9), np.linspace(0, ny - 1, 9)))
        first, beside, second = (
            np.deg2rad(model.meta.wcs(x + step, y)) for model, step in ((theirs, 0), (theirs, 1), (ours, 0))
        )
    apart, pixel = (
        np.hypot((other[0] - first[0]) * np.cos(first[1]), other[1] - first[1]) for other in (second, beside)
    )
    return np.rad2deg(apart) * 3.6e6, np.rad2deg(pixel) * 3.6e6


def of_catalogues(reference: Path, candidate: Path) -> dict[str, Agreement]:
    """Source by source, those that are at the same place: how many have no other, and all their numbers."""
    theirs, ours = QTable.read(reference), QTable.read(candidate)
    index, apart, _ = theirs["sky_centroid"].match_to_catalog_sky(ours["sky_centroid"])
    same = apart.mas < SAME
    unmatched = len(theirs) + len(ours) - 2 * int(same.sum())
    found = {"sources": Agreement(len(theirs), over=unmatched)}
    for name in theirs.colnames:
        a, b = (_plain(column) for column in (theirs[name][same], ours[name][index[same]]))
        if a.dtype.kind in NUMBERS and b.dtype.kind in NUMBERS:
            found[name] = of_arrays(a, b)
        elif a.dtype.kind in NUMBERS:  # of sources that have no box NaN stands for its corners
            found[name] = Agreement(len(a), over=int(np.count_nonzero(~np.isnan(a))))
    return found


def _plain(column: Any) -> NDArray[Any]:
    """Numbers without unit; for places on the sky, objects."""
    return np.asarray(getattr(column, "value", column))


def of_arrays(reference: Any, candidate: Any) -> Agreement:
    """Compare two arrays, piece by piece to spare memory."""
    if reference.shape != getattr(candidate, "shape", None):
        return _nothing(reference)
    reference, candidate = reference.reshape(-1), candidate.reshape(-1)
    pieces = (slice(start, start + CHUNK) for start in range(0, reference.size, CHUNK))
    return total(_of_piece(reference[piece], candidate[piece]) for piece in pieces)


def total(parts: Iterable[Agreement]) -> Agreement:
    return sum(parts, Agreement())


def _nothing(reference: Any) -> Agreement:
    return Agreement(reference.size, over=reference.size)


def _of_piece(reference: Any, candidate: Any) -> Agreement:
    if reference.dtype.kind not in "fc":
        return Agreement(reference.size, over=int(np.count_nonzero(reference != candidate)))
    a, b = reference.astype(np.float64), candidate.astype(np.float64)
    unlike = np.isnan(a) != np.isnan(b)
    with np.errstate(invalid="ignore"):
        excess = np.where(
            (a == b) | np.isnan(a) | np.isnan(b), 0.0, np.abs(a - b) / (ATOL + RTOL * np.abs(a))
        )
    excess = np.nan_to_num(excess, nan=np.inf)  # infinities of different sign
    over = excess > 1
    worst = float(excess[~over].max(initial=0.0))
    return Agreement(a.size, int(over.sum()), worst, int(unlike.sum()))
