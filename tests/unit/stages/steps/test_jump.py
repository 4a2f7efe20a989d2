from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from ramps import interpreted, make_ramp, same_for_any_threads, write_reference

from calwebbd.stages import scratch
from calwebbd.stages.exposure import Ramp
from calwebbd.stages.flags import DO_NOT_USE, DROPOUT, JUMP_DET, NO_GAIN_VALUE, SATURATED
from calwebbd.stages.kernels import jumps, spreading
from calwebbd.stages.kernels.sorting import middle, sort_columns
from calwebbd.stages.references import References
from calwebbd.stages.scratch import Cube
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.jump import JumpParams, flag_bad_gain, jump
from calwebbd.stages.steps.jump.detection import (
    NOT_SEARCHED,
    UNKNOWN,
    detect_jumps,
    thresholds,
    unusable_groups,
)

ALONE = {"flag_4_neighbors": False}


def find(sci: Any, groupdq: Any = None, *, gain: Any = 1.0, noise: Any = 1.0, nframes: int = 1,
         group_time: float = 10.0, **params: Any) -> tuple[np.ndarray, int]:  # fmt: skip
    """Flags and count of jumps; ramps may come as (ngroups,) or (nints, ngroups) of one pixel."""
    sci = np.array(sci, np.float32)
    if sci.ndim < 4:
        sci = sci.reshape(-1, sci.shape[-1], 1, 1)
    flagged = np.zeros(sci.shape, np.uint8) if groupdq is None else np.array(groupdq, np.uint8)
    flagged = flagged.reshape(sci.shape)
    maps = [np.full(sci.shape[-2:], value, np.float32) for value in (gain, noise)]
    count = detect_jumps(sci, flagged, *maps, nframes, group_time, JumpParams(**params))
    return flagged, count


def jumps_of(sci: Any, groupdq: Any = None, **params: Any) -> list[int]:
    """Groups with a jump of one pixel with one integration."""
    flagged, _ = find(sci, groupdq, **params)
    return np.flatnonzero(flagged[0, :, 0, 0] & JUMP_DET).tolist()  # type: ignore[no-any-return]


def flat_with(height: float, ngroups: int, at: int) -> list[float]:
    return [0.0] * at + [height] * (ngroups - at)


def test_a_jump_is_flagged_in_the_group_after_it() -> None:
    assert jumps_of([0, 0, 0, 100, 100, 100]) == [3]


def test_negative_jumps_count_too() -> None:
    assert jumps_of([100, 100, 0, 0, 0]) == [2]


@pytest.mark.parametrize(("ngroups", "limit"), [(3, 6.0), (4, 5.0), (5, 4.0), (9, 4.0)])
def test_fewer_differences_need_a_larger_jump(ngroups: int, limit: float) -> None:
    assert jumps_of(flat_with(limit * 1.01, ngroups, 1)) == [1]
    assert jumps_of(flat_with(limit * 0.99, ngroups, 1)) == []


def test_two_differences_cannot_tell_below_and_one_cannot_at_all() -> None:
    assert thresholds(JumpParams()).tolist() == [np.inf, np.inf, 6.0, 5.0, 4.0]


def test_noise_is_of_photons_and_of_reading_averaged_frames() -> None:
    # differences 12 and one more; sigma = sqrt(12 + 4² / 4) = 4
    ramp = np.cumsum([0, 12, 12, 12, 12 + 17, 12])
    assert jumps_of(ramp, noise=4.0, nframes=4) == [4]
    assert jumps_of(ramp - np.array([0, 0, 0, 0, 2, 2]), noise=4.0, nframes=4) == []


def test_the_gain_makes_electrons_of_signal_and_noise() -> None:
    # 2 e-/DN: difference 20 e- above 0, sigma = 2 * 2 e-
    assert jumps_of(flat_with(10, 6, 2), gain=2.0, noise=2.0) == [2]
    assert jumps_of(flat_with(7, 6, 2), gain=2.0, noise=2.0) == []


