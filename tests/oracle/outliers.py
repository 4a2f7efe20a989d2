"""Flags of outliers, of both packages in the same images, and which are right by what was simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from calwebbd.stages import flags

SEEN_AT = 5.0  #: ERR by which a pixel is off what it would be without noise and cosmic rays, if it is one


@dataclass(frozen=True)
class Outliers:
    """Counts of pixels.

    theirs, ours : flagged
    unlike : by one of the two
    right : of these, as calwebbd has it; None where the truth is not known
    """

    pixels: int = 0
    theirs: int = 0
    ours: int = 0
    unlike: int = 0
    right: int | None = 0

    def __add__(self, other: Outliers) -> Outliers:
        *counts, right = zip(astuple(self), astuple(other), strict=True)
        return Outliers(*map(sum, counts), None if None in right else sum(right))

    def __str__(self) -> str:
        right = "not known" if self.right is None else f"{self.right}"
        return f"{self.pixels} | {self.theirs} | {self.ours} | {self.unlike} | {right if self.unlike else ''}"


def of_masks(
    reference: Path, candidate: Path, calibrated: Path, still: Callable[[], Path | None]
) -> Outliers:
    """Of one image.

    calibrated : what both were given
    still : makes the same without noise and cosmic rays, if it can; asked where the flags are not the same
    """
    theirs, ours = (fits.getdata(path, "DQ") & flags.OUTLIER != 0 for path in (reference, candidate))
    unlike = theirs != ours
    right: int | None = 0
    if unlike.any():
        quiet = still()
        right = quiet and int((ours == _is_off(calibrated, quiet))[unlike].sum())
    return Outliers(theirs.size, int(theirs.sum()), int(ours.sum()), int(unlike.sum()), right)


def _is_off(calibrated: Path, still: Path) -> NDArray[Any]:
    with fits.open(calibrated) as seen, fits.open(still) as quiet:
        off: NDArray[Any] = np.abs(seen["SCI"].data - quiet["SCI"].data) > SEEN_AT * seen["ERR"].data
    return off
