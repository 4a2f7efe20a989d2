from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ramps import interpreted, make_ramp, same_for_any_threads, write_reference
from stdatamodels.jwst import datamodels

from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Ramp
from calwebbd.stages.fits.write import write
from calwebbd.stages.flags import (
    AD_FLOOR,
    CHARGELOSS,
    DEAD,
    DO_NOT_USE,
    DROPOUT,
    JUMP_DET,
    NO_GAIN_VALUE,
    PERSISTENCE,
    SATURATED,
)
from calwebbd.stages.kernels import ramps
from calwebbd.stages.products import SegmentFits
from calwebbd.stages.references import References
from calwebbd.stages.scratch import Cube
from calwebbd.stages.steps.gain_scale import gain_scale
from calwebbd.stages.steps.ramp_fit import (
    Slopes,
    Times,
    fit_slopes,
    ramp_fit,
    select_groups,
    trim,
    unusable_groups,
    weight_table,
)
from calwebbd.stages.steps.ramp_fit.optional import count_segments

TEN = Times(group=10.0, frame=2.0, nframes=4)
ROOT = np.sqrt(8.0)  # from the noise of a difference of frames to that of a group of four


def fit(sci: Any, groupdq: Any = 0, *, pixeldq: int = 0, gain: float = 1.0, noise: float = ROOT,
        times: Times = TEN, zeroframe: Any = None, **options: Any) -> tuple[Slopes, Slopes]:  # fmt: skip
    """Rates of one pixel with one ramp, (ngroups,), or more, (nints, ngroups); noise of a group 1 e-."""
    sci = np.array(sci, np.float32)
    sci = sci.reshape(-1, sci.shape[-1], 1, 1) if sci.ndim < 4 else sci
    flags = np.asarray(groupdq, np.uint8)
    flags = flags if flags.ndim in (0, 4) else flags.reshape(-1, flags.shape[-1], 1, 1)
    flags = np.array(np.broadcast_to(flags, sci.shape))
    ny, nx = sci.shape[-2:]
    maps = [np.full((ny, nx), value, np.float32) for value in (gain, noise)]
    if zeroframe is not None:
        zeroframe = np.array(zeroframe, np.float32).reshape(-1, ny, nx)
    return fit_slopes(
        sci, flags, np.full((ny, nx), pixeldq, np.uint32), *maps, times,
        zeroframe=zeroframe, **options,
    )  # fmt: skip


def value(slopes: Slopes) -> list[float]:
    """Rate, error, variances by photons and by reading of a single pixel."""
    return [float(a.item()) for a in slopes[:4]]


def test_a_straight_ramp_has_its_slope_and_the_variances_of_theory() -> None:
    rate, rateints = fit([5, 25, 45, 65, 85], gain=2.0, noise=ROOT / 2)
    photons = 2.0 / (10 * 2 * 4)  # m / (t G (n - 1))
    read = 12 * (1 / 10) ** 2 / (120 * 4)  # 12 (R/t)² / ((n³ - n) G²)
    expected = [2.0, np.sqrt(photons + read), photons, read]
    assert value(rate) == pytest.approx(expected, rel=1e-6)
    assert value(rateints) == pytest.approx(expected, rel=1e-6)
    assert rate.sci.shape == (1, 1)
    assert rateints.sci.shape == (1, 1, 1)
    assert (rate.dq.item(), rateints.dq.item()) == (0, 0)
    assert [a.dtype for a in rate] == [np.float32] * 4 + [np.uint32]


def test_two_groups_give_their_difference() -> None:
    rate, _ = fit([5, 25])
    assert value(rate) == pytest.approx([2.0, np.sqrt(0.2 + 0.02), 0.2, 0.02])


def test_one_group_gives_its_signal_over_its_own_time() -> None:
    rate, _ = fit([15])  # mean time of four frames of 2 s: 5 s
    assert value(rate)[0] == pytest.approx(3.0)
    assert value(rate)[2:] == pytest.approx([3.0 / 5, 12 / 25 / 6])