def test_jumps_are_found_one_after_the_other() -> None:
    assert jumps_of(np.cumsum([0, 0, 1000, 0, 5, 0, 0])) == [2, 4]


def test_all_integrations_share_one_median() -> None:
    flagged, count = find([[0, 0, 0], [0, 0, 4.5], [0, 0, 0]])
    assert count == 1
    assert flagged[1, :, 0, 0].tolist() == [0, 0, JUMP_DET]


def test_equal_differences_are_never_jumps() -> None:
    assert jumps_of(1000.0 * np.arange(6)) == []


def test_without_noise_nothing_is_a_jump() -> None:
    assert jumps_of([0, 0, 0, 100, 100, 100], noise=0.0) == []


def test_unusable_samples_are_neither_used_nor_flagged() -> None:
    flags = np.array([0, 0, DO_NOT_USE, 0, 0, 0, SATURATED])
    assert jumps_of([0, 0, 900, 0, 0, 50, 9000], flags) == [5]


def test_with_many_differences_all_jumps_are_found_at_once() -> None:
    ramp = np.cumsum([0.0, 0, 50, 0, 0, 5, 0, 0, 0, -6, 0])
    assert jumps_of(ramp) == [2, 5, 9]
    assert jumps_of(ramp, rejection_threshold=5.5) == [2, 9]


def test_groups_that_are_nowhere_usable_do_not_count_as_differences() -> None:
    flags = np.zeros((2, 4, 3, 3), np.uint8)
    flags[1, :2] = DO_NOT_USE
    flags[0, 0, 1, 1] = DO_NOT_USE
    assert unusable_groups(flags).tolist() == [0, 2]


def test_without_three_usable_groups_nothing_is_searched() -> None:
    flags = [DO_NOT_USE | JUMP_DET, 0, 0, DO_NOT_USE]
    flagged, count = find([0, 0, 1000, 1000], flags)
    assert count == NOT_SEARCHED
    assert flagged.ravel().tolist() == [DO_NOT_USE, 0, 0, DO_NOT_USE]


def beside(height: float, **params: Any) -> np.ndarray:
    """Flags of group 2 of 3 × 3 pixels, the middle one of which jumps by this."""
    sci = np.zeros((1, 6, 3, 3))
    sci[0, 2:, 1, 1] = height
    return find(sci, **params)[0][0, 2]


def test_the_four_neighbours_of_a_jump_are_flagged() -> None:
    cross = JUMP_DET * np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    np.testing.assert_array_equal(beside(100), cross)
    assert beside(100, flag_4_neighbors=False).sum() == JUMP_DET


@pytest.mark.parametrize("height", [9, 1001])
def test_small_and_huge_jumps_have_no_neighbours(height: float) -> None:
    assert beside(height).sum() == JUMP_DET
    assert beside(height, min_jump_to_flag_neighbors=8, max_jump_to_flag_neighbors=2000).sum() == 5 * JUMP_DET


def test_neighbours_that_are_unusable_stay_as_they_are_and_flags_do_not_spread_on() -> None:
    sci = np.zeros((1, 6, 20, 20))
    sci[0, 2:, 4, 7:9] = 100.0
    flags = np.zeros(sci.shape, np.uint8)
    flags[:, :, 4, 9] = DO_NOT_USE
    flagged, count = find(sci, flags)
    assert count == 2
    assert flagged[0, 2, 4, 9] == DO_NOT_USE
    assert np.argwhere(flagged[0, 2] == JUMP_DET).tolist() == [
        [3, 7], [3, 8], [4, 6], [4, 7], [4, 8], [5, 7], [5, 8]
    ]  # fmt: skip


@pytest.mark.parametrize("x", [35, 36, 39, 40, 70])
def test_neighbours_are_found_wherever_a_row_is_divided(x: int) -> None:
    sci = np.zeros((1, 6, 1, 72))
    sci[:, 3:, :, x] = 100.0
    flagged, _ = find(sci)
    assert np.flatnonzero(flagged[0, 3, 0] & JUMP_DET).tolist() == [x - 1, x, x + 1]


