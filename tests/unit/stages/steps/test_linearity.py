from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import interpreted, make_ramp, same_for_any_threads, write_reference

from calwebbd.stages.flags import NO_LIN_CORR, NONLINEAR, SATURATED
from calwebbd.stages.kernels.polynomial import evaluate, evaluate_means, make_identity
from calwebbd.stages.step import NoParams
from calwebbd.stages.steps.linearity import (
    correct_averages,
    correct_linearity,
    linearity,
    usable_coefficients,
)


def coefficients(*terms: float, ny: int = 1, nx: int = 1) -> np.ndarray:
    return np.array(terms, np.float32)[:, None, None] * np.ones((ny, nx), np.float32)


def no_flags(sci: np.ndarray) -> np.ndarray:
    return np.zeros(sci.shape, np.uint8)


def test_groups_become_the_polynomial_of_themselves_unless_saturated() -> None:
    sci = np.array([1, 2, 3], np.float32).reshape(1, 3, 1, 1)
    groupdq = no_flags(sci)
    groupdq[0, 2] = SATURATED | 1
    correct_linearity(sci, groupdq, coefficients(1, 2, 3))
    assert sci.ravel().tolist() == [1 + 2 + 3, 1 + 4 + 12, 3]


def test_useless_coefficients_become_the_identity_and_are_told() -> None:
    coeffs = coefficients(1, 2, 3, nx=4)
    coeffs[2, 0, 1] = np.nan
    coeffs[1, 0, 2] = 0
    dq = np.array([[0, 0, 0, NO_LIN_CORR]], np.uint32)
    replaced = usable_coefficients(coeffs, dq)
    assert replaced.tolist() == [[False, True, True, False]]
    assert coeffs[:, 0].T.tolist() == [[1, 2, 3], [0, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_averages_of_frames_on_a_straight_line_become_that_line() -> None:
    # response v = t / 2 for all t: inverse 0.5, correction 2
    true = np.array([15, 35, 55, 75], np.float32).reshape(1, 4, 1, 1)
    sci = true / 2
    correct_averages(sci, no_flags(sci), coefficients(0, 2), coefficients(0, 0.5), 2)
    np.testing.assert_allclose(sci, true, rtol=1e-6)


def test_averaging_frames_of_a_curved_response_is_undone() -> None:
    """Frames t of a steady ramp read v = sqrt(t) - 10, whose correction is (v + 10)**2."""
    frames = np.arange(1, 13).reshape(3, 4) * 100.0
    correction = coefficients(100, 20, 1)
    # a parabola through the response over the range stands for the inverse, which need not be exact
    inverse = np.polynomial.Polynomial.fit(frames.ravel(), np.sqrt(frames.ravel()) - 10, 7).convert().coef
    sci = (np.sqrt(frames) - 10).mean(axis=1).astype(np.float32).reshape(1, 3, 1, 1)
    plain = sci.copy()
    correct_averages(sci, no_flags(sci), correction, coefficients(*inverse), 4)
    correct_linearity(plain, no_flags(plain), correction)
    true = frames.mean(axis=1)
    assert np.abs(sci.ravel() - true).max() < 0.4 * np.abs(plain.ravel() - true).max()


def test_saturated_averages_stay_as_they_are() -> None:
    sci = np.array([1, 2, 3, 4], np.float32).reshape(1, 4, 1, 1)
    groupdq = no_flags(sci)
    groupdq[0, 3] = SATURATED
    correct_averages(sci, groupdq, coefficients(0, 2), coefficients(0, 0.5), 2)
    assert sci.ravel().tolist() == [2, 4, 6, 4]


def test_the_step_adds_flags_and_keeps_bad_first_frames(tmp_path: Path) -> None:
    ramp = make_ramp([[[[1.0, 3]]]], zeroframe=[[[0, 2]]])
    coeffs = coefficients(1, 2, nx=2)
    coeffs[1, 0, 1] = 0
    references = write_reference(tmp_path, "linearity", ramp, coeffs=coeffs, dq=NONLINEAR)
    result = linearity.function(ramp, references, NoParams())
    assert result.sci.tolist() == [[[[3, 3]]]]
    assert result.zeroframe.tolist() == [[[0, 2]]]
    assert result.pixeldq.tolist() == [[NONLINEAR, NONLINEAR | NO_LIN_CORR]]


def test_an_inverse_of_its_own_is_used_for_averaged_groups_only(tmp_path: Path) -> None:
    for nframes, flag in ((1, 0), (2, NO_LIN_CORR)):
        ramp = make_ramp([[[[1.0]], [[2]], [[3]]]], NFRAMES=nframes)
        folder = tmp_path / str(nframes)
        folder.mkdir()
        arrays = {"coeffs": coefficients(0, 2), "inv_coeffs": coefficients(0, 0)}
        result = linearity.function(ramp, write_reference(folder, "linearity", ramp, **arrays), NoParams())
        assert result.pixeldq[0, 0] == flag


def test_an_image_is_corrected_band_by_band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calwebbd.stages.references.BAND", 1)
    ramp = make_ramp([[[[1.0], [2], [3]]]])
    coeffs = coefficients(0, 2, ny=3)
    coeffs[1] = [[2], [0], [4]]
    references = write_reference(tmp_path, "linearity", ramp, coeffs=coeffs)
    result = linearity.function(ramp, references, NoParams())
    assert result.sci[0, 0, :, 0].tolist() == [2, 2, 12]
    assert result.pixeldq[:, 0].tolist() == [0, NO_LIN_CORR, 0]


cubes = arrays.arrays(np.float32, (2, 3, 2, 3), elements=st.floats(-1e4, 1e4, width=32))
flags = arrays.arrays(np.uint8, (2, 3, 2, 3), elements=st.sampled_from([0, 1, SATURATED, 4]))
series = arrays.arrays(np.float32, (4, 2, 3), elements=st.floats(-1, 1, width=16))


@given(cubes, flags)
def test_the_identity_changes_nothing(sci: np.ndarray, dq: np.ndarray) -> None:
    before = sci.copy()
    correct_linearity(sci, dq, coefficients(0, 1, 0, ny=2, nx=3))
    np.testing.assert_array_equal(sci, before)
    correct_averages(sci, dq, coefficients(0, 1, 0, ny=2, nx=3), coefficients(0, 1, ny=2, nx=3), 4)
    np.testing.assert_allclose(sci, before, rtol=1e-6, atol=1e-2)
    assert sci.dtype == np.float32


@given(cubes, flags, series)
def test_integrations_are_independent(sci: np.ndarray, dq: np.ndarray, coeffs: np.ndarray) -> None:
    alone = sci[1:].copy()
    correct_averages(sci, dq, coeffs, coeffs, 2)
    correct_averages(alone, dq[1:], coeffs, coeffs, 2)
    np.testing.assert_array_equal(sci[1:], alone)


@given(cubes, flags, series)
def test_compiled_and_interpreted_loops_agree(sci: np.ndarray, dq: np.ndarray, coeffs: np.ndarray) -> None:
    times = np.arange(1.0, 7).reshape(3, 2)
    for kernel, args in ((evaluate, ()), (evaluate_means, (times,))):
        one, other = sci.copy(), sci.copy()
        both = (coeffs,) if kernel is evaluate else (coeffs, coeffs[::-1].copy())
        kernel(0, 2, 0, *both, one, dq, SATURATED, *args)
        with interpreted(kernel) as loop, np.errstate(all="ignore"):
            loop(0, 2, 0, *both, other, dq, SATURATED, *args)
        np.testing.assert_array_equal(one, other)


@given(series)
def test_repair_is_the_same_compiled_and_interpreted(coeffs: np.ndarray) -> None:
    wanted = coeffs[0] > 0.5
    one, other = coeffs.copy(), coeffs.copy()
    repaired, again = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    make_identity(0, 2, one, wanted, repaired)
    with interpreted(make_identity) as loop:
        loop(0, 2, other, wanted, again)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(repaired, again)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    sci, coeffs = (
        rng.normal(size=(2, 3, 100, 700)).astype(np.float32),
        rng.normal(size=(4, 100, 700)).astype(np.float32),
    )

    def work() -> tuple[np.ndarray, np.ndarray]:
        plain, averages = sci.copy(), sci.copy()
        correct_linearity(plain, no_flags(sci), coeffs)
        correct_averages(averages, no_flags(sci), coeffs, coeffs, 2)
        return plain, averages

    same_for_any_threads(monkeypatch, work)
