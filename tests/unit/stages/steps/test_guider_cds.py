"""Count rates of guide stars, by hand and by their properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from guide_stars import make_guide_star
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.products import GuideStar
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.dq_init import dq_init
from calwebbd.stages.steps.flat_field import apply_flat_to_guide_star, flat_field
from calwebbd.stages.steps.guider_cds import count_rates, differences, guider_cds


def raw(*groups: Any) -> np.ndarray:
    """One pixel: integrations of these groups."""
    return np.array(groups, np.float32)[:, :, None, None]


def plane(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def references(folder: Path, shape: tuple[int, int], **values: Any) -> References:
    """Each a file of this one value, or these, that covers the detector from its corner."""
    files = {}
    for kind, value in values.items():
        files[kind] = folder / f"{kind}.fits"
        array = np.broadcast_to(np.float32(value), shape)
        hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(array, name=name) for name in ("SCI", "ERR"))]
        hdus += [fits.ImageHDU(array.astype(np.uint32), name="DQ")] if kind == "mask" else []
        fits.HDUList(hdus).writeto(files[kind])
    return References(files, Subarray(0, 0, 2, 2))


@pytest.mark.parametrize("exp_type", ["FGS_ACQ1", "FGS_ACQ2", "FGS_TRACK"])
def test_a_plane_is_the_second_group_less_the_first(exp_type: str) -> None:
    assert differences(raw([3, 10], [5, 4]), exp_type).ravel().tolist() == [7, -1]


@pytest.mark.parametrize("exp_type", ["FGS_ID-IMAGE", "FGS_ID-STACK"])
def test_of_two_integrations_the_one_without_a_cosmic_ray_counts(exp_type: str) -> None:
    found = differences(raw([3, 500], [5, 9]), exp_type)
    assert found.shape == (1, 1, 1)
    assert found.item() == 4


def test_fine_guiding_compares_the_means_of_four_groups() -> None:
    assert differences(raw([1, 2, 3, 4, 10, 20, 30, 40]), "FGS_FINEGUIDE").item() == 22.5


@pytest.mark.parametrize(
    ("exp_type", "nints", "ngroups", "reason"),
    [
        ("FGS_ACQ1", 6, 1, "FGS_ACQ1 has 6 integrations of 1 groups; it needs 1 of 2 at least"),
        ("FGS_ID-IMAGE", 1, 2, "FGS_ID-IMAGE has 1 integrations of 2 groups; it needs 2 of 2 at least"),
        ("FGS_FINEGUIDE", 1, 3, "FGS_FINEGUIDE has 1 integrations of 3 groups; it needs 1 of 4 at least"),
        ("FGS_IMAGE", 1, 5, "EXP_TYPE FGS_IMAGE is not a mode of guiding"),
    ],
)
def test_what_cannot_be_differenced_is_refused(exp_type: str, nints: int, ngroups: int, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        differences(np.zeros((nints, ngroups, 1, 1), np.float32), exp_type)


def test_errors_have_photon_and_read_noise() -> None:
    rate, err = count_rates(plane(8)[None], plane(2), plane(1), 0.5)
    assert rate.item() == 16
    assert err.item() == 4  # 8 / (2 * 0.5) + 2 * (1 / 0.5)**2 = 16


def test_a_negative_signal_has_read_noise_alone() -> None:
    rate, err = count_rates(plane(-8)[None], plane(2), plane(1), 0.5)
    assert rate.item() == -16
    assert err.item() == np.sqrt(np.float32(8))


def test_no_gain_makes_an_infinite_error_without_a_warning() -> None:
    _, err = count_rates(plane(8, 0)[None], plane(0, 0), plane(1, 1), 0.5)
    assert np.isinf(err[0, 0, 0])
    assert np.isnan(err[0, 0, 1])


@given(arrays.arrays(np.float32, (3, 2, 2, 2), elements=st.floats(0, 65535, width=32)))
def test_integrations_are_independent_and_single_precision_stays(sci: np.ndarray) -> None:
    found = differences(sci, "FGS_TRACK")
    np.testing.assert_array_equal(found[1:], differences(sci[1:], "FGS_TRACK"))
    one = np.ones((2, 2), np.float32)
    rate, err = count_rates(found, one, one, 0.02508)
    assert rate.dtype == err.dtype == np.float32
    assert (err > 0).all()


def test_the_step_makes_count_rates_of_its_references(tmp_path: Path) -> None:
    star = make_guide_star(np.broadcast_to(raw([1, 9]), (6, 2, 2, 2)), "FGS_ACQ1", TGROUP=0.5)
    refs = references(tmp_path, (4, 4), gain=2, readnoise=1)
    star = guider_cds(star, refs)
    assert star.sci.shape == star.err.shape == (6, 2, 2)
    assert (star.sci == 16).all()
    assert (star.err == 4).all()
    assert star.header["BUNIT"] == "DN/s"
    with pytest.raises(InputError, match="count rates already"):
        guider_cds(star, refs)


def test_strips_that_are_more_than_the_detector_take_mean_references(tmp_path: Path) -> None:
    sci = np.broadcast_to(raw([0, 9], [0, 8]), (2, 2, 2, 2))
    refs = references(tmp_path, (2, 1), gain=[[1], [3]], readnoise=1)
    with pytest.raises(ReferenceMissing, match="not the subarray"):
        guider_cds(make_guide_star(sci, "FGS_ID-IMAGE", TGROUP=0.5), refs)
    star = guider_cds(make_guide_star(sci, "FGS_ID-STACK", TGROUP=0.5), refs)
    assert (star.sci == 16).all()
    assert (star.err == 4).all()


def test_the_mask_flags_pixels_of_all_planes(tmp_path: Path) -> None:
    star = make_guide_star(np.ones((6, 2, 2, 2)), "FGS_ACQ1")
    star.dq[0, 0] = flags.HOT
    refs = references(tmp_path, (2, 2), mask=[[flags.DO_NOT_USE, 0], [0, 0]])
    assert dq_init(star, refs).dq.tolist() == [[flags.HOT | flags.DO_NOT_USE, 0], [0, 0]]


def calibrated(sci: Any, err: Any, dq: int = 0) -> GuideStar:
    star = make_guide_star(sci, "FGS_ACQ1")
    star.err = np.array(err, np.float32)
    star.dq[...] = dq
    return star


def test_the_flat_divides_rates_and_only_adds_to_errors() -> None:
    star = calibrated([[[8.0]], [[4.0]]], [[[3.0]], [[0.0]]])
    apply_flat_to_guide_star(star, plane(2), plane(4))
    assert star.sci.ravel().tolist() == [4, 2]
    assert star.err is not None
    assert star.err.ravel().tolist() == [np.sqrt(np.float32(9 + 64)), 4]  # 4²/2² · 4², 2²/2² · 4²


def test_the_inverse_multiplies_and_leaves_errors() -> None:
    star = calibrated([[[4.0]]], [[[3.0]]])
    apply_flat_to_guide_star(star, plane(2), plane(4), inverse=True)
    assert star.sci.item() == 8
    assert star.err is not None
    assert star.err.item() == 3


def test_flags_of_all_planes_make_no_pixel_nan(tmp_path: Path) -> None:
    star = calibrated([[[1.0, 2], [3, np.nan]]], np.ones((1, 2, 2)), dq=flags.DO_NOT_USE)
    star = flat_field(star, references(tmp_path, (2, 2), flat=[[np.nan, 1], [1, 1]]))
    assert np.isnan(star.sci).ravel().tolist() == np.isnan(star.err).ravel().tolist()
    assert star.dq[0, 0] == flags.DO_NOT_USE | flags.NO_FLAT_FIELD


def test_raw_groups_have_no_flat(tmp_path: Path) -> None:
    star = make_guide_star(np.ones((6, 2, 2, 2)), "FGS_ACQ1")
    with pytest.raises(Skip, match="no count rates"):
        flat_field(star, references(tmp_path, (2, 2), flat=1))