def test_a_jump_known_before_spreads_as_well() -> None:
    sci = np.zeros((1, 6, 1, 2))
    sci[0, 2:, 0, 0] = 100.0
    flags = np.zeros(sci.shape, np.uint8)
    flags[0, 2, 0, 0] = JUMP_DET
    flagged, count = find(sci, flags)
    assert count == 1
    assert flagged[0, :, 0, 1].tolist() == [0, 0, JUMP_DET, 0, 0, 0]


def test_groups_after_a_large_jump_are_flagged_for_a_time() -> None:
    ramp = np.cumsum([0, 0, 60, 0, 0, 0, 300, 0, 0, 0])
    settings = {
        "after_jump_flag_dn1": 50.0, "after_jump_flag_time1": 19.0,
        "after_jump_flag_dn2": 200.0, "after_jump_flag_time2": 29.0,
    }  # fmt: skip
    assert jumps_of(ramp, **settings) == [2, 3, 6, 7, 8]
    assert jumps_of(ramp, gain=2.0, **settings) == [2, 3, 6, 7, 8]


def test_groups_after_a_jump_that_are_unusable_stay_as_they_are() -> None:
    ramp = np.cumsum([0, 0, 60, 0, 0, 0])
    flags = [0, 0, 0, SATURATED, 0, 0]
    flagged, _ = find(ramp, flags, after_jump_flag_dn1=10.0, after_jump_flag_time1=20.0)
    assert flagged.ravel().tolist() == [0, 0, JUMP_DET, SATURATED, JUMP_DET, 0]


def test_a_jump_flag_is_taken_from_unusable_samples() -> None:
    flags = [0, JUMP_DET | SATURATED, JUMP_DET | DO_NOT_USE, JUMP_DET | DROPOUT, 0, 0]
    flagged, _ = find([0, 0, 0, 0, 0, 0], flags)
    assert flagged.ravel().tolist() == [0, SATURATED, DO_NOT_USE, JUMP_DET | DROPOUT, 0, 0]


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=20, deadline=None)
def test_many_integrations_are_clipped_as_astropy_does(seed: int, by_group: bool) -> None:
    generator = np.random.default_rng(seed)
    sci = np.cumsum(generator.normal(50, 5, (40, 4, 2, 3)), axis=1).astype(np.float32)
    sci[generator.random(sci.shape) < 0.05] += 100
    flagged, _ = find(
        sci, minimum_sigclip_groups=40, rejection_threshold=3.0, only_use_ints=by_group, **ALONE
    )
    differences = np.diff(sci, axis=1).astype(float)
    clipped = sigma_clip(differences, sigma=3, maxiters=5, axis=0 if by_group else (0, 1)).mask
    np.testing.assert_array_equal(flagged[:, 1:] & JUMP_DET != 0, clipped)


def test_where_a_whole_group_is_clipped_its_pure_jumps_are_cleared() -> None:
    sci = np.zeros((20, 3, 2, 2))
    sci[:, :, :] += np.random.default_rng(1).normal(0, 1, (20, 3, 2, 2))
    sci[7, 1:] += 1000.0
    flags = np.zeros(sci.shape, np.uint8)
    flags[7, 1, 0, 0] = DROPOUT
    flagged, count = find(sci, flags, minimum_sigclip_groups=20, **ALONE)
    assert flagged[7, 1].tolist() == [[DROPOUT | JUMP_DET, 0], [0, 0]]
    assert count == 1


RANDOM = st.integers(0, 2**32 - 1)


def random_ramp(seed: int, nints: int = 2, ngroups: int = 7) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    shape = (nints, ngroups, 9, 70)
    differences = generator.normal(20, 5, shape)
    differences[generator.random(shape) < 0.05] += 10 ** generator.uniform(1, 4)
    flags = np.zeros(shape, np.uint8)
    for bit in (DO_NOT_USE, SATURATED, JUMP_DET, DROPOUT):
        flags[generator.random(shape) < 0.03] |= bit
    return np.cumsum(differences, axis=1), flags


