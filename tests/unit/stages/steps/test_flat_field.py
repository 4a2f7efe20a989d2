from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from images import make_image

from calwebbd.stages import flags
from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.flat_field import apply_flat, flat_field, usable_flat

BAD = flags.DO_NOT_USE | flags.NO_FLAT_FIELD


def reference(folder: Path, flat: object, err: object = 0.0, dq: object = 0) -> Path:
    flat = np.array(flat, np.float32)
    path = folder / "flat.fits"
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(flat, name="SCI")]
    hdus += [fits.ImageHDU(np.broadcast_to(np.float32(err), flat.shape), name="ERR")]
    hdus += [fits.ImageHDU(np.broadcast_to(np.uint32(dq), flat.shape), name="DQ")]
    fits.HDUList(hdus).writeto(path)
    return path


def references(path: Path, ny: int = 1, nx: int = 2) -> References:
    return References({"flat": path}, Subarray(0, 0, nx, ny))


def test_an_image_is_divided_and_its_variances_by_the_square() -> None:
    image = make_image([[8.0]])
    apply_flat(image, np.full((1, 1), 2, np.float32), np.full((1, 1), 0.5, np.float32))
    assert image.sci[0, 0] == 4
    assert image.var_poisson[0, 0] == image.var_rnoise[0, 0] == 0.125
    assert image.var_flat is not None
    assert image.var_flat[0, 0] == 4**2 / 2**2 * 0.5**2
    assert image.err[0, 0] == np.float32(np.sqrt(1.25))


def test_integrations_share_the_flat() -> None:
    cube = make_image([[[2.0, 6.0]], [[4.0, 12.0]]])
    apply_flat(cube, np.array([[2, 3]], np.float32), np.zeros((1, 2), np.float32))
    np.testing.assert_array_equal(cube.sci, [[[1, 2]], [[2, 4]]])
    assert cube.var_flat is not None
    assert cube.var_flat.shape == (2, 1, 2)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_flat_of_nothing_becomes_one_and_is_flagged(value: float) -> None:
    flat, dq = usable_flat(np.array([[value, 2]], np.float32), np.zeros((1, 2), np.uint32))
    np.testing.assert_array_equal(flat, [[1, 2]])
    np.testing.assert_array_equal(dq, [[BAD, 0]])


def test_no_flat_field_implies_do_not_use_and_do_not_use_implies_one() -> None:
    given_dq = np.array([[flags.NO_FLAT_FIELD, flags.DO_NOT_USE, flags.HOT]], np.uint32)
    flat, dq = usable_flat(np.full((1, 3), 5, np.float32), given_dq)
    np.testing.assert_array_equal(flat, [[1, 1, 5]])
    np.testing.assert_array_equal(dq, [[BAD, flags.DO_NOT_USE, flags.HOT]])


def test_pixels_without_a_flat_end_as_nan(tmp_path: Path) -> None:
    image = flat_field(make_image([[1, 2]]), references(reference(tmp_path, [[np.nan, 2]])))
    np.testing.assert_array_equal(image.sci, [[np.nan, 1]])
    np.testing.assert_array_equal(np.isnan(image.err), [[True, False]])
    np.testing.assert_array_equal(image.dq, [[BAD, 0]])


@given(st.floats(0.25, 4, width=32), st.floats(-1e3, 1e3, width=32))
def test_the_inverse_undoes_the_step(flat: float, value: float) -> None:
    image = make_image([[value]])
    response, error = np.full((1, 1), flat, np.float32), np.zeros((1, 1), np.float32)
    apply_flat(image, response, error)
    apply_flat(image, response, error, inverse=True)
    np.testing.assert_allclose(image.sci, [[value]], rtol=3e-7, atol=1e-37)  # least normal number
    np.testing.assert_allclose(image.var_rnoise, 0.5, rtol=5e-7)
    assert image.sci.dtype == image.err.dtype == np.float32


def test_a_flat_of_one_changes_nothing_but_err(tmp_path: Path) -> None:
    image = make_image([[3, -4]])
    flat_field(image, references(reference(tmp_path, [[1, 1]])))
    np.testing.assert_array_equal(image.sci, [[3, -4]])
    np.testing.assert_array_equal(image.err, [[1, 1]])


def test_a_small_flat_skips_the_step(tmp_path: Path) -> None:
    with pytest.raises(Skip, match="smaller"):
        flat_field(make_image([[1, 2, 3]]), references(reference(tmp_path, [[1, 1]]), nx=3))


def test_a_users_flat_takes_the_place_of_the_reference(tmp_path: Path) -> None:
    refs = references(reference(tmp_path, [[1, 1]]))
    (tmp_path / "mine").mkdir()
    mine = reference(tmp_path / "mine", [[2, 4]])
    image = flat_field(make_image([[8, 8]]), refs, user_supplied_flat=str(mine))
    np.testing.assert_array_equal(image.sci, [[4, 2]])
    with pytest.raises(ReferenceMissing, match="user_supplied_flat"):
        flat_field(image, refs, user_supplied_flat="nowhere.fits")


def test_the_flat_can_be_kept_as_it_was_used(tmp_path: Path) -> None:
    refs = references(reference(tmp_path, [[np.nan, 2]]))
    image = flat_field(make_image([[1, 2]]), refs, save_interpolated_flat=True)
    used = image.byproducts["interpolatedflat"]
    np.testing.assert_array_equal(used.sci, [[1, 2]])


def test_verifications_have_no_flat_field(tmp_path: Path) -> None:
    with pytest.raises(Skip, match="NRS_VERIFY"):
        flat_field(make_image([[1, 2]], EXP_TYPE="NRS_VERIFY"), references(reference(tmp_path, [[1, 2]])))
