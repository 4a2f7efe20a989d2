"""Two files, array by array."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calwebbd.stages.fits.compare import differing_arrays

NAN = float("nan")


def written(path: Path, *hdus: Any) -> Path:
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def image(*values: float, name: str = "SCI", ver: int = 1) -> Any:
    return fits.ImageHDU(np.array(values, np.float32), name=name, ver=ver)


def test_equal_files_differ_in_nothing_and_nan_equals_nan(tmp_path: Path) -> None:
    flags = fits.ImageHDU(np.array([1, 2], np.uint32), name="DQ")
    files = [written(tmp_path / name, image(1, NAN), flags.copy(), image(2, name="ERR")) for name in "ab"]
    assert differing_arrays(*files) == []


def test_it_says_how_many_values_differ_and_by_how_much(tmp_path: Path) -> None:
    one = written(tmp_path / "a", image(1, 2, 3, NAN))
    other = written(tmp_path / "b", image(1, 2.5, 4, 0))
    assert differing_arrays(one, other) == [
        "SCI: 3 of 4 values differ, by up to 1, median 0.75, 1 are NaN in one only"
    ]


def test_shapes_tables_and_extensions_that_only_one_has(tmp_path: Path) -> None:
    table = fits.BinTableHDU(np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), name="TAB")
    changed = fits.BinTableHDU(np.array([(2, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), name="TAB")
    one = written(tmp_path / "a", image(1), image(1, ver=2), table)
    other = written(tmp_path / "b", image(1, 2), changed)
    assert differing_arrays(one, other) == [
        "SCI: shape (1,) → (2,)", "SCI,2: only in the first", "TAB.a: 1 of 1 values differ",
    ]  # fmt: skip