@given(RANDOM, st.sampled_from([(1, 3), (2, 7), (1, 12), (20, 3)]))
@settings(max_examples=15, deadline=None)
def test_only_jump_flags_change_and_samples_never_do(seed: int, size: tuple[int, int]) -> None:
    sci, flags = random_ramp(seed, *size)
    before = sci.astype(np.float32)
    flagged, _ = find(sci, flags, minimum_sigclip_groups=20)
    unusable = flags & (DO_NOT_USE | SATURATED) != 0
    np.testing.assert_array_equal(flagged & ~np.uint8(JUMP_DET), flags & ~np.uint8(JUMP_DET))
    assert not (flagged[unusable] & JUMP_DET).any()
    if size != (20, 3):  # a clipped plane may lose its flags
        assert (flagged[~unusable] & flags[~unusable] & JUMP_DET == flags[~unusable] & JUMP_DET).all()
    np.testing.assert_array_equal(sci.astype(np.float32), before)


@pytest.mark.parametrize("size", [(2, 7), (1, 12), (20, 3)])
def test_the_number_of_threads_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    sci, flags = random_ramp(3, *size)
    wide = np.tile(sci, (1, 1, 9, 1)), np.tile(flags, (1, 1, 9, 1))
    settings = {"minimum_sigclip_groups": 20, "after_jump_flag_dn1": 50.0, "after_jump_flag_time1": 20.0}
    same_for_any_threads(monkeypatch, lambda: find(*wide, **settings)[:1])


@pytest.mark.parametrize("size", [(2, 7), (1, 12), (20, 5)])
def test_jumps_on_disk_are_found_as_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(scratch, "AT_ONCE", 20000)
    sci, groupdq = random_ramp(3, *size)
    wide = np.tile(sci, (1, 1, 9, 1)).astype(np.float32), np.tile(groupdq, (1, 1, 9, 1)).astype(np.uint8)
    everything = {
        "minimum_sigclip_groups": 20, "after_jump_flag_dn1": 50.0, "after_jump_flag_time1": 20.0,
        "expand_large_events": True, "sat_required_snowball": False, "edge_size": 0,
        "find_showers": True, "extend_min_area": 3,
    }  # fmt: skip
    found = []
    maps = references(make_ramp(wide[0]), tmp_path, gain=1.5)
    for cubes in (wide, [stored(array) for array in wide]):
        ramp = make_ramp(wide[0], TGROUP=10.0)
        ramp.sci, ramp.groupdq = (array.copy() if isinstance(array, np.ndarray) else array for array in cubes)
        jump(ramp, maps, **everything)
        found.append((np.asarray(ramp.groupdq), ramp.header["PRIMECRS"], ramp.header["EXTNCRS"]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1:] == found[1][1:]
    assert found[0][0].sum() > groupdq.sum()


def stored(array: np.ndarray) -> Cube:
    cube = Cube(array.shape, array.dtype)
    cube.write(0, array)
    return cube


def test_kernels_give_the_same_as_python() -> None:
    sci, flags = random_ramp(5)
    sci = np.ascontiguousarray(sci[:, :, :2], np.float32)
    maps = np.full((2, 70), 1.5, np.float32), np.full((2, 70), 6.0, np.float32)
    limits = thresholds(JumpParams())
    marks = np.random.default_rng(6).integers(0, 256, (2, 7, 4, 9)).astype(np.uint8)
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (jumps.reject_iteratively, (*maps, 1.0, limits)),
        (jumps.reject_at_once, (*maps, 1.0, 4.0, np.empty((2, 70)))),
        (jumps.clip_integrations, (maps[0], 2.0, False)),
        (spreading.spread, (maps[0], UNKNOWN, marks, np.array([30.0, 500.0]), np.array([2, 3]))),
    ]
    for kernel, rest in calls:
        compiled, plain = flags[:, :, :2].copy(), flags[:, :, :2].copy()
        kernel(0, 2, sci, compiled, *rest)
        with interpreted(kernel) as function:
            function(0, 2, sci, plain, *rest)
        np.testing.assert_array_equal(compiled, plain)


