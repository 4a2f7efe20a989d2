import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import make_ramp

from calwebbd.stages.flags import CHARGELOSS, DO_NOT_USE, JUMP_DET, SATURATED
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.charge_migration import charge_migration, flag_migration

LOST = CHARGELOSS | DO_NOT_USE
samples = arrays.arrays(np.float32, (2, 4, 3, 3), elements=st.floats(0, 200, width=32))
bits = arrays.arrays(np.uint8, (2, 4, 3, 3))


def flagged(sci: np.ndarray, groupdq: np.ndarray | None = None, threshold: float = 100.0) -> np.ndarray:
    groupdq = np.zeros(sci.shape, np.uint8) if groupdq is None else groupdq.copy()
    for values, flags in zip(sci, groupdq, strict=True):
        flag_migration(values, flags, threshold)
    return groupdq


def test_a_pixel_above_the_threshold_is_flagged_with_its_four_neighbours_until_the_end() -> None:
    sci = np.zeros((1, 3, 3, 4), np.float32)
    sci[0, 1, 1, 0] = 101
    cross = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]]) * LOST
    assert flagged(sci).tolist() == [[np.zeros((3, 4)).tolist(), cross.tolist(), cross.tolist()]]


def test_the_threshold_itself_and_nan_are_not_above_it() -> None:
    assert not flagged(np.array([[[[100, np.nan]]] * 3], np.float32)).any()


def test_only_a_sample_with_do_not_use_alone_does_not_count() -> None:
    sci = np.full((1, 3, 1, 3), 101, np.float32)
    groupdq = np.zeros(sci.shape, np.uint8)
    groupdq[0] = DO_NOT_USE
    assert (flagged(sci, groupdq) == DO_NOT_USE).all()
    groupdq[0, 2, 0, 0] = DO_NOT_USE | SATURATED
    assert flagged(sci, groupdq)[0, 2].tolist() == [[LOST | SATURATED, LOST, DO_NOT_USE]]


@given(samples, bits)
def test_flags_are_only_added_and_stay_for_the_rest_of_the_ramp(sci: np.ndarray, before: np.ndarray) -> None:
    after = flagged(sci, before)
    np.testing.assert_array_equal(after & before, before)
    new = (after & LOST == LOST) & (before & LOST != LOST)
    assert (after[:, 1:][new[:, :-1]] & LOST == LOST).all()


@given(samples, bits)
def test_integrations_are_independent(sci: np.ndarray, before: np.ndarray) -> None:
    np.testing.assert_array_equal(flagged(sci, before)[1:], flagged(sci[1:], before[1:]))


def test_the_step_flags_each_integration_and_leaves_the_data_alone() -> None:
    sci = np.zeros((2, 3, 1, 3))
    sci[1, 2, 0, 0] = 26000
    ramp = charge_migration(make_ramp(sci))
    assert not ramp.groupdq[0].any()
    assert ramp.groupdq[1].tolist() == [[[0, 0, 0]], [[0, 0, 0]], [[LOST, LOST, 0]]]
    np.testing.assert_array_equal(ramp.sci, sci)


def test_the_threshold_is_a_parameter_and_jumps_do_not_hinder() -> None:
    ramp = make_ramp(np.full((1, 3, 1, 1), 50))
    ramp.groupdq[:] = JUMP_DET
    assert (charge_migration(ramp, signal_threshold=49.0).groupdq == LOST | JUMP_DET).all()


def test_of_two_groups_none_can_be_missed() -> None:
    with pytest.raises(Skip, match="2 groups"):
        charge_migration(make_ramp(np.full((1, 2, 1, 1), 30000)))


def test_it_is_off_unless_asked_for() -> None:
    assert charge_migration.skip
    assert charge_migration.keyword == "S_CHGMIG"
