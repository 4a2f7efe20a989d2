from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import apart, interpreted, make_ramp, same_for_any_threads, write_reference

from calwebbd.stages.flags import AD_FLOOR, DO_NOT_USE, NO_SAT_CHECK, SATURATED
from calwebbd.stages.kernels.crossing import first_crossings, flag_from_first
from calwebbd.stages.steps.saturation import (
    OUT_OF_REACH,
    SaturationParams,
    blank_zero_frame,
    flag_crossings,
    flag_partial,
    flag_second_group,
    saturate_second_group,
    saturation,
    usable_thresholds,
)
from calwebbd.stages.stripes import window

FLOOR = AD_FLOOR | DO_NOT_USE
LIMIT = 100.0


def ramp_of(*values: float, ny: int = 1, nx: int = 1) -> np.ndarray:
    """One integration, (ngroups, ny, nx), all pixels alike."""
    return np.array(values, np.float32)[:, None, None] * np.ones((ny, nx), np.float32)


def flagged(sci: np.ndarray, grow: int = 0, limit: float = LIMIT) -> tuple[np.ndarray, np.ndarray]:
    groupdq = np.zeros(sci.shape, np.uint8)
    first = flag_crossings(sci, groupdq, np.full(sci.shape[1:], limit, np.float32), grow)
    return groupdq, first


def test_a_group_at_its_threshold_is_saturated_and_so_are_all_later_ones() -> None:
    groupdq, first = flagged(ramp_of(99, 100, 50, np.nan))
    assert groupdq[:, 0, 0].tolist() == [0, SATURATED, SATURATED, SATURATED]
    assert first[0, 0] == 1


def test_values_of_zero_or_less_are_at_the_floor_in_their_group_only() -> None:
    groupdq, first = flagged(ramp_of(0, 5, -1), grow=1)
    assert groupdq[:, 0, 0].tolist() == [FLOOR, 0, FLOOR]
    assert first[0, 0] == 3


@pytest.mark.parametrize("grow", [0, 1, 2])
def test_saturation_grows_by_the_layers_asked_for_also_at_corners(grow: int) -> None:
    sci = ramp_of(1, 1, ny=6, nx=6)
    sci[1, 0, 0] = LIMIT
    groupdq, _ = flagged(sci, grow)
    expected = np.zeros((6, 6), np.uint8)
    expected[: grow + 1, : grow + 1] = SATURATED
    np.testing.assert_array_equal(groupdq[1], expected)
    assert not groupdq[0].any()


def test_growth_is_not_grown_again() -> None:
    sci = ramp_of(1, 1, 1, ny=1, nx=7)
    sci[0, 0, 3] = LIMIT
    groupdq, _ = flagged(sci, grow=1)
    assert groupdq[2, 0].tolist() == [0, 0, 2, 2, 2, 0, 0]


def test_groups_saturated_on_input_count_and_grow() -> None:
    sci = ramp_of(1, 1, nx=3)
    groupdq = np.zeros(sci.shape, np.uint8)
    groupdq[1, 0, 0] = SATURATED
    flag_crossings(sci, groupdq, np.full((1, 3), LIMIT, np.float32), 1)
    assert groupdq[:, 0].tolist() == [[0, 0, 0], [2, 2, 0]]


def test_a_sudden_rise_of_an_interleaved_exposure_is_saturated_with_its_neighbours() -> None:
    sci = np.zeros((3, 4, 4), np.float32)
    sci[:, 2, 1] = 10, 60, 120  # rises by more than (100 - 10) / 4 in the second group
    sci[:, 0, 3] = 10, 12, 120  # does not
    groupdq = np.zeros(sci.shape, np.uint8)
    limit = np.full((4, 4), LIMIT, np.float32)
    saturate_second_group(sci, groupdq, limit, np.zeros_like(limit), 4, 1)
    assert not groupdq[[0, 2]].any()
    expected = np.zeros((4, 4), np.uint8)
    expected[1:, :3] = SATURATED
    np.testing.assert_array_equal(groupdq[1], expected)


