from pathlib import Path
from typing import Any

import asdf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from ramps import interpreted, make_ramp, same_for_any_threads
from scipy.interpolate import make_interp_spline

from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Header, Ramp
from calwebbd.stages.kernels.waves import subtract_wave
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.emicorr import emicorr
from calwebbd.stages.steps.emicorr.clock import Case, Clock, Wave, known_case, unknown_case
from calwebbd.stages.steps.emicorr.joint import TRIALS, Fit, Parabolas, fit_wave, next_trials, summed
from calwebbd.stages.steps.emicorr.sequential import (
    aligned,
    binned,
    resampled,
    with_late_edge,
    without_ramps,
)
from calwebbd.stages.steps.emicorr.spline import PeriodicSpline

FREQUENCY = 218.52  # Hz
ROW, FRAME = 96, 29952
PHASES = (np.arange(500) + 0.5) / 500
SHAPE = np.sin(2 * np.pi * PHASES) + 0.3 * np.sin(4 * np.pi * PHASES + 0.5)
TREE = {
    "frequencies": {"Hz218": {"frequency": FREQUENCY, "phase_amplitudes": SHAPE}},
    "subarray_cases": {
        "SUB256": {"rowclocks": ROW, "frameclocks": FRAME, "freqs": {"FAST": ["Hz218"]}},
        "FULL_SLOW": {
            "rowclocks": 2333,
            "frameclocks": 2388992,
            "freqs": {"SLOW": {"MIRIFULONG": ["Hz218"]}},
        },
        "MASKLYOT": {"rowclocks": 90, "frameclocks": 32400, "freqs": {"FAST": ["Hz10"]}},
    },
}
FAST = {"SUBARRAY": "SUB256", "READPATT": "FASTR1", "DETECTOR": "MIRIMAGE", "NSAMPLES": 1}


def disturbance(shape: tuple[int, ...], readpatt: str = "FASTR1") -> NDArray[np.float64]:
    """A sine of 3 DN at the frequency, as it is read: by the clock, tick by tick."""
    nints, ngroups, ny, nx = shape
    i, g, y, x = np.ogrid[:nints, :ngroups, :ny, :nx]
    frame = ny * ROW + (1024 - ny) * 7
    pause = FRAME if readpatt == "FASTR1" else 0
    ticks = i * (ngroups * frame + pause) + g * frame + y * ROW + x // 4
    phase = ticks * 1e-5 * FREQUENCY + 0.3
    wave: NDArray[np.float64] = 3 * np.sin(2 * np.pi * phase) + 0.9 * np.sin(4 * np.pi * phase + 0.5)
    return wave


def observed(
    shape: tuple[int, ...] = (2, 8, 64, 64), noise: float = 0.5, **keywords: Any
) -> tuple[Ramp, NDArray[np.float64]]:
    """Straight ramps with noise and a disturbance, and the same without the disturbance."""
    rng = np.random.default_rng(1)
    flux = rng.uniform(5, 30, shape[-2:])
    truth = 1000 + flux * np.arange(shape[1])[:, None, None] + rng.normal(0, noise, shape)
    header = FAST | keywords
    return make_ramp(truth + disturbance(shape, header["READPATT"]), **header), truth


@pytest.fixture
def references(tmp_path: Path) -> References:
    asdf.AsdfFile(TREE).write_to(tmp_path / "emi.asdf")
    return References({"emicorr": tmp_path / "emi.asdf"}, make_ramp(np.zeros((1, 1, 4, 4))).subarray)


def left(ramp: Ramp, truth: NDArray[np.float64]) -> float:
    """Standard deviation of what is left of the disturbance, but for a pattern that all groups share."""
    rest = ramp.sci - truth
    return float(np.std(rest - rest.mean(axis=1, keepdims=True)))


@pytest.mark.parametrize("readpatt", ["FAST", "FASTR1"])
@pytest.mark.parametrize("separately", [False, True])
def test_a_known_wave_is_removed_with_the_ramps(
    references: References, readpatt: str, separately: bool
) -> None:
    ramp, truth = observed(READPATT=readpatt)
    assert left(ramp, truth) > 2
    emicorr(ramp, references, fit_ints_separately=separately)
    assert left(ramp, truth) < 0.05
    assert ramp.sci.dtype == np.float32


def test_three_groups_are_enough(references: References) -> None:
    ramp, truth = observed((1, 3, 64, 64))
    emicorr(ramp, references)
    assert left(ramp, truth) < 0.1


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"nints_to_phase": 2},
        {"use_n_cycles": None},
        {"nbins": 600},
    ],
)
def test_a_known_wave_is_found_in_what_ramps_leave(references: References, params: dict[str, Any]) -> None:
    ramp, truth = observed((2, 12, 64, 64))
    emicorr(ramp, references, algorithm="sequential", **params)
    assert left(ramp, truth) < 0.3


def test_an_unknown_wave_is_found_by_its_frequency_alone() -> None:
    ramp, truth = observed((2, 12, 64, 64))
    emicorr(ramp, onthefly_corr_freq=(FREQUENCY,))
    assert left(ramp, truth) < 0.5