def test_faint_ramps_weigh_all_groups_alike_and_bright_ones_the_ends() -> None:
    faint = [0.0, 1.0, 0.0]
    assert value(fit(faint)[0])[0] == 0
    bright = np.array([0, 10, 0, 0, 1e6])
    ends = value(fit(bright)[0])[0] / (1e6 / 40)
    even = np.polyfit(np.arange(5), bright, 1)[0] / (1e6 / 4)
    assert abs(ends - 1) < 0.001
    assert abs(even - 1) > 0.1


def test_weights_are_powers_of_the_distance_from_the_middle() -> None:
    table = weight_table(5)
    np.testing.assert_allclose(table[2, 5], [1, 0.5, 0, 0.5, 1])
    np.testing.assert_allclose(table[3, 5], [1, 0.125, 0, 0.125, 1])
    np.testing.assert_array_equal(table[0, 5], 1)
    np.testing.assert_allclose(table[1, 4, :4], [1, (1 / 3) ** 0.4, (1 / 3) ** 0.4, 1], rtol=1e-6)


def test_a_jump_begins_a_new_segment_and_segments_weigh_by_their_read_noise() -> None:
    ramp = [0, 10, 20, 1030, 1050, 1070]  # three groups at 1 DN/s, three at 2
    rate, _ = fit(ramp, [0, 0, 0, JUMP_DET, 0, 0])
    assert value(rate)[0] == pytest.approx(1.5)
    assert value(rate)[3] == pytest.approx(12 / 100 / 24 / 2)
    assert rate.dq.item() == JUMP_DET
    # a jump after a jump: the first belongs to nothing
    rate, _ = fit(ramp, [0, 0, JUMP_DET, JUMP_DET, 0, 0])
    weights = np.array([6, 24])  # n³ - n of two and three groups
    assert value(rate)[3] == pytest.approx(0.12 / weights.sum())
    assert value(rate)[0] == pytest.approx((weights * [1, 2]).sum() / weights.sum())


def test_single_groups_count_only_if_there_is_nothing_longer() -> None:
    flags = [0, DROPOUT, 0, 0, DROPOUT, 0]
    assert value(fit([500, 0, 10, 20, 0, 90], flags)[0])[0] == pytest.approx(1.0)
    flags = [DROPOUT, 0, DROPOUT, 0]
    assert value(fit([0, 50, 0, 90], flags)[0])[0] == pytest.approx(5.0)


def test_a_saturated_end_leaves_the_rate_of_what_is_before() -> None:
    rate, rateints = fit([0, 20, 40, 9e4, 9e4], [0, 0, 0, SATURATED, SATURATED])
    assert value(rate)[0] == pytest.approx(2.0)
    assert rate.dq.item() == rateints.dq.item() == SATURATED


@pytest.mark.parametrize(
    ("flags", "dq"),
    [
        ([SATURATED] * 4, DO_NOT_USE | SATURATED),
        ([DO_NOT_USE] * 4, DO_NOT_USE),
        ([DO_NOT_USE, SATURATED, SATURATED, SATURATED], DO_NOT_USE | SATURATED),
        ([SATURATED, 0, 0, 0], DO_NOT_USE | SATURATED),
        ([0, SATURATED, SATURATED, SATURATED], DO_NOT_USE | SATURATED),  # one group, suppressed
    ],
)
def test_ramps_without_a_slope_are_nan_without_errors(flags: list[int], dq: int) -> None:
    for slopes in fit([0, 20, 40, 60], flags):
        assert np.isnan(slopes.sci.item())
        assert value(slopes)[1:] == [0, 0, 0]
        assert slopes.dq.item() == dq


def test_ramps_with_other_flags_only_are_zero_and_not_flagged() -> None:
    rate, _ = fit([0, 20, 40, 60], [AD_FLOOR, JUMP_DET, DROPOUT, JUMP_DET])
    assert value(rate) == [0, 0, 0, 0]
    assert rate.dq.item() == JUMP_DET


