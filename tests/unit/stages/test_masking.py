import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from images import make_image

from calwebbd.stages import flags
from calwebbd.stages.masking import blank, match_nans_and_flags
from calwebbd.stages.scratch import put

ARRAYS = ("sci", "err", "var_poisson", "var_rnoise", "var_flat")
VALUES = st.sampled_from([1.0, 0.0, float("nan"), float("inf")])


@pytest.mark.parametrize("name", ARRAYS)
def test_a_nan_in_any_array_spreads_to_all_and_to_the_flags(name: str) -> None:
    image = make_image([[1, 2], [3, 4]])
    image.var_flat = np.ones((2, 2), np.float32)
    getattr(image, name)[1, 0] = np.nan
    match_nans_and_flags(image)
    for each in ARRAYS:
        np.testing.assert_array_equal(np.isnan(getattr(image, each)), [[False, False], [True, False]])
    np.testing.assert_array_equal(image.dq, [[0, 0], [flags.DO_NOT_USE, 0]])


def test_a_pixel_not_to_be_used_becomes_nan_and_keeps_its_other_flags() -> None:
    image = make_image([[1, 2]])
    image.dq[0] = [flags.DO_NOT_USE | flags.HOT, flags.HOT]
    invalid = match_nans_and_flags(image)
    np.testing.assert_array_equal(image.sci, [[np.nan, 2]])
    np.testing.assert_array_equal(image.dq, [[flags.DO_NOT_USE | flags.HOT, flags.HOT]])
    np.testing.assert_array_equal(invalid, [[True, False]])


def test_infinities_stay() -> None:
    image = make_image([[np.inf]])
    match_nans_and_flags(image)
    assert image.sci[0, 0] == np.inf
    assert image.dq[0, 0] == 0


def test_an_array_of_another_shape_neither_counts_nor_changes() -> None:
    image = make_image([[1, 2]])
    image.var_poisson = np.full(1, np.nan, np.float32)
    image.dq = np.full((3, 3), flags.DO_NOT_USE, np.uint32)
    match_nans_and_flags(image)
    np.testing.assert_array_equal(image.sci, [[1, 2]])


@given(arrays(np.float32, (2, 3), elements=VALUES), arrays(np.uint32, (2, 3), elements=st.integers(0, 7)))
def test_matching_twice_is_matching_once(err: np.ndarray, dq: np.ndarray) -> None:
    image = make_image(np.ones((2, 3)))
    image.err, image.dq = err.copy(), dq.copy()
    match_nans_and_flags(image)
    once = image.err.copy(), image.dq.copy()
    match_nans_and_flags(image)
    np.testing.assert_array_equal(image.err, once[0])
    np.testing.assert_array_equal(image.dq, once[1])
    assert ((image.dq & dq) == dq).all()


def test_arrays_on_disk_are_blank_where_the_image_is_invalid_whichever_rows_are_read() -> None:
    image = make_image(np.ones((3, 2)))
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    image.sci, image.err = put(values), put(values)  # type: ignore[assignment]
    invalid = np.array([[True, False], [False, True], [True, True]])
    blank(image, invalid)
    np.testing.assert_array_equal(image.sci, [[np.nan, 1], [2, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(image.err.read(1, 2), [[2, np.nan]])  # type: ignore[attr-defined]