def test_a_reference_wave_keeps_its_amplitude_if_it_is_not_to_be_scaled(references: References) -> None:
    ramp, truth = observed((2, 12, 64, 64))
    emicorr(ramp, references, algorithm="sequential", scale_reference=False)
    assert left(ramp, truth) == pytest.approx(2 / 3 * left(*observed((2, 12, 64, 64))), rel=0.1)


def test_bright_and_flagged_pixels_do_not_disturb_the_fit(references: References) -> None:
    ramp, _ = observed()
    ramp.sci[:, :, 10:20, 10:20] += np.float32(500) * np.arange(8, dtype=np.float32)[:, None, None] ** 2
    ramp.sci[:, 4:, 30, :] += 20
    ramp.pixeldq[30] = 1
    before = ramp.sci.copy()
    emicorr(ramp, references)
    wave = disturbance(ramp.sci.shape)
    assert np.std(before - ramp.sci - wave) < 0.1


def test_without_a_wave_next_to_nothing_changes(references: References) -> None:
    ramp, truth = observed()
    ramp.sci[:] = truth
    emicorr(ramp, references)
    assert np.abs(ramp.sci - truth).max() < 0.1


def test_a_wave_that_repeats_with_every_group_cannot_be_seen(references: References) -> None:
    """Its part in a ramp is the same in each group, as the bias is."""
    ramp, _ = observed((1, 5, 8, 8))
    before = ramp.sci.copy()
    frame = 8 * ROW + 1016 * 7
    tree = {**TREE, "frequencies": {"Hz218": {"frequency": 1e5 / frame, "phase_amplitudes": SHAPE}}}
    path = references["emicorr"].path
    asdf.AsdfFile(tree).write_to(path)
    emicorr(ramp, references)
    np.testing.assert_array_equal(ramp.sci, before)


@pytest.mark.parametrize(
    ("keywords", "params", "shape", "reason"),
    [
        ({"READPATT": "FASTR100"}, {}, (1, 5, 4, 4), "READPATT is FASTR100"),
        ({}, {}, (1, 2, 4, 4), "2 groups"),
        ({}, {"algorithm": "sequential"}, (1, 3, 4, 4), "3 groups"),
        ({"SUBARRAY": "SUB64"}, {}, (1, 5, 4, 4), "SUBARRAY SUB64"),
        ({"SUBARRAY": "SUB7"}, {"onthefly_corr_freq": (10.0,)}, (1, 5, 4, 4), "SUBARRAY SUB7"),
    ],
)
def test_what_cannot_be_corrected_is_skipped(
    references: References,
    keywords: dict[str, Any],
    params: dict[str, Any],
    shape: tuple[int, ...],
    reason: str,
) -> None:
    ramp = make_ramp(np.zeros(shape), **(FAST | keywords))
    with pytest.raises(Skip, match=reason):
        emicorr(ramp, references, **params)


def test_without_a_reference_there_is_nothing_to_fit() -> None:
    with pytest.raises(Skip, match="reference is N/A"):
        emicorr(make_ramp(np.zeros((1, 5, 4, 4)), **FAST))


def test_the_reference_knows_waves_by_subarray_speed_and_detector() -> None:
    slow = Header({"SUBARRAY": "FULL", "READPATT": "SLOWR1", "DETECTOR": "MIRIFULONG"})
    found = known_case(TREE, slow)
    assert found is not None
    assert (found.rowclocks, found.waves[0].frequency) == (2333, FREQUENCY)
    assert known_case(TREE, Header(slow | {"DETECTOR": "MIRIMAGE"})) is None
    assert known_case(TREE, Header(slow | {"READPATT": "FAST"})) is None


def test_a_reference_that_lacks_its_own_frequency_is_refused() -> None:
    with pytest.raises(ReferenceMissing, match="Hz10"):
        known_case(TREE, Header({"SUBARRAY": "MASKLYOT", "READPATT": "FAST"}))


def test_without_reference_the_clocks_are_built_in() -> None:
    full = Header({"SUBARRAY": "FULL", "READPATT": "SLOWR1"})
    assert unknown_case((10.0,), full) == Case(2333, 2388992, (Wave(10.0, None),))


def test_pixels_are_read_output_by_output_row_by_row() -> None:
    ramp = make_ramp(np.zeros((1, 3, 2, 8)), **(FAST | {"NSAMPLES": 9}))
    clock = Clock.of(ramp, Case(100, 5000, ()))
    assert clock.pixels.tolist() == [[0, 9], [100, 109]]
    assert (clock.group, clock.ngroups, clock.pause) == (2 * 100 + 1022 * 7, 3, 5000)


def test_pixels_at_the_right_edge_are_read_late() -> None:
    pixels = np.zeros((1, 258))
    assert with_late_edge(pixels, 0)[0, -1] == 3 + 2**32
    assert not with_late_edge(pixels, 1).any()


