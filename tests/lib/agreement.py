"""How far the arrays of two products agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

RTOL, ATOL = 1e-5, 1e-6
FRACTION = 1e-6  #: of the pixels may differ: those where rounding decides which way a test falls
CHUNK = 1 << 21


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


def of_files(reference: Path, candidate: Path) -> dict[str, Agreement]:
    """The agreement of each image extension; one that the candidate lacks differs wholly."""
    with fits.open(reference) as theirs, fits.open(candidate) as ours:
        return {
            hdu.name: of_arrays(hdu.data, ours[hdu.name].data) if hdu.name in ours else _nothing(hdu.data)
            for hdu in theirs
            if hdu.is_image and hdu.data is not None
        }


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