def test_the_marks_of_spreading_jumps_are_the_same_in_python() -> None:
    sci, flags = random_ramp(5)
    sci, flags = np.ascontiguousarray(sci[:, :, :2], np.float32), flags[:, :, :2].copy()
    maps = np.full((2, 70), 1.5, np.float32), np.full((2, 70), 6.0, np.float32)
    compiled, plain = ((np.zeros((2, 7, 2, 9), np.uint8), np.zeros(2, np.int64)) for _ in range(2))
    spreading.mark_spreading(0, 2, sci, flags, *maps, 1.0, 3.0, 100.0, UNKNOWN, *compiled)
    with interpreted(spreading.mark_spreading) as function:
        function(0, 2, sci, flags, *maps, 1.0, 3.0, 100.0, UNKNOWN, *plain)
    assert compiled[0].any()
    for a, b in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(a, b)


@given(st.integers(1, 300), RANDOM)
@settings(max_examples=30, deadline=None)
def test_columns_are_sorted(length: int, seed: int) -> None:
    array = np.random.default_rng(seed).normal(size=(length, 3))
    expected = np.sort(array, axis=0)
    sort_columns(array, length)
    np.testing.assert_array_equal(array, expected)


def references(ramp: Ramp, folder: Path, gain: Any = 1.0) -> References:
    shape = ramp.sci.shape[-2:]
    for kind, value in (("gain", gain), ("readnoise", 1.0)):
        write_reference(folder, kind, ramp, sci=np.full(shape, value))
    return References({kind: folder / f"{kind}.fits" for kind in ("gain", "readnoise")}, ramp.subarray)


def test_the_step_records_how_many_jumps_there_were(tmp_path: Path) -> None:
    sci = np.zeros((2, 6, 5, 5))
    sci[1, 3:, 2, 2] = 50.0
    ramp = make_ramp(sci, TGROUP=10.0)
    ramp.groupdq[:, 0] = DO_NOT_USE
    ramp = jump(ramp, references(ramp, tmp_path))
    assert (ramp.groupdq & JUMP_DET != 0).sum() == 5
    assert ramp.header["PRIMECRS"] == pytest.approx(1000 / (10.0 * (2 * 6 - 2 - 2) * 25))
    assert ramp.header["EXTNCRS"] == 0


def test_pixels_without_a_gain_are_flagged_and_not_searched(tmp_path: Path) -> None:
    sci = np.zeros((1, 6, 1, 4))
    sci[0, 3:] = 50.0
    ramp = make_ramp(sci, TGROUP=10.0)
    ramp = jump(ramp, references(ramp, tmp_path, gain=[[0.0, np.nan, -1.0, 1.0]]), **ALONE)
    assert ramp.pixeldq.tolist() == [[DO_NOT_USE | NO_GAIN_VALUE] * 3 + [0]]
    assert (ramp.groupdq[0, 3] != 0).tolist() == [[False, False, True, True]]


def test_bad_gains_are_added_to_the_flags() -> None:
    pixeldq = np.array([[4, 4]], np.uint32)
    flag_bad_gain(pixeldq, np.array([[1.0, 0.0]], np.float32))
    assert pixeldq.tolist() == [[4, 4 | NO_GAIN_VALUE | DO_NOT_USE]]


def test_two_groups_are_too_few(tmp_path: Path) -> None:
    ramp = make_ramp(np.zeros((1, 2, 2, 2)), TGROUP=10.0)
    with pytest.raises(Skip, match="2 groups"):
        jump(ramp, references(ramp, tmp_path))


def test_the_mean_of_the_middle_two_is_not_rounded_to_their_precision() -> None:
    low, high = np.float32(100.35434), np.nextafter(np.float32(100.35434), np.float32(200))
    assert float(low) < middle(np.array([[low], [high]]), 0, 0, 2) < float(high)