def test_a_spline_goes_through_its_samples_and_repeats() -> None:
    spline = PeriodicSpline(SHAPE)
    np.testing.assert_allclose(spline(PHASES), SHAPE, atol=1e-12)
    np.testing.assert_allclose(spline(PHASES + 3), SHAPE, atol=1e-10)
    middle = np.sin(2 * np.pi * 0.2) + 0.3 * np.sin(4 * np.pi * 0.2 + 0.5)
    np.testing.assert_allclose(spline(np.array([0.2])), middle, atol=1e-9)


@pytest.mark.parametrize("count", [2, 3, 4, 50])
def test_a_spline_is_the_one_without_knots_next_to_its_ends(count: int) -> None:
    samples = np.random.default_rng(count).normal(size=count)
    x = np.arange(count + 2) - 0.5
    expected = make_interp_spline(x, np.r_[samples[-1], samples, samples[0]], k=3)
    places = np.linspace(0, count, 500, endpoint=False)
    np.testing.assert_allclose(PeriodicSpline(samples)(places / count), expected(places), atol=1e-12)


def test_a_wave_is_subtracted_from_the_pixels_of_each_phase() -> None:
    spline = PeriodicSpline(SHAPE)
    phases = np.array([[0.0, 0.25], [0.999, 7.5]])
    with interpreted(subtract_wave) as loop:
        for subtract in (subtract_wave, loop):
            plane = np.full((2, 8), 10, np.float32)
            subtract(0, 2, plane, phases, 0.125, spline.pieces)
            expected = np.repeat(10 - spline(phases + 0.125), 4, axis=1)
            np.testing.assert_allclose(plane, expected, rtol=1e-7)


def test_ramps_of_the_same_phase_are_summed_and_counted() -> None:
    groups = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    usable = np.array([[True, True], [False, True]])
    sums = summed(groups, usable, np.array([[0, 2], [0, 0]]), 3)
    assert sums.tolist() == [[0 + 3, 4 + 7, 2], [0, 0, 0], [1, 5, 1]]


def parabolas(minimum: float, amplitude: float) -> Parabolas:
    """Chi-squared with its minimum at a phase, where the amplitude is this."""
    away = (TRIALS - minimum + 0.5) % 1 - 0.5
    a = np.ones((1, len(TRIALS)))
    return Parabolas(a, -2 * amplitude * np.sqrt(np.maximum(0, 1 - away**2))[np.newaxis])


@given(st.floats(0, 1, exclude_max=True))
def test_the_best_phase_lies_between_trials_also_at_the_ends(minimum: float) -> None:
    fit = fit_wave(parabolas(minimum, 3.0), [0.0])
    assert abs((fit.phase - minimum + 0.5) % 1 - 0.5) < 1e-4
    assert fit.amplitude == pytest.approx(3, abs=1e-3)


def test_where_no_trial_says_anything_there_is_no_wave() -> None:
    nothing = np.zeros((1, len(TRIALS)))
    assert fit_wave(Parabolas(nothing, nothing), [0.0]) == Fit(0.0, 0.0)


@given(st.floats(0, 50))
def test_a_shifted_phase_takes_the_next_trial(shift: float) -> None:
    found = TRIALS[next_trials(TRIALS, shift)]
    ahead = (found - TRIALS - shift) % 1
    assert ((ahead < 1 / len(TRIALS) + 1e-9) | (ahead > 1 - 1e-9)).all()


def test_straight_ramps_leave_nothing() -> None:
    groups = np.arange(5, dtype=np.float32)[:, None, None] * np.linspace(1, 9, 64, dtype=np.float32)
    quiet = without_ramps(np.tile(groups, (1, 4, 1)) + np.float32(100))
    assert quiet.shape == (5, 4, 16)
    assert np.abs(quiet).max() < 1e-3


def test_bins_leave_out_their_lower_edge_and_outliers() -> None:
    phases = [np.array([0.0, 0.25, 0.5, 0.75, 1.0] + [0.6] * 30)]
    values = [np.array([99, 1, 2, 4, 5] + [4] * 29 + [400], np.float32)]
    np.testing.assert_allclose(binned(values, phases, 2), [-1.25, 1.25])
    assert np.isnan(binned(values, phases, 10)).all()


def test_waves_are_resampled_by_the_sample_in_which_each_begins() -> None:
    wave = np.array([0.0, 1, 2, 3])
    assert resampled(wave, 8).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert resampled(wave, 2).tolist() == [0, 2]
    assert len(resampled(wave, 6.5)) == 7


@settings(max_examples=20)
@given(st.integers(0, 99), st.floats(0.5, 5))
def test_a_wave_is_found_shifted_and_scaled(shift: int, amplitude: float) -> None:
    shape = SHAPE[::5]
    table = aligned(shape, amplitude * np.roll(shape, shift) + 1, 100.0, scaled=True)
    np.testing.assert_allclose(table, amplitude * np.roll(shape, shift), atol=1e-9)


@pytest.mark.parametrize("params", [{}, {"algorithm": "sequential"}])
def test_threads_change_no_bit(
    monkeypatch: pytest.MonkeyPatch, references: References, params: dict[str, Any]
) -> None:
    def work() -> tuple[Any]:
        ramp, _ = observed((2, 5, 40, 16))
        return (emicorr(ramp, references, **params).sci,)

    same_for_any_threads(monkeypatch, work)