@pytest.mark.parametrize(("bias", "flag"), [(0, 0), (15, SATURATED), (np.nan, 0)])
def test_the_pedestal_does_not_grow_with_the_rate_of_the_first_group(bias: float, flag: int) -> None:
    sci, limit = ramp_of(22, 60, 120), np.full((1, 1), LIMIT, np.float32)
    groupdq = np.zeros(sci.shape, np.uint8)
    pedestal = np.full_like(limit, bias)  # 22 / 2.5 * 12 is above the threshold, 7 / 2.5 * 12 + 15 below it
    saturate_second_group(sci, groupdq, limit, pedestal, 4, 0)
    assert groupdq[1, 0, 0] == flag


@pytest.mark.parametrize(("dq", "rows"), [(0, [8, 9, 10]), (NO_SAT_CHECK, [])])
def test_the_step_flags_the_image_of_an_interleaved_exposure(
    dq: int, rows: list[int], tmp_path: Path
) -> None:
    sci = np.full((1, 3, 3200, 2), 10, np.float32)
    sci[0, 1, [0, 640 + 8, 640 + 13], 0] = LIMIT  # of which the last is of the image
    ramp = apart(make_ramp(sci, SUBSTRT1=1, SUBSTRT2=1, FASTAXIS=2, SLOWAXIS=1, NFRAMES=4))
    checks = np.zeros((2048, 2), np.uint32)
    checks[9, 0] = dq
    references = write_reference(tmp_path, "saturation", ramp, sci=np.full((2048, 2), LIMIT), dq=checks)
    ramp = saturation.function(ramp, references.within(window(ramp)), SaturationParams())
    assert np.flatnonzero(ramp.groupdq[0, 1, :, 1]).tolist() == rows
    assert not ramp.groupdq[0, 0].any()
    np.testing.assert_array_equal(ramp.pixeldq, checks)
    assert ramp.between is not None
    assert not ramp.between.groupdq(1).any()


def test_unknown_thresholds_are_out_of_reach_and_say_so() -> None:
    threshold = np.array([[np.nan, 10, 20]], np.float32)
    dq = np.array([[0, NO_SAT_CHECK, 4]], np.uint32)
    usable_thresholds(threshold, dq)
    assert threshold.tolist() == [[OUT_OF_REACH, OUT_OF_REACH, 20]]
    assert dq.tolist() == [[NO_SAT_CHECK, NO_SAT_CHECK, 4]]


def partial(sci: np.ndarray, nframes: int, grow: int = 0, groupdq: np.ndarray | None = None) -> np.ndarray:
    groupdq = np.zeros(sci.shape, np.uint8) if groupdq is None else groupdq
    limit = np.full(sci.shape[1:], LIMIT, np.float32)
    first = flag_crossings(sci, groupdq, limit, grow)
    flag_partial(sci, groupdq, limit, np.ones(limit.shape, bool), first, nframes, grow)
    return groupdq


def test_the_group_before_saturation_is_not_used_if_its_last_frame_may_have_saturated() -> None:
    # mean of frames 3 and 4 over the last: 3.5 / 4, so 87.5 and more is suspect in the second group
    assert partial(ramp_of(1, 87, 100), 2)[:, 0, 0].tolist() == [0, 0, SATURATED]
    assert partial(ramp_of(1, 87.5, 100), 2)[:, 0, 0].tolist() == [0, DO_NOT_USE, SATURATED]


def test_suspicion_does_not_cascade_to_earlier_groups() -> None:
    assert partial(ramp_of(90, 90, 100), 2)[:, 0, 0].tolist() == [0, DO_NOT_USE, SATURATED]


def test_neighbours_of_a_suspect_group_are_not_used_either() -> None:
    sci = ramp_of(1, 1, 1, ny=1, nx=5)
    sci[:, 0, 2] = 1, 95, 100
    assert partial(sci, 2, grow=1)[1, 0].tolist() == [0, 1, 1, 1, 0]