def test_persistence_does_not_keep_a_group_from_being_used() -> None:
    rate, _ = fit([0, 20, 40, 60], [0, PERSISTENCE, 0, 0])
    assert value(rate)[0] == pytest.approx(2.0)
    assert rate.dq.item() == PERSISTENCE


def test_flags_of_the_pixel_stay_and_do_not_use_blanks_it() -> None:
    assert fit([0, 20, 40], pixeldq=DEAD)[0].dq.item() == DEAD
    for slopes in fit([0, 20, 40], pixeldq=DEAD | DO_NOT_USE):
        assert np.isnan(slopes.sci.item())
        assert value(slopes)[1:] == [0, 0, 0]
        assert slopes.dq.item() == DEAD | DO_NOT_USE


@pytest.mark.parametrize("gain", [0.0, -1.0, np.nan])
def test_pixels_without_a_gain_are_blank(gain: float) -> None:
    rate, _ = fit([0, 20, 40], gain=gain)
    assert np.isnan(rate.sci.item())
    assert rate.dq.item() == DO_NOT_USE | NO_GAIN_VALUE


def test_without_suppression_a_first_group_alone_gives_a_rate() -> None:
    flags = [0, SATURATED, SATURATED]
    rate, _ = fit([15, 9e4, 9e4], flags, suppress_one_group=False)
    assert value(rate)[0] == pytest.approx(3.0)
    assert rate.dq.item() == SATURATED
    assert np.isnan(fit([15, 9e4, 9e4], flags)[0].sci.item())


def test_a_zero_frame_stands_for_ramps_without_a_good_group() -> None:
    flags = [SATURATED] * 3
    rate, _ = fit([9e4, 9e4, 9e4], flags, suppress_one_group=False, zeroframe=[8.0])
    assert value(rate)[0] == pytest.approx(4.0)
    assert value(rate)[2] == pytest.approx(4.0 / 2)
    assert rate.dq.item() == SATURATED
    for options in ({"suppress_one_group": True, "zeroframe": [8.0]},
                    {"suppress_one_group": False, "zeroframe": [0.0]}):  # fmt: skip
        assert np.isnan(fit([9e4, 9e4, 9e4], flags, **options)[0].sci.item())  # type: ignore[arg-type]


def test_integrations_are_averaged_by_their_read_noise() -> None:
    flags = np.zeros((2, 5), np.uint8)
    flags[1, 3:] = SATURATED
    rate, rateints = fit([[0, 20, 40, 60, 80], [0, 10, 20, 9e4, 9e4]], flags)
    weights = np.array([120.0, 24.0])  # n³ - n
    assert rateints.sci.ravel() == pytest.approx([2.0, 1.0])
    assert value(rate)[0] == pytest.approx((weights * [2, 1]).sum() / weights.sum())
    assert value(rate)[1] == pytest.approx(np.sqrt(sum(value(rate)[2:])))
    assert rateints.dq.ravel().tolist() == [0, SATURATED]
    assert rate.dq.item() == SATURATED


def test_one_good_integration_is_enough() -> None:
    flags = np.zeros((2, 4), np.uint8)
    flags[0] = SATURATED
    rate, rateints = fit([[9e4] * 4, [0, 20, 40, 60]], flags)
    assert value(rate)[0] == pytest.approx(2.0)
    assert rate.dq.item() == SATURATED
    assert rateints.dq.ravel().tolist() == [DO_NOT_USE | SATURATED, 0]
    # the lost integration counts as a rate of 0 in the photon noise, as in the reference pipeline
    assert value(rate)[2] == pytest.approx(1.0 / (10 * 3))


def test_dark_current_adds_to_the_photon_noise_only() -> None:
    rate, _ = fit([5, 25], dark=0.5)
    assert value(rate)[0] == pytest.approx(2.0)
    assert value(rate)[2] == pytest.approx(0.25)
    dark = np.full((1, 1), 0.5, np.float32)
    assert value(fit([5, 25], dark=dark)[0]) == value(rate)


