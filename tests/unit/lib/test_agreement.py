"""The rule by which products are compared with those of the official package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from agreement import ATOL, RTOL, Agreement, of_arrays, of_catalogues, total
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable


def test_equal_arrays_agree_to_the_last_bit() -> None:
    both = np.array([1.0, np.nan, np.inf], np.float32)
    assert of_arrays(both, both.copy()) == Agreement(pixels=3)


def test_a_value_may_differ_by_what_is_allowed() -> None:
    found = of_arrays(np.array([100.0]), np.array([100.0 + 0.5 * (ATOL + RTOL * 100.0)]))
    assert found.good
    assert abs(found.worst - 0.5) < 1e-6


def test_a_value_beyond_that_is_counted() -> None:
    found = of_arrays(np.array([100.0, 1.0]), np.array([100.1, 1.0]))
    assert (found.over, found.good) == (1, False)


def test_nan_against_a_number_does_not_agree() -> None:
    assert of_arrays(np.array([np.nan, 1.0]), np.array([1.0, 1.0])).nans == 1


def test_infinities_of_other_sign_do_not_agree() -> None:
    assert of_arrays(np.array([np.inf]), np.array([-np.inf])).over == 1


def test_flags_must_be_equal() -> None:
    assert of_arrays(np.array([4, 2], np.uint32), np.array([4, 3], np.uint32)).over == 1


def test_another_shape_differs_wholly() -> None:
    assert of_arrays(np.zeros((2, 2)), np.zeros((2, 3))).over == 4


def test_one_pixel_in_a_million_may_fall_otherwise() -> None:
    assert total([Agreement(999_999), Agreement(1, over=1)]).good
    assert not total([Agreement(999_998), Agreement(1, over=1)]).good


def catalogue(folder: Path, name: str, ra: list[float], flux: list[float]) -> Path:
    path = folder / name
    places = SkyCoord(ra * u.arcsec, np.zeros(len(ra)) * u.deg)
    QTable({"sky_centroid": places, "flux": flux * u.Jy}).write(path)
    return path


def test_sources_are_compared_with_those_at_their_place_whatever_their_order(tmp_path: Path) -> None:
    one = catalogue(tmp_path, "a.ecsv", [0.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    same = catalogue(tmp_path, "b.ecsv", [2.0, 0.0, 1.0], [3.0, 1.0, 2.0])
    assert total(of_catalogues(one, same).values()) == Agreement(6)
    other = catalogue(tmp_path, "c.ecsv", [0.0, 1.0, 2.4, 5.0], [1.0, 2.1, 3.0, 1.0])
    found = of_catalogues(one, other)
    assert found["sources"].over == 3  # one of theirs, two of ours
    assert found["flux"] == Agreement(2, over=1)
