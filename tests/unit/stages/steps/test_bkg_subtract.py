from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import make_image

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Image
from calwebbd.stages.fits.write import write
from calwebbd.stages.products import Plane
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.bkg_subtract import average_background, bkg_subtract

NAN = np.nan


def background(folder: Path, sci: Any, **keywords: Any) -> Path:
    made = make_image(sci, **{"SUBARRAY": "SUB64P", **keywords})
    return write(made, folder / f"b{len(list(folder.iterdir()))}_rate.fits")


def subtracted(image: Image, *files: Path, **params: Any) -> Image:
    result: Image = bkg_subtract.function(image, {}, bkg_subtract.params(**params), files)
    return result


def test_the_average_of_the_backgrounds_is_subtracted_and_errors_stay(tmp_path: Path) -> None:
    files = [background(tmp_path, [[1, 2]]), background(tmp_path, [[3, 4]])]
    image = subtracted(make_image([[10, 10]]), *files)
    np.testing.assert_array_equal(image.sci, [[8, 7]])
    np.testing.assert_array_equal(image.err, [[1, 1]])
    assert image.sci.dtype == np.float32


def test_flags_of_all_backgrounds_are_added_and_none_is_lost(tmp_path: Path) -> None:
    made = [make_image([[1, 1]], SUBARRAY="SUB64P") for _ in range(2)]
    made[0].dq[0, 0], made[1].dq[0, 1] = 1, 4
    files = [write(each, tmp_path / f"{n}_rate.fits") for n, each in enumerate(made)]
    image = make_image([[0, 0]])
    image.dq[0, 0] = 2
    np.testing.assert_array_equal(subtracted(image, *files).dq, [[3, 4]])


def test_a_star_in_one_background_is_clipped() -> None:
    level = [make_image([[v]]) for v in (1, 1.1, 0.9, 1, 1.1, 0.9, 1, 1, 1, 1, 1, 100)]
    sci, err, _ = average_background(make_image([[0]]), level, 3)
    assert sci[0, 0] == pytest.approx(1)
    assert err[0, 0] == pytest.approx(1 / np.sqrt(11))


def test_where_no_background_has_a_value_nothing_is_subtracted(tmp_path: Path) -> None:
    file = background(tmp_path, [[NAN, 1]])
    np.testing.assert_array_equal(subtracted(make_image([[5, 5]]), file).sci, [[5, 4]])


@given(st.integers(-3, 3), st.integers(-2, 2))
def test_a_background_of_another_subarray_is_subtracted_where_it_sees_the_same_pixels(
    dx: int, dy: int
) -> None:
    detector = np.arange(1, 82, dtype=np.float32).reshape(9, 9)
    image = make_image(detector[3:6, 3:7], SUBSTRT1=4, SUBSTRT2=4)
    other = make_image(detector[3 + dy : 6 + dy, 3 + dx : 7 + dx], SUBSTRT1=4 + dx, SUBSTRT2=4 + dy)
    sci, _, _ = average_background(image, [other], 3)
    y, x = np.mgrid[3:6, 3:7]
    seen = (x >= 3 + dx) & (x < 7 + dx) & (y >= 3 + dy) & (y < 6 + dy)
    np.testing.assert_array_equal(sci, np.where(seen, image.sci, 0))


def test_of_integrations_the_clipped_mean_counts_and_is_subtracted_from_each(tmp_path: Path) -> None:
    sky = np.ones((12, 1, 1), np.float32)
    sky[3] = 100
    made = write(make_image(sky, SUBARRAY="SUB64P"), tmp_path / "b_rateints.fits")
    image = subtracted(make_image([[[2]], [[3]]]), made)
    np.testing.assert_array_equal(image.sci, [[[1]], [[2]]])


def test_a_pixel_without_a_value_in_one_background_takes_that_of_the_others() -> None:
    sky = [make_image(np.full((3, 1, 1), value, np.float32)) for value in (NAN, 4)]
    sci, _, _ = average_background(make_image([[[0]]]), sky, 3)
    assert sci[0, 0] == 4


def test_a_background_of_another_kind_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be rateints, not rate"):
        subtracted(make_image([[[1]]]), background(tmp_path, [[1]]))


def test_files_named_by_hand_serve_where_the_association_has_none(tmp_path: Path) -> None:
    one, other = background(tmp_path, [[1]]), background(tmp_path, [[2]])
    assert subtracted(make_image([[5]]), bkg_list=(str(one),)).sci[0, 0] == 4
    assert subtracted(make_image([[5]]), other, bkg_list=(str(one),)).sci[0, 0] == 3
    with pytest.raises(Skip):
        subtracted(make_image([[5]]))


@pytest.mark.parametrize(("tilt", "left"), [(0.1, 4), (0.2, None)])
def test_nirspecs_grating_wheel_must_stand_at_one_position(
    tmp_path: Path, tilt: float, left: float | None
) -> None:
    wheel = {
        "INSTRUME": "NIRSPEC",
        "EXP_TYPE": "NRS_IMAGE",
        "SUBARRAY": "FULL",
        "FILTER": "CLEAR",
        "GWA_XTIL": 0.1,
        "GWA_YTIL": 0.3,
    }
    file = background(tmp_path, [[1]], **wheel | {"GWA_XTIL": tilt})
    image = make_image([[5]], **wheel)
    if left is None:
        with pytest.raises(Skip, match="tilted otherwise"):
            subtracted(image, file)
    else:
        assert subtracted(image, file).sci[0, 0] == left


def test_the_average_can_be_kept(tmp_path: Path) -> None:
    files = [background(tmp_path, [[1]]), background(tmp_path, [[3]])]
    image = subtracted(make_image([[5]]), *files, save_combined_background=True)
    average = image.byproducts["combinedbackground"]
    assert isinstance(average, Plane)
    assert average.sci[0, 0] == 2
    assert average.err is not None
    assert average.err[0, 0] == pytest.approx(np.sqrt(2) / 2)