def test_falling_ramps_have_no_photon_noise() -> None:
    assert value(fit([60, 40, 20])[0])[2] == 0


def test_the_read_noise_counts_groups_lost_to_charge_migration() -> None:
    lost = CHARGELOSS | DO_NOT_USE
    for slopes in fit([0, 20, 40, 50, 55], [0, 0, 0, lost, lost]):
        slope, error, photons, read = value(slopes)
        assert slope == pytest.approx(2.0)
        assert photons == pytest.approx(2.0 / (10 * 2))
        assert read == pytest.approx(0.12 / 120)
        assert error == pytest.approx(np.sqrt(photons + 0.12 / 24))


def test_groups_outside_those_selected_are_not_used() -> None:
    flags = np.zeros((1, 5, 1, 1), np.uint8)
    select_groups(flags, 1, 3)
    assert flags.ravel().tolist() == [DO_NOT_USE, 0, 0, 0, DO_NOT_USE]
    for first, last in ((None, None), (3, 3), (4, 1), (-2, 9)):
        flags[:] = 0
        select_groups(flags, first, last)
        assert not flags.any()


SEEDS = st.integers(0, 2**32 - 1)


def random_ramps(seed: int, nints: int = 3, ngroups: int = 6) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    shape = (nints, ngroups, 4, 70)
    flags = np.zeros(shape, np.uint8)
    for bit in (DO_NOT_USE, JUMP_DET, DROPOUT, PERSISTENCE, CHARGELOSS | DO_NOT_USE):
        flags[generator.random(shape) < 0.06] |= np.uint8(bit)
    saturated = np.maximum.accumulate(generator.random(shape) < 0.06, axis=1)
    flags[saturated] |= SATURATED
    sci = np.cumsum(generator.normal(30, 6, shape), axis=1).astype(np.float32)
    return sci, flags


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_integrations_do_not_see_each_other_but_for_the_photon_noise(seed: int) -> None:
    sci, flags = random_ramps(seed)
    _, together = fit(sci, flags)
    for i in range(3):
        _, alone = fit(sci[i : i + 1], flags[i : i + 1])
        np.testing.assert_array_equal(alone.sci[0], together.sci[i])
        np.testing.assert_array_equal(alone.var_rnoise[0], together.var_rnoise[i])
        np.testing.assert_array_equal(alone.dq[0], together.dq[i])


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_flags_that_make_no_rate_and_nan_agree(seed: int) -> None:
    sci, flags = random_ramps(seed)
    before = sci.copy(), flags.copy()
    for slopes in fit(sci, flags):
        np.testing.assert_array_equal(np.isnan(slopes.sci), slopes.dq & DO_NOT_USE != 0)
        assert (slopes.err[np.isnan(slopes.sci)] == 0).all()
    np.testing.assert_array_equal(sci, before[0])
    np.testing.assert_array_equal(flags, before[1])


