from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ramps import make_ramp, same_for_any_threads

from calwebbd.stages.flags import DO_NOT_USE
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.refpix import refpix
from calwebbd.stages.steps.refpix.amplifiers import RefPixParams
from calwebbd.stages.steps.refpix.miri import correct_by_columns

GOOD = np.zeros((4, 16), bool)


def drifting(*drifts: float) -> np.ndarray:
    """Dark groups, (ngroups, 4, 16), which read 100 in the first and then drift, by 1 more per amplifier."""
    amplifiers = np.arange(16) % 4
    groups = [np.full((4, 16), 100.0)] + [np.tile(100 + d + amplifiers, (4, 1)) for d in drifts]
    return np.array(groups, np.float32)


def corrected(sci: np.ndarray, bad: np.ndarray = GOOD, **params: Any) -> np.ndarray:
    sci = sci.copy()
    correct_by_columns(sci, bad, RefPixParams(**params))
    return sci


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=3))
def test_a_drift_of_each_amplifier_is_removed(drifts: list[int]) -> None:
    assert (corrected(drifting(*drifts)) == 100).all()


def test_light_between_the_reference_columns_stays() -> None:
    sci = drifting(5, 9)
    sci[:, 1, 6] += [0, 10, 20]
    result = corrected(sci)
    assert result[:, 1, 6].tolist() == [100, 110, 120]
    result[:, 1, 6] = 100
    assert (result == 100).all()


def test_left_and_right_are_averaged() -> None:
    sci = drifting(0)
    sci[1, :, 0] += 2
    sci[1, :, -4] += 4
    assert corrected(sci)[1, :, 8].tolist() == [97] * 4


def test_odd_and_even_rows_drift_apart() -> None:
    sci = drifting(0)
    sci[1, 1::2] += 8
    assert (corrected(sci) == 100).all()
    together = corrected(sci, odd_even_rows=False)
    assert together[1, :, 8].tolist() == [96, 104, 96, 104]


def test_reference_pixels_flagged_bad_do_not_count() -> None:
    sci, bad = drifting(0), GOOD.copy()
    sci[1, 0, 0], bad[0, 0] = 1e6, True
    assert corrected(sci, bad)[1, 2, 8] == 100


def test_nothing_is_corrected_if_a_column_has_no_reference_pixel() -> None:
    sci, bad = drifting(5), GOOD.copy()
    bad[::2, -1] = True
    np.testing.assert_array_equal(corrected(sci, bad), sci)


def test_full_frames_are_corrected_integration_by_integration() -> None:
    sci = np.full((2, 2, 1024, 1032), 7, np.float32)
    sci[:, 1] += [[[3]], [[5]]]
    ramp = make_ramp(sci, INSTRUME="MIRI")
    ramp.pixeldq[0, 0] = DO_NOT_USE
    assert (refpix(ramp).sci == 7).all()


def test_subarrays_are_skipped() -> None:
    ramp = make_ramp(np.zeros((1, 2, 8, 8)), INSTRUME="MIRI", SUBARRAY="SUB64")
    with pytest.raises(Skip, match="SUB64"):
        refpix(ramp)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    sci = np.random.default_rng(2).normal(size=(9, 4, 16)).astype(np.float32)
    same_for_any_threads(monkeypatch, lambda: (corrected(sci),))
