"""Generalised least squares, beside the covariance written out, and beside ramps whose rate is known."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ramps import interpreted, make_ramp, same_for_any_threads, write_reference

from calwebbd.stages.flags import DEAD, DO_NOT_USE, JUMP_DET, PERSISTENCE, SATURATED
from calwebbd.stages.kernels import likelihood
from calwebbd.stages.products import Plane
from calwebbd.stages.references import References
from calwebbd.stages.steps.ramp_fit import Slopes, Times, fit_likelihood, fit_slopes, ramp_fit, regular_reads
from calwebbd.stages.steps.ramp_fit.likelihood import timing_table

NOISE = 5.0  # DN, of a read
GAIN = 2.0


def fit(sci: Any, groupdq: Any = 0, *, pixeldq: int = 0, gain: float = GAIN, noise: float = NOISE,
        reads: Any = None, zeroframe: Any = None, **options: Any) -> Any:  # fmt: skip
    """Rates of one pixel with one ramp, (ngroups,), or more, (nints, ngroups); groups of 1 s."""
    sci = np.array(sci, np.float32)
    sci = sci.reshape(-1, sci.shape[-1], 1, 1) if sci.ndim < 4 else sci
    flags = np.asarray(groupdq, np.uint8)
    flags = flags if flags.ndim in (0, 4) else flags.reshape(-1, flags.shape[-1], 1, 1)
    flags = np.array(np.broadcast_to(flags, sci.shape))
    ny, nx = sci.shape[-2:]
    maps = [np.full((ny, nx), value, np.float32) for value in (gain, noise * np.sqrt(2))]
    if zeroframe is not None:
        zeroframe = np.array(zeroframe, np.float32).reshape(-1, ny, nx)
    reads = regular_reads(sci.shape[1], 1, 0, 1.0) if reads is None else reads
    pixels = np.full((ny, nx), pixeldq, np.uint32)
    return fit_likelihood(sci, flags, pixels, *maps, reads, zeroframe=zeroframe, **options)


def value(slopes: Slopes) -> list[float]:
    """Rate, error, variances by photons and by reading of a single pixel."""
    return [float(a.item()) for a in slopes[:4]]


def written_out(ramp: Any, reads: Any, rate: float, use: Any) -> list[float]:
    """The same from the definitions: the covariance of means of reads, differenced, inverted."""
    n = len(reads)
    shared = np.array([[np.minimum.outer(a, b).mean() for b in reads] for a in reads])
    step = np.diff(np.eye(n), axis=0) / np.diff([np.mean(t) for t in reads])[:, None]
    step = step[np.asarray(use, bool)]
    photons = step @ (rate / GAIN * shared) @ step.T
    reading = step @ np.diag([NOISE**2 / len(t) for t in reads]) @ step.T
    inverse = np.linalg.inv(photons + reading)
    total = inverse.sum()
    weights = inverse.sum(axis=0) / total
    return [
        float(weights @ (step @ np.asarray(ramp, float))),
        total**-0.5,
        float(weights @ photons @ weights),
        float(weights @ reading @ weights),
    ]


@pytest.mark.parametrize("nframes", [1, 4])
@pytest.mark.parametrize("lost", [(), (3,), (0, 4)])
def test_the_fit_is_that_of_the_covariance_written_out(nframes: int, lost: tuple[int, ...]) -> None:
    ramp = np.array([3.0, 41.0, 82.0, 117.0, 163.0, 201.0, 240.0])
    reads = regular_reads(7, nframes, 2, 1.0 / (nframes + 2))
    flags = np.zeros(7, np.uint8)
    flags[list(lost)] = DO_NOT_USE
    use = (flags[1:] == 0) & (flags[:-1] == 0)
    rate, rateints, _ = fit(ramp, flags, reads=reads)
    guess = float(np.median(np.diff(ramp)))  # of the search, whose slope the last fit goes by
    first = written_out(ramp, reads, guess, use)[0]
    assert value(rate) == pytest.approx(written_out(ramp, reads, first, use), rel=1e-6)
    assert value(rateints) == value(rate)
    assert rate.dq.item() == 0
    assert rate.err.item() ** 2 == pytest.approx(rate.var_poisson.item() + rate.var_rnoise.item())


def test_uneven_reads_are_fitted_by_their_times() -> None:
    reads = np.array([[1.0, 2.0], [5.0, 6.0], [7.0, 8.0], [20.0, 21.0]])
    rate, _, _ = fit(3.0 * reads.mean(axis=1), reads=reads)
    assert rate.sci.item() == pytest.approx(3.0)


def test_a_jump_is_left_out_and_flagged() -> None:
    ramp = 10.0 * np.arange(8)
    ramp[5:] += 300
    rate, rateints, _ = fit(ramp)
    assert rate.sci.item() == pytest.approx(10.0)
    assert rate.dq.item() == rateints.dq.item() == JUMP_DET
    two = ramp.copy()
    two[2:] += 200
    assert fit(two)[0].sci.item() == pytest.approx(10.0)
    assert fit(10.0 * np.arange(8))[0].dq.item() == 0


def test_a_jump_between_the_reads_of_a_group_takes_both_its_differences() -> None:
    ramp = 10.0 * np.arange(8)
    ramp[4:] += 300
    ramp[4] -= 150  # half of the reads came before
    assert fit(ramp, reads=regular_reads(8, 4, 0, 0.25))[0].sci.item() == pytest.approx(10.0)


@pytest.mark.parametrize("ngroups", [4, 5, 6, 7, 10])
def test_jumps_of_ramps_without_signal_are_found(ngroups: int) -> None:
    ramp = 0.3 * np.cos(np.arange(ngroups) * np.pi)  # differences of both signs
    ramp[-1] += 7000
    rate, _, _ = fit(ramp)
    assert abs(rate.sci.item()) < 1
    assert rate.dq.item() == JUMP_DET


def test_of_two_differences_that_contradict_each_other_the_lesser_is_kept() -> None:
    flags = [0, 0, 0, DO_NOT_USE, DO_NOT_USE]
    assert fit([0, 10, 510, 0, 0], flags)[0].sci.item() == pytest.approx(10.0)
    assert fit([0, 500, 510, 0, 0], flags)[0].sci.item() == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("flags", "dq"),
    [
        ([SATURATED] * 5, DO_NOT_USE | SATURATED),
        ([0, SATURATED, SATURATED, SATURATED, SATURATED], SATURATED),
        ([PERSISTENCE] * 5, 0),
    ],
)
def test_ramps_without_a_difference_are_nan_throughout(flags: list[int], dq: int) -> None:
    for slopes in fit([0, 10, 20, 30, 40], flags)[:2]:
        assert np.isnan(value(slopes)).all()
        assert slopes.dq.item() == dq


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sample_that_is_not_finite_spoils_its_ramp_even_if_flagged(bad: float) -> None:
    rate, _, chisq = fit([0, 10, bad, 30, 40], [0, 0, DO_NOT_USE, 0, 0], want_chisq=True)
    assert np.isnan([*value(rate), chisq.item()]).all()
    assert rate.dq.item() == 0


@pytest.mark.parametrize("gain", [0.0, -1.0, np.nan])
def test_pixels_without_a_gain_are_nan(gain: float) -> None:
    assert np.isnan(value(fit([0, 10, 20, 30, 40], gain=gain)[0])).all()


def test_flags_of_the_pixel_stay_and_blank_nothing() -> None:
    rate, _, _ = fit([0, 10, 20, 30, 40], pixeldq=DO_NOT_USE | DEAD)
    assert rate.sci.item() == pytest.approx(10.0)
    assert rate.dq.item() == DO_NOT_USE | DEAD


def test_the_zero_frame_becomes_a_group_of_its_own() -> None:
    reads = regular_reads(4, 4, 0, 0.25)
    times = np.array([0.25, 0.75, 1.625, 2.625, 3.625])  # of the first read, the other three, the rest
    ramp = 40.0 * reads.mean(axis=1)
    rate, _, _ = fit(ramp, reads=reads, zeroframe=[10.0])
    parts = [reads[0, :1], reads[0, 1:], *reads[1:]]
    assert value(rate) == pytest.approx(written_out(40 * times, parts, 40.0, np.ones(4)), rel=1e-5)
    # a single frame in a group leaves nothing to split off
    alone = regular_reads(4, 1, 0, 1.0)
    assert value(fit(ramp, reads=alone, zeroframe=[3.0])[0]) == value(fit(ramp, reads=alone)[0])


def test_dark_current_adds_to_the_errors_only() -> None:
    ramp = 10.0 * np.arange(6)
    plain, dark = (value(fit(ramp, dark=d)[0]) for d in (0.0, 5.0))
    assert dark[0] == pytest.approx(plain[0])
    assert dark[2] > 1.3 * plain[2]


def test_integrations_are_averaged_by_their_errors_at_the_same_rate() -> None:
    ramps = np.array([[0.0, 10, 20, 30, 40], [0, 14, 28, 42, 56]])
    rate, rateints, chisq = fit(ramps, want_chisq=True)
    assert rateints.sci.ravel() == pytest.approx([10.0, 14.0])
    assert 11.9 < rate.sci.item() < 12.1
    assert rate.err.item() == pytest.approx(np.sqrt(sum(value(rate)[2:])))
    assert chisq.item() == pytest.approx(0.0, abs=1e-6)
    flags = np.zeros((2, 5), np.uint8)
    flags[0] = SATURATED
    rate, rateints, _ = fit(ramps, flags)
    assert rate.sci.item() == pytest.approx(14.0)
    assert rate.dq.item() == SATURATED
    assert rateints.dq.ravel().tolist() == [DO_NOT_USE | SATURATED, 0]


def test_chisq_is_that_of_the_residuals() -> None:
    ramp = np.array([0.0, 12, 19, 31, 38])
    _, _, chisq = fit(ramp, gain=1e9, want_chisq=True)  # so many electrons that only reading makes noise
    line = np.polyval(np.polyfit(np.arange(5), ramp, 1), np.arange(5))
    assert chisq.item() == pytest.approx(((ramp - line) ** 2).sum() / NOISE**2, rel=1e-5)


def random_ramps(seed: int, nints: int = 2, ngroups: int = 6) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    shape = (nints, ngroups, 3, 70)
    flags = (generator.random(shape) < 0.05).astype(np.uint8) * np.uint8(DO_NOT_USE)
    sci = np.cumsum(generator.normal(30, 8, shape), axis=1)
    sci += np.cumsum(np.where(generator.random(shape) < 0.03, 400.0, 0.0), axis=1)
    return sci.astype(np.float32), flags


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_integrations_do_not_see_each_other_and_inputs_stay(seed: int) -> None:
    sci, flags = random_ramps(seed)
    before = sci.copy(), flags.copy()
    _, together, _ = fit(sci, flags)
    for i in range(2):
        _, alone, _ = fit(sci[i : i + 1], flags[i : i + 1])
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_array_equal(a[0], b[i])
    np.testing.assert_array_equal(sci, before[0])
    np.testing.assert_array_equal(flags, before[1])


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sci, flags = random_ramps(1)
    wide = np.tile(sci, (1, 1, 20, 1)), np.tile(flags, (1, 1, 20, 1))
    same_for_any_threads(monkeypatch, lambda: tuple(a for slopes in fit(*wide)[:2] for a in slopes))


def test_the_kernel_gives_the_same_as_python() -> None:
    sci, flags = random_ramps(2)
    sci, flags = np.ascontiguousarray(sci[:, :, :1]), np.ascontiguousarray(flags[:, :, :1])
    maps = (np.zeros((1, 70), np.uint32), *(np.full((1, 70), v, np.float32) for v in (1.5, 9.0)))
    rest = (np.full((1, 1), 0.01, np.float32), np.zeros((0, 1, 1), np.float32), np.float32(4))
    timing = timing_table(list(regular_reads(6, 4, 1, 0.2)))

    def results(kernel: Any) -> list[np.ndarray]:
        rateints = [np.empty((2, 1, 70), np.float32) for _ in range(4)]
        dq, chisq = np.empty((2, 1, 70), np.uint32), np.empty((2, 1, 70), np.float32)
        kernel(0, 1, sci, flags, *maps, *rest, timing, tuple(rateints), dq, chisq)
        return [*rateints, dq, chisq]

    with interpreted(likelihood.fit_differences) as function, np.errstate(all="ignore"):
        plain = results(function)
    for a, b in zip(results(likelihood.fit_differences), plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(("nframes", "groupgap"), [(1, 0), (4, 1), (8, 2)])
@pytest.mark.parametrize("algorithm", ["OLS_C", "LIKELY"])
@pytest.mark.parametrize("rate", [2.0, 50.0])
def test_rates_are_unbiased_and_errors_are_their_scatter(
    algorithm: str, rate: float, nframes: int, groupgap: int
) -> None:
    """Photons frame by frame, reading noise, averages of frames: the mean is true, and pulls have unit width.

    A pull goes by the error that the fit gives, which is larger for rates that came out
    high: the mean of pulls is therefore not 0, that of rates is. OLS_C takes averaged
    frames for instantaneous ones, which makes its errors a little too large where photons dominate.
    """
    generator = np.random.default_rng(3)
    ngroups, ny, nx, frame = 8, 50, 100, 1.0
    every = nframes + groupgap
    photons = generator.poisson(rate * GAIN * frame, (ngroups * every, ny, nx)).cumsum(axis=0) / GAIN
    frames = photons + generator.normal(0, NOISE, photons.shape)
    sci = frames.reshape(ngroups, every, ny, nx)[:, :nframes].mean(axis=1)[None].astype(np.float32)
    if algorithm == "LIKELY":
        slopes, _, _ = fit(sci, reads=regular_reads(ngroups, nframes, groupgap, frame))
    else:
        maps = [np.full((ny, nx), v, np.float32) for v in (GAIN, NOISE * np.sqrt(2))]
        flags = np.zeros(sci.shape, np.uint8), np.zeros((ny, nx), np.uint32)
        slopes, _ = fit_slopes(sci, *flags, *maps, Times(every * frame, frame, nframes))
    bias = (slopes.sci.mean() - rate) / (slopes.sci.std() / np.sqrt(slopes.sci.size))
    pulls = (slopes.sci - rate) / slopes.err
    print(f"{algorithm} {nframes}+{groupgap}, {rate} DN/s: bias {bias:+.1f} sigma of the mean,"
          f" pulls {pulls.mean():+.3f} ± {pulls.std():.3f}")  # fmt: skip
    assert abs(bias) < 5
    assert 0.9 < pulls.std() < 1.1
    assert abs(pulls.mean()) < 0.1


def test_the_step_fits_by_likelihood_if_asked_to_or_if_reads_are_uneven(tmp_path: Any) -> None:
    sci = np.zeros((1, 5, 3, 5)) + 20.0 * np.arange(5)[None, :, None, None]
    ramp = make_ramp(sci, TGROUP=10.0, TFRAME=10.0, BUNIT="DN")
    write_reference(tmp_path, "gain", ramp, sci=np.full((3, 5), 1.0))
    write_reference(tmp_path, "readnoise", ramp, sci=np.full((3, 5), 2.0))
    refs = References({kind: tmp_path / f"{kind}.fits" for kind in ("gain", "readnoise")}, ramp.subarray)
    ramp.groupdq[0, :, 1, 1] = SATURATED
    rate, _ = ramp_fit(ramp, refs, algorithm="LIKELY", save_opt=True)
    assert rate.sci[0, 0] == pytest.approx(2.0)
    assert np.isnan(rate.err[1, 1])
    plane = rate.byproducts["likely_chisq"]
    assert isinstance(plane, Plane)
    assert plane.sci.shape == (3, 5)
    ramp.pixeldq[:] = 0
    ramp.read_times = np.array([[1.0], [2.0], [4.0], [5.0], [6.0]])
    rate, _ = ramp_fit(ramp, refs)
    assert np.isnan(rate.err[1, 1])
    short = make_ramp(sci[:, :3], TGROUP=10.0, TFRAME=10.0)
    rate, _ = ramp_fit(short, refs, algorithm="LIKELY")
    assert rate.sci[0, 0] == pytest.approx(2.0)
