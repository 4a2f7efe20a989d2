from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ramps import make_ramp, same_for_any_threads
from scipy import ndimage

from calwebbd.stages.exposure import Ramp
from calwebbd.stages.flags import DO_NOT_USE, JUMP_DET, REFERENCE_PIXEL, SATURATED
from calwebbd.stages.kernels import rings
from calwebbd.stages.steps.jump.params import JumpParams
from calwebbd.stages.steps.jump.showers import (
    Detector,
    flag_showers,
    mean_difference,
    ring_of,
    typical_differences,
)

NY, NX = 40, 36


def detector(ny: int = NY, nx: int = NX) -> Detector:
    """Of 1 e-/DN and a noise of 10 e- in each difference."""
    return Detector(np.ones((ny, nx), np.float32), np.full((ny, nx), 10, np.float32), 1)


def with_shower(
    height: float = 18.0, *, nints: int = 1, ngroups: int = 13, at: int = 5, seed: int = 0
) -> Ramp:
    """Noise, and in one group a disc of radius 8 that rises by `height`, e-."""
    steps = np.random.default_rng(seed).normal(0, 5, (nints, ngroups, NY, NX))
    y, x = np.mgrid[:NY, :NX]
    steps[0, at, (y - 20) ** 2 + (x - 18) ** 2 < 64] += height
    return make_ramp(np.cumsum(steps, axis=1), TGROUP=3.0)


def find(ramp: Ramp, **params: Any) -> int:
    return flag_showers(ramp, detector(), JumpParams(find_showers=True, **params))


def jumps(ramp: Ramp) -> np.ndarray:
    return np.asarray(ramp.groupdq & JUMP_DET != 0)


def test_a_faint_spray_is_flagged_and_for_a_while_after() -> None:
    ramp = with_shower()
    assert find(ramp) == 1
    found = jumps(ramp)[0]
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [5, 6, 7, 8, 9, 10]  # 15 s of 3 s each
    assert found[5, 20, 18]
    assert not found[5, 5, 5]
    assert 100 < found[5].sum() < 250  # the disc has 193


def test_how_long_it_is_flagged_is_a_parameter() -> None:
    ramp = with_shower()
    find(ramp, time_masked_after_shower=5.9)
    assert np.flatnonzero(jumps(ramp)[0].any(axis=(1, 2))).tolist() == [5, 6]


def test_small_and_faint_ones_are_left() -> None:
    for params in ({"extend_min_area": 300}, {"extend_snr_threshold": 2.5}):
        ramp = with_shower()
        assert find(ramp, **params) == 0
        assert not ramp.groupdq.any()


def test_ellipses_grow_by_the_ratio_and_no_further_than_the_radius() -> None:
    areas = []
    for params in ({}, {"extend_ellipse_expand_ratio": 1.6}, {"max_extended_radius": 4}):
        ramp = with_shower()
        find(ramp, **params)
        areas.append(int(jumps(ramp)[0, 5].sum()))
    assert areas[1] > 1.8 * areas[0]
    assert areas[2] == 45  # points nearer than 4 to the centre


def test_with_fewer_than_ten_differences_none_is_looked_for() -> None:
    ramp = with_shower(ngroups=10)
    assert find(ramp) == 0
    ramp = with_shower(ngroups=13)
    ramp.groupdq[0, 10:] = DO_NOT_USE
    assert find(ramp) == 0


def test_a_change_of_rate_that_is_too_large_is_taken_back() -> None:
    # 13 groups: to leave out a step of 300 e- changes the mean of the 12 differences by 25 e- > 6 * 3
    ramp = with_shower(300.0)
    assert find(ramp) == 1
    assert not jumps(ramp)[0, :, 20, 18].any()


def test_where_no_difference_would_be_left_flags_are_taken_back() -> None:
    ramp = with_shower(at=1)
    assert find(ramp, time_masked_after_shower=1000.0) == 1
    assert not ramp.groupdq.any()


def test_saturated_samples_get_no_jump_and_what_follows_them_neither() -> None:
    ramp = with_shower()
    ramp.groupdq[0, 7:, 20, 18] = SATURATED
    ramp.groupdq[0, 9, 20, 18] = 0
    find(ramp)
    assert ramp.groupdq[0, 4:, 20, 18].tolist() == [
        0,
        JUMP_DET,
        JUMP_DET,
        SATURATED,
        SATURATED,
        0,
        *[SATURATED] * 3,
    ]


def test_reference_pixels_are_in_no_shower() -> None:
    ramp = with_shower()
    ramp.pixeldq[20, 18] = REFERENCE_PIXEL
    find(ramp)
    assert not ramp.groupdq[0, :, 20, 18].any()
    assert jumps(ramp)[0, 5, 20, 19]


def test_integrations_share_their_median_but_not_their_flags() -> None:
    ramp = with_shower(nints=2)
    assert find(ramp) == 1
    assert jumps(ramp)[0].any()
    assert not ramp.groupdq[1].any()


