"""Whether two products are equal, equal but for rounding, or different in so many pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from agreement import of_arrays
from astropy.io import fits

OF_ERR = 1e-3  #: of ERR: what rounding may change in SCI of a product that has it
OF_VALUE, SAMPLE = 1e-3, 0.01  #: of the value, and units (DN): what it may change elsewhere


@dataclass(frozen=True)
class Likeness:
    """Of two products, or the worse one of several pairs.

    pixels : with other flags, NaN, or values that differ by more than rounding, in the worst extension
    rounded : more values than one in a million differ by more than `agreement` allows
    """

    pixels: int = 0
    rounded: bool = False

    def __or__(self, other: Likeness) -> Likeness:
        return Likeness(max(self.pixels, other.pixels), self.rounded or other.rounded)

    def __str__(self) -> str:
        return f"{self.pixels} px" if self.pixels else "≈" if self.rounded else "="


def of_products(reference: Path, candidate: Path) -> Likeness:
    """The worst of all extensions; what the candidate lacks stands there as nothing but zeros."""
    if not candidate.exists():
        return Likeness(pixels=fits.getdata(reference).size)
    worst = Likeness()
    with fits.open(reference) as theirs, fits.open(candidate) as ours:
        err = theirs["ERR"].data if "ERR" in theirs else None
        for hdu in theirs:
            if hdu.data is None or hdu.data.size == 0 or hdu.name == "ASDF":
                continue
            key = (hdu.name, hdu.ver)
            if key not in ours:
                worst |= Likeness(int(np.count_nonzero(hdu.data)) if hdu.is_image else len(hdu.data))
            elif isinstance(hdu, fits.BinTableHDU):
                worst |= _of_tables(hdu.data, ours[key].data)
            else:
                worst |= _of_images(hdu.data, ours[key].data, err if hdu.name == "SCI" else None)
    return worst


def _of_tables(reference: Any, candidate: Any) -> Likeness:
    """The rows of the column that differs in most."""
    worst = Likeness()
    for name in reference.names:
        a, b = np.asarray(reference[name]), np.asarray(candidate[name])
        if a.shape != b.shape:
            return Likeness(len(a))
        unlike = a != b if a.dtype.kind not in "fc" else ~np.isclose(a, b, rtol=1e-9, atol=0, equal_nan=True)
        worst |= Likeness(int(np.count_nonzero(unlike)))
    return worst


def _of_images(reference: Any, candidate: Any, err: Any) -> Likeness:
    found = of_arrays(reference, candidate)
    if reference.dtype.kind not in "fc" or reference.shape != candidate.shape:
        return Likeness(found.over)
    if found.good:
        return Likeness()
    with np.errstate(invalid="ignore"):
        difference = np.abs(reference.astype(np.float64) - candidate)
        if err is not None and err.shape == reference.shape:
            gross = difference > OF_ERR * np.where(err > 0, err, np.inf)
        else:
            gross = difference > SAMPLE + OF_VALUE * np.abs(reference)
    return Likeness(found.nans + int(np.count_nonzero(gross)), rounded=True)
