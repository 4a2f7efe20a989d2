"""Guide-star files: tables pass through, products are what the schemas say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guide_stars import make_guide_star
from stdatamodels.jwst import datamodels

from calwebbd.stages.errors import InputError
from calwebbd.stages.fits import read_guide_star
from calwebbd.stages.fits.read import GUIDE_STAR_TABLES
from calwebbd.stages.fits.write import write
from calwebbd.stages.products import GuideStar


def rows(name: str, number: int) -> np.ndarray:
    """A table of the columns that the schemas know, of texts and rising numbers."""
    dtype = datamodels.GuiderRawModel().get_dtype(name)
    table = np.zeros(number, dtype)
    for n, column in enumerate(table.dtype.names or ()):
        kind = table.dtype[column].kind
        table[column] = [f"{k}"[:2] for k in range(number)] if kind == "S" else np.arange(number) + 100 * n
    return table


def a_star(exp_type: str, *shape: int, tables: tuple[str, ...] = (), **arrays: Any) -> GuideStar:
    star = make_guide_star(np.arange(np.prod(shape)).reshape(shape), exp_type, TGROUP=0.5, NGROUPS=2)
    for name in tables:
        setattr(star, name, rows(name, 3))
    for name, array in arrays.items():
        setattr(star, name, array)
    return star


@pytest.mark.parametrize(
    "tables", [("planned_star_table", "flight_star_table"), tuple(GUIDE_STAR_TABLES), ()]
)
def test_count_rates_and_tables_come_back_as_they_were(tmp_path: Path, tables: tuple[str, ...]) -> None:
    err = np.full((3, 4, 4), 2, np.float32)
    star = a_star("FGS_TRACK", 3, 4, 4, tables=tables, err=err, dq=np.full((4, 4), 1 << 31, np.uint32))
    star.header["BUNIT"] = "DN/s"
    path = write(star, tmp_path / "jw01234001001_gs-track_2024001060020_cal.fits")
    again = read_guide_star(path)
    for name in ("sci", "err", "dq"):
        np.testing.assert_array_equal(getattr(again, name), getattr(star, name))
    for name in GUIDE_STAR_TABLES:
        if name not in tables:
            assert getattr(again, name) is None
            continue
        table, known = getattr(again, name), getattr(star, name)
        assert table.dtype.names == known.dtype.names
        for column in known.dtype.names:
            np.testing.assert_array_equal(table[column].astype(known.dtype[column]), known[column])
    with datamodels.open(path, strict_validation=True) as model:
        assert type(model) is datamodels.GuiderCalModel
        model.validate()
        assert (model.meta.bunit_data, model.meta.bunit_err) == ("DN/s", None)


def test_raw_groups_are_written_as_raw(tmp_path: Path) -> None:
    path = write(
        a_star("FGS_ACQ1", 6, 2, 4, 4), tmp_path / "jw01234001001_gs-acq1_2024001060000_dq_init.fits"
    )
    assert read_guide_star(path).raw
    with datamodels.open(path, strict_validation=True) as model:
        assert type(model) is datamodels.GuiderRawModel


def test_what_is_no_guide_star_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x_cal.fits"
    with datamodels.ImageModel((4, 4)) as model:
        model.save(path)
    with pytest.raises(InputError, match="SCI has 2 axes, a guide-star exposure has 3 or 4"):
        read_guide_star(path)