def test_over_many_integrations_each_difference_has_its_own_noise() -> None:
    ramp = with_shower(12.0, nints=20, ngroups=4, at=2)
    assert find(ramp, minimum_sigclip_groups=20, extend_snr_threshold=1.5) == 1
    assert np.flatnonzero(jumps(ramp).any(axis=(2, 3)).ravel()).tolist() == [2, 3]
    values = np.diff(ramp.sci, axis=1)
    typical = typical_differences(
        ramp.sci, np.zeros_like(ramp.groupdq), detector(), JumpParams(minimum_sigclip_groups=20)
    )
    median, noise = typical.of(0)
    assert noise[5, 5] == pytest.approx(values[:, 0, 5, 5].std(), rel=1e-5)
    assert median[5, 5] == np.median(values[:, 0, 5, 5])


def test_the_median_leaves_out_what_is_flagged() -> None:
    sci = np.cumsum([[0, 4, 100, 6, 8, 9]], axis=1, dtype=np.float32).reshape(1, 6, 1, 1)
    groupdq = np.zeros(sci.shape, np.uint8)
    groupdq[0, 5] = DO_NOT_USE
    params = JumpParams()
    assert typical_differences(sci, groupdq, detector(1, 1), params).median.tolist() == [[7.0]]
    groupdq[0, 2] = JUMP_DET  # and both differences that it is part of
    typical = typical_differences(sci, groupdq, detector(1, 1), params)
    assert typical.median.tolist() == [[6.0]]  # of 4 and 8
    assert typical.noise.tolist() == [[np.sqrt(np.float32(106))]]
    groupdq[:] = SATURATED
    assert np.isnan(typical_differences(sci, groupdq, detector(1, 1), params).median).all()


def test_the_ring_is_as_wide_as_the_outer_radius_says() -> None:
    ring = ring_of(1.0, 2.6)
    assert ring.shape == (7, 7)
    assert ring.sum() == 36
    assert not ring[3, 3]
    assert ring[3].tolist() == [True] * 3 + [False] + [True] * 3


@given(st.integers(0, 2**32 - 1), st.sampled_from([(1.0, 2.6), (0.0, 1.0), (2.0, 1.5)]))
@settings(max_examples=25, deadline=None)
def test_what_exceeds_does_so_in_a_convolution(seed: int, radii: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    shape = (9, 12)
    sci = rng.normal(0, 9, (2, *shape)).astype(np.float32)
    sci[rng.random(sci.shape) < 0.05] = np.nan
    bits = [0] * 7 + [DO_NOT_USE, JUMP_DET, JUMP_DET | 64]
    groupdq = rng.choice(bits, sci.shape).astype(np.uint8)
    unusable = rng.random(shape) < 0.1
    gain, median, noise = (rng.uniform(0.5, 2, shape).astype(np.float32) for _ in range(3))
    ratio = np.abs(np.diff(sci * gain, axis=0)[0] - median) / noise
    flagged = (groupdq & DO_NOT_USE != 0).any(axis=0)
    flagged |= (groupdq[0] == JUMP_DET) | (groupdq[1] & JUMP_DET != 0)
    good, ring = np.isfinite(ratio) & ~unusable & ~flagged, ring_of(*radii)
    total = ndimage.convolve(np.where(good, ratio, 0).astype(float), ring.astype(float), mode="constant")
    count = ndimage.convolve(good.astype(float), ring.astype(float), mode="constant", cval=1.0)
    mean = total / np.maximum(count, 1)
    threshold = float(np.median(mean)) + 1e-9
    found = np.full(shape, 9, np.uint8)
    rings.exceeding(sci, groupdq, unusable, gain, median, noise, ring, threshold, found)
    np.testing.assert_array_equal(found, good & (count > 0) & (mean > threshold))


def test_mean_differences_are_between_good_samples() -> None:
    electrons = np.array([[0], [1], [50], [60], [63]], np.float32)
    assert mean_difference(electrons, np.array([[0], [0], [JUMP_DET], [0], [0]], np.uint8)).tolist() == [2.0]
    assert np.isnan(mean_difference(electrons, np.array([[0], [4], [0], [4], [0]], np.uint8))).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_only_jumps_are_added(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ramp = with_shower(float(rng.uniform(0, 60)), seed=seed)
    ramp.groupdq[:] = rng.choice([0, 0, 0, 0, 1, 2, 4, 5, 64], ramp.groupdq.shape)
    before = ramp.groupdq.copy()
    find(ramp, extend_min_area=10)
    np.testing.assert_array_equal(ramp.groupdq & ~np.uint8(JUMP_DET), before & ~np.uint8(JUMP_DET))
    assert (ramp.groupdq & before == before).all()


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> tuple[np.ndarray, ...]:
        ramp = with_shower()
        find(ramp, extend_min_area=10, extend_snr_threshold=0.8)
        return (ramp.groupdq,)

    same_for_any_threads(monkeypatch, work)