@given(SEEDS, st.floats(0.5, 4.0))
@settings(max_examples=10, deadline=None)
def test_rates_scale_with_the_signal_where_the_weights_stay(seed: int, factor: float) -> None:
    sci, flags = random_ramps(seed)
    rate, _ = fit(sci, flags, noise=1e4)  # so noisy that all groups weigh alike
    scaled, _ = fit(sci * np.float32(factor), flags, noise=1e4)
    np.testing.assert_allclose(scaled.sci, rate.sci * factor, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(scaled.dq, rate.dq)


@pytest.mark.parametrize("nints", [1, 2])
def test_the_memory_of_the_references_may_become_that_of_the_rate(nints: int) -> None:
    sci, groupdq = random_ramps(5, nints)
    apart = fit(sci, groupdq, gain=2.0)
    inside = fit(sci, groupdq, gain=2.0, in_place=True)
    for expected, found in zip((*apart[0], *apart[1]), (*inside[0], *inside[1]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sci, flags = random_ramps(1)
    wide = np.tile(sci, (1, 1, 20, 1)), np.tile(flags, (1, 1, 20, 1))
    same_for_any_threads(monkeypatch, lambda: tuple(a for slopes in fit(*wide) for a in slopes))


def test_the_kernel_gives_the_same_as_python() -> None:
    sci, flags = random_ramps(2)
    sci, flags = np.ascontiguousarray(sci[:, :, :1]), np.ascontiguousarray(flags[:, :, :1])
    maps = (np.zeros((1, 70), np.uint32), *(np.full((1, 70), v, np.float32) for v in (1.5, 9.0)))
    rest = (ROOT, np.full((1, 70), 0.01, np.float32), np.zeros((0, 1, 1), np.float32), weight_table(6))

    def results(kernel: Any) -> list[np.ndarray]:
        rate, rateints = ([np.empty(s, np.float32) for _ in range(4)] for s in ((1, 70), (3, 1, 70)))
        dq, intdq = np.empty((1, 70), np.uint32), np.empty((3, 1, 70), np.uint32)
        rates = (tuple(rate), dq, tuple(rateints), intdq)
        times, planes = np.array([10.0, 5.0, 2.0, 0.5]), np.zeros((3, 7 * 3 + 1, 1, 70), np.float32)
        kernel(0, 1, sci, flags, *maps, *rest, times, 0, True, *rates, planes)
        return [*rate, dq, *rateints, intdq, planes]

    with interpreted(ramps.fit_ramps) as function, np.errstate(divide="ignore"):
        plain = results(function)
    for a, b in zip(results(ramps.fit_ramps), plain, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rate", [1.0, 30.0, 1000.0])
def test_rates_are_unbiased_and_errors_are_their_scatter(rate: float) -> None:
    """Photons and reading noise through the fit: the mean is true, and pulls have unit width.

    The mean of pulls is not 0 where photons dominate, as rates that come out high get
    larger errors.
    """
    generator = np.random.default_rng(7)
    ngroups, ny, nx, gain, noise, time = 10, 100, 200, 2.0, 8.0, 10.0
    photons = np.cumsum(generator.poisson(rate * time * gain, (1, ngroups, ny, nx)), axis=1)
    sci = (photons / gain + generator.normal(0, noise, photons.shape)).astype(np.float32)
    slopes, _ = fit(sci, gain=gain, noise=noise * np.sqrt(2), times=Times(time, time, 1))
    bias = slopes.sci.mean() - rate
    pulls = (slopes.sci - rate) / slopes.err
    print(f"rate {rate} DN/s: bias {bias / rate:+.1e}, pulls {pulls.mean():+.4f} ± {pulls.std():.4f}")
    assert abs(bias) < 5 * slopes.sci.std() / np.sqrt(slopes.sci.size)
    assert 0.95 < pulls.std() < 1.10


def references(ramp: Ramp, folder: Path, **keywords: Any) -> References:
    shape = ramp.sci.shape[-2:]
    folder.mkdir(exist_ok=True)
    write_reference(folder, "gain", ramp, sci=np.full(shape, 1.0), **keywords)
    write_reference(folder, "readnoise", ramp, sci=np.full(shape, 2.0))
    return References({kind: folder / f"{kind}.fits" for kind in ("gain", "readnoise")}, ramp.subarray)


def exposure() -> Ramp:
    sci = np.zeros((2, 4, 3, 5)) + 20.0 * np.arange(4)[None, :, None, None]
    return make_ramp(sci, TGROUP=10.0, TFRAME=10.0, BUNIT="DN", S_JUMP="COMPLETE")


def test_a_ramp_becomes_the_rate_of_the_exposure_and_those_of_its_integrations(tmp_path: Path) -> None:
    ramp = exposure()
    ramp.int_times = np.zeros(2, [("integration_number", "i4")])
    rate, rateints = ramp_fit(ramp, references(ramp, tmp_path))
    assert (rate.sci.shape, rateints.sci.shape) == ((3, 5), (2, 3, 5))
    assert (rate.sci == 2.0).all()
    assert rate.header["BUNIT"] == rateints.header["BUNIT"] == "DN/s"
    assert rate.header["S_JUMP"] == "COMPLETE"
    assert ramp.header["BUNIT"] == "DN"
    assert rate.int_times is None
    assert rateints.int_times is ramp.int_times
    assert "GAINFACT" not in rate.header


def test_the_gain_factor_is_kept_for_gain_scale(tmp_path: Path) -> None:
    ramp = exposure()
    rate, rateints = ramp_fit(ramp, references(ramp, tmp_path, GAINFACT=2.0))
    assert (rate.header["GAINFACT"], rateints.header["GAINFACT"]) == (2.0, 2.0)


def test_selected_groups_are_the_ones_fitted(tmp_path: Path) -> None:
    ramp = exposure()
    ramp.sci[:, 3] = 1e5
    rate, _ = ramp_fit(ramp, references(ramp, tmp_path), lastgroup=2)
    assert (rate.sci == 2.0).all()


def test_an_exposure_saturated_from_the_first_group_is_refused(tmp_path: Path) -> None:
    ramp = exposure()
    ramp.groupdq[:] = SATURATED
    with pytest.raises(InputError, match="nothing to fit"):
        ramp_fit(ramp, references(ramp, tmp_path))


def test_an_algorithm_that_is_not_there_is_refused(tmp_path: Path) -> None:
    ramp = exposure()
    with pytest.raises(ParameterError, match="'OLS' is none of OLS_C, LIKELY"):
        ramp_fit(ramp, references(ramp, tmp_path), algorithm="OLS")


def miri(*unusable: int, ngroups: int = 5) -> Ramp:
    """Ramps of 2 DN/s, but for the groups that nothing can use."""
    sci = np.zeros((2, ngroups, 3, 5)) + 20.0 * np.arange(ngroups)[None, :, None, None]
    ramp = make_ramp(sci, TGROUP=10.0, TFRAME=10.0, INSTRUME="MIRI")
    ramp.sci[:, list(unusable)] = 1e4
    ramp.groupdq[:, list(unusable)] = DO_NOT_USE
    return ramp


def test_groups_at_the_ends_that_no_pixel_of_miri_can_use_are_as_if_not_read(tmp_path: Path) -> None:
    ramp = miri(0, 4)
    ramp.groupdq[:, 1, 1, 2] = JUMP_DET  # where the ramp now begins
    ramp.groupdq[:, 1, 1, 3] = SATURATED
    rate, _ = ramp_fit(ramp, references(ramp, tmp_path))
    assert (rate.sci[rate.dq == 0] == 2.0).all()
    assert rate.dq[1, 2] == 0
    assert rate.dq[1, 3] == DO_NOT_USE | SATURATED
    assert np.count_nonzero(rate.dq) == 1
    assert (trim(np.array([1, 1, 0, 1, 0, 1, 1], bool)), trim(np.ones(3, bool))) == (range(2, 6), range(0))


def test_groups_that_are_all_lone_go_too() -> None:
    flags = np.full((1, 3, 2, 2), DO_NOT_USE, np.uint8)
    flags[0, 0] = PERSISTENCE
    assert unusable_groups(flags, True).tolist() == [True, True, True]
    assert unusable_groups(flags, False).tolist() == [False, True, True]


@pytest.mark.parametrize("unusable", [(0, 1, 2, 4), (0, 1, 2, 3, 4)])
def test_miri_with_less_than_two_groups_is_refused(tmp_path: Path, unusable: tuple[int, ...]) -> None:
    ramp = miri(*unusable)
    with pytest.raises(InputError, match="of 5 groups are usable: there is nothing to fit"):
        ramp_fit(ramp, references(ramp, tmp_path))


def test_the_optional_product_has_the_fit_of_each_segment(tmp_path: Path) -> None:
    ramp = exposure()
    ramp.sci = np.zeros((2, 6, 3, 5), np.float32) + 20 * np.arange(6, dtype=np.float32)[:, None, None] + 7
    ramp.groupdq = np.zeros(ramp.sci.shape, np.uint8)
    ramp.groupdq[1, 4, 2, 3] = JUMP_DET
    ramp.sci[1, 4:, 2, 3] += 1000.0
    rate, _ = ramp_fit(ramp, references(ramp, tmp_path), save_opt=True)
    fits = rate.byproducts["fitopt"]
    assert isinstance(fits, SegmentFits)
    assert fits.sci.shape == (2, 2, 3, 5)
    assert fits.sci[1, :, 2, 3].tolist() == [2.0, 2.0]
    assert fits.sci[0, :, 2, 3].tolist() == [2.0, 0.0]
    assert fits.yint[1, :, 2, 3] == pytest.approx([7.0, 1007.0])
    assert fits.sigslope[1, 1, 2, 3] == fits.sigyint[1, 1, 2, 3] == pytest.approx(2.0)  # √2 noise of a group
    assert fits.weights == pytest.approx(1 / np.where(fits.var_rnoise > 0, fits.var_rnoise, np.inf))
    assert fits.pedestal[0] == pytest.approx(7.0 - 2.0 * 1.0)  # the first group is that of one frame
    assert fits.crmag.shape == (2, 1, 3, 5)
    assert (fits.crmag[1, 0, 2, 3], np.count_nonzero(fits.crmag)) == (1020.0, 1)
    assert "BUNIT" not in fits.header
    fits.header["SUBARRAY"] = "SUB64P"
    path = write(fits, tmp_path / "x_fitopt.fits")
    with datamodels.RampFitOutputModel(path, strict_validation=True) as model:
        np.testing.assert_array_equal(model.slope, fits.sci)
        np.testing.assert_array_equal(model.crmag, fits.crmag)


def test_segments_are_counted_as_they_are_fitted() -> None:
    jump, lost = JUMP_DET, DROPOUT

    def count(*flags: int, suppress: bool = False, zeroframe: float | None = None) -> int:
        groupdq = np.array(flags, np.uint8).reshape(1, -1, 1, 1)
        zero = None if zeroframe is None else np.full((1, 1, 1), zeroframe, np.float32)
        return count_segments(groupdq, range(len(flags)), suppress, zero)

    assert count(0, 0, jump, 0, 0) == 2
    assert count(0, 0, lost, jump, 0, lost, 0) == 2  # the last is alone, the one before it has its jump
    assert count(0, lost, 0, lost, 0) == 3
    assert count(SATURATED, 0, 0) == 0
    assert (count(lost, lost, 0), count(lost, lost, 0, suppress=True)) == (1, 0)
    assert count(lost, lost, PERSISTENCE, zeroframe=5.0) == 2
    assert count(SATURATED, lost, lost, zeroframe=0.0) == 0


@pytest.mark.parametrize("algorithm", ["OLS_C", "LIKELY"])
def test_ramps_on_disk_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    sci, flags = random_ramps(5)
    monkeypatch.setattr("calwebbd.stages.scratch.AT_ONCE", sci.nbytes // 2)
    results = []
    for stored in (False, True):
        ramp = make_ramp(sci, TGROUP=10.0, TFRAME=10.0, INSTRUME="MIRI")
        ramp.groupdq = flags.copy()
        refs = references(ramp, tmp_path / str(stored), GAINFACT=2.0)
        if stored:
            ramp.sci, ramp.groupdq = on_disk(ramp.sci), on_disk(ramp.groupdq)
        rate, rateints = ramp_fit(ramp, refs, algorithm=algorithm, save_opt=True, firstgroup=1)
        assert isinstance(rateints.sci, Cube) == stored
        rate, rateints = gain_scale((rate, rateints))
        beside = rate.byproducts.popitem()[1]
        arrays = [*vars(rate).values(), *vars(rateints).values(), *vars(beside).values()]
        results.append([np.asarray(a) for a in arrays if isinstance(a, Cube | np.ndarray)])
    for memory, disk in zip(*results, strict=True):
        np.testing.assert_array_equal(memory, disk)


def on_disk(array: np.ndarray) -> Any:
    cube = Cube(array.shape, array.dtype)
    cube.write(0, array)
    return cube
