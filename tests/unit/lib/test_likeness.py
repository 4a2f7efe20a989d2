"""Equal, equal but for rounding, or different."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from likeness import of_products

SCI, ERR = np.full((2, 2), 100.0, np.float32), np.full((2, 2), 10.0, np.float32)


def write(path: Path, **arrays: np.ndarray) -> Path:
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(a, name=n) for n, a in arrays.items())]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("change", "told"), [(0.0, "="), (1e-4, "="), (0.005, "≈"), (0.02, "1 px"), (np.nan, "1 px")]
)
def test_rounding_is_a_thousandth_of_the_error(tmp_path: Path, change: float, told: str) -> None:
    other = SCI.copy()
    other[0, 0] += change
    files = write(tmp_path / "a.fits", SCI=SCI, ERR=ERR), write(tmp_path / "b.fits", SCI=other, ERR=ERR)
    assert str(of_products(*files)) == told


def test_a_sample_may_be_rounded_by_a_hundredth(tmp_path: Path) -> None:
    small = np.zeros((2, 2), np.float32)
    near = of_products(write(tmp_path / "a.fits", SCI=small), write(tmp_path / "b.fits", SCI=small + 0.005))
    far = of_products(tmp_path / "a.fits", write(tmp_path / "c.fits", SCI=small + 0.02))
    assert (str(near), str(far)) == ("≈", "4 px")


def test_flags_are_equal_or_counted_and_the_worst_extension_counts(tmp_path: Path) -> None:
    dq = np.zeros((2, 2), np.uint8)
    ours = write(tmp_path / "b.fits", SCI=SCI, DQ=dq + np.uint8([[0, 0], [1, 4]]))
    found = of_products(write(tmp_path / "a.fits", SCI=SCI, DQ=dq), ours)
    assert str(found) == "2 px"


def test_what_is_lacking_counts_as_zeros(tmp_path: Path) -> None:
    ours = write(tmp_path / "b.fits", SCI=SCI)
    assert str(of_products(write(tmp_path / "a.fits", SCI=SCI, ERR=0 * ERR), ours)) == "="
    assert str(of_products(write(tmp_path / "c.fits", SCI=SCI, ERR=ERR), ours)) == "4 px"
    assert str(of_products(tmp_path / "a.fits", tmp_path / "nothing.fits")) == "4 px"


def test_rows_of_tables_are_counted(tmp_path: Path) -> None:
    def table(path: Path, last: float) -> Path:
        data = np.array([(1, 0.5), (2, last)], [("n", "i4"), ("t", "f8")])
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(data)]).writeto(path)
        return path

    theirs = table(tmp_path / "a.fits", 1.5)
    assert str(of_products(theirs, table(tmp_path / "b.fits", 1.5))) == "="
    assert str(of_products(theirs, table(tmp_path / "c.fits", 1.6))) == "1 px"