def test_groups_already_unusable_make_no_neighbours_suspect() -> None:
    sci = ramp_of(1, 95, 100, nx=2)
    sci[:, 0, 1] = 1
    groupdq = np.zeros(sci.shape, np.uint8)
    groupdq[1, 0, 0] = DO_NOT_USE
    assert partial(sci, 2, grow=1, groupdq=groupdq)[1, 0].tolist() == [DO_NOT_USE, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((10, 60, 100), DO_NOT_USE),  # a rise of 50 > 90 / 2 that the first group did not promise
        ((10, 55, 100), 0),  # a rise that one frame cannot spoil
        ((30, 80, 100), 0),  # the first group promised saturation: 30 / 1.5 * 6 = 120
        ((10, 100, 100), SATURATED),  # saturated already
    ],
)
def test_a_sudden_rise_in_the_second_group_before_saturation(
    values: tuple[float, ...], expected: int
) -> None:
    sci = ramp_of(*values)
    groupdq, first = flagged(sci)
    limit = np.full((1, 1), LIMIT, np.float32)
    flag_second_group(sci, groupdq, limit, np.zeros((1, 1), np.float32), first, 2)
    assert groupdq[1, 0, 0] == expected


def test_bad_first_frames_become_zero() -> None:
    frame = np.array([[[5, -1, 5, 100, 5]]], np.float32)
    blank_zero_frame(frame, np.full((1, 5), LIMIT, np.float32), 1)
    assert frame[0, 0].tolist() == [5, 0, 0, 0, 0]


def test_the_step_binds_reference_parameters_and_frames(tmp_path: Path) -> None:
    ramp = make_ramp([[[[1.0, 1]], [[90, 1]], [[100, 1]]]], zeroframe=[[[0.5, 100]]], NFRAMES=2)
    references = write_reference(tmp_path, "saturation", ramp, sci=[[100, 100]], dq=8)
    result = saturation.function(ramp, references, SaturationParams(n_pix_grow_sat=0))
    assert result.groupdq[0, :, 0].tolist() == [[0, 0], [DO_NOT_USE, 0], [SATURATED, 0]]
    assert result.zeroframe.tolist() == [[[0.5, 0]]]
    assert (result.pixeldq == 8).all()


cubes = arrays.arrays(np.float32, (3, 5, 4), elements=st.sampled_from([-1.0, 0, 1, 50, 99, 100, 200, np.nan]))
groups = arrays.arrays(np.uint8, (3, 5, 4), elements=st.sampled_from([0, 1, 2, 4, 64]))


@given(cubes, groups, st.integers(0, 2))
def test_flags_are_added_never_lost_and_values_never_change(
    sci: np.ndarray, dq: np.ndarray, grow: int
) -> None:
    before, flags = sci.copy(), dq.copy()
    flag_crossings(sci, flags, np.full((5, 4), LIMIT, np.float32), grow)
    assert (flags & dq == dq).all()
    np.testing.assert_array_equal(sci, before)


@given(cubes, groups, st.integers(0, 2))
def test_compiled_and_interpreted_loops_agree(sci: np.ndarray, dq: np.ndarray, grow: int) -> None:
    limit = np.full((5, 4), LIMIT, np.float32)
    results = []
    for compiled in (True, False):
        flags, first, grown = dq.copy(), np.empty((5, 4), np.int16), np.empty((5, 4), np.int16)
        if compiled:
            first_crossings(0, 5, sci, flags, limit, first)
            flag_from_first(0, 5, grow, first, grown, flags)
        else:
            with interpreted(first_crossings) as loop:
                loop(0, 5, sci, flags, limit, first)
            with interpreted(flag_from_first) as loop:
                loop(0, 5, grow, first, grown, flags)
        results.append((flags, grown))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    sci = np.random.default_rng(1).uniform(-5, 101, (4, 150, 7)).astype(np.float32)
    same_for_any_threads(monkeypatch, lambda: flagged(sci, grow=2))
