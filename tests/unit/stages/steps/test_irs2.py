"""The correction of NIRSpec's interleaved read-out, on a detector of two cells and sixteen lines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from ramps import make_ramp, same_for_any_threads

from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Ramp, Subarray
from calwebbd.stages.flags import BAD_REF_PIXEL, DO_NOT_USE, SATURATED
from calwebbd.stages.irs2 import FULL, Layout
from calwebbd.stages.references import References
from calwebbd.stages.steps.refpix import refpix
from calwebbd.stages.steps.refpix.amplifiers import RefPixParams
from calwebbd.stages.steps.refpix.correlated import (
    Correction,
    Spectrum,
    fill_gaps,
    of_real,
    pass_band,
    subtract_trend,
)
from calwebbd.stages.steps.refpix.interleaved import (
    Replacement,
    find_bad,
    flagged_samples,
    listed_bad,
    plan,
    replace_bad,
    replacements,
    subtract_means,
)
from calwebbd.stages.steps.refpix.irs2 import correct_interleaved

SMALL = Layout(cells=2, lines=16)
LONG = Layout(cells=8, lines=32)
N = SMALL.slots * SMALL.lines
NRS1 = {"DETECTOR": "NRS1", "READPATT": "NRSIRS2RAPID", "FASTAXIS": 2, "SLOWAXIS": 1}
NRS2 = NRS1 | {"DETECTOR": "NRS2", "FASTAXIS": -2, "SLOWAXIS": -1}


def noise(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def complex_noise(seed: int, layout: Layout = SMALL) -> np.ndarray:
    n = layout.slots * layout.lines
    return np.asarray(noise(4, n, seed=seed) + 1j * noise(4, n, seed=seed + 1))


def correction(alpha: Any, beta: Any, layout: Layout = SMALL, **options: bool) -> Correction:
    """One whose weights are given at all frequencies, or are the same at all."""
    n = layout.slots * layout.lines
    halves = [[of_real(a, layout) for a in np.broadcast_to(w, (4, n)).astype(complex)] for w in (alpha, beta)]
    return Correction(layout, *halves, **options)


def of_clock(times: np.ndarray, layout: Layout) -> np.ndarray:
    """A sequence of all beats as each output's samples, (sample, line), in the array's order."""
    block = times.reshape(layout.lines, layout.slots).T[layout.slot]
    return np.concatenate([block if output % 2 else block[::-1] for output in range(5)])


def to_clock(samples: np.ndarray, output: int, layout: Layout) -> np.ndarray:
    """The sequence of one output, with zeros in the gaps: (lines, slots)."""
    block = samples[output * layout.block : (output + 1) * layout.block]
    times = np.zeros((layout.lines, layout.slots))
    times[:, layout.slot] = (block if output % 2 else block[::-1]).T
    return times


def detrended(times: np.ndarray) -> np.ndarray:
    t = np.arange(times.size).reshape(times.shape)
    edge = np.r_[:4, len(times) - 4 : len(times)]
    used = times[edge] != 0
    slope, level = np.polyfit(t[edge][used], times[edge][used], 1)
    return np.where(times != 0, times - slope * t - level, 0)


def by_definition(samples: np.ndarray, alpha: np.ndarray, beta: np.ndarray, layout: Layout) -> np.ndarray:
    """All groups corrected in time, in double precision, as the specification has it."""
    normal, cells = layout.slot[layout.normal], 22 * np.arange(layout.cells)
    window = np.sin(np.pi * np.arange(1, 32) / 32)
    mean = samples.astype(float).mean(axis=0)
    out = samples.copy()
    for g, group in enumerate(samples - mean):
        times = detrended(to_clock(group, 0, layout)).ravel()
        there = np.concatenate([times[-15:], times, times[:15]])
        times = np.where(
            times == 0, np.convolve(there, window, "valid") / np.convolve(there != 0, window, "valid"), times
        )
        filtered = times.reshape(layout.lines, -1).copy()
        for _ in range(3):
            filtered = np.fft.ifft(np.fft.fft(filtered.ravel()) * pass_band(layout)).real.reshape(
                filtered.shape
            )
            filtered[:, normal] = times.reshape(filtered.shape)[:, normal]
        for output in range(1, 5):
            own = detrended(to_clock(group, output, layout))
            around = np.zeros_like(own)
            for slot, source in zip(range(7, 15), (9, 11, 9, 11, 10, 12, 10, 12), strict=True):
                around[:, cells + slot] = own[:, cells + source]
            spectrum = alpha[output - 1] * np.fft.fft(filtered.ravel())
            spectrum += beta[output - 1] * np.fft.fft(around.ravel())
            own -= np.fft.ifft(spectrum).real.reshape(own.shape)
            block = own[:, layout.slot].T
            block = block if output % 2 else block[::-1]
            here = slice(output * layout.block, (output + 1) * layout.block)
            out[g, here] = block + mean[here]
    return np.asarray(out[:, layout.pixels])


def test_spectra_in_two_steps_are_those_of_the_sequence() -> None:
    rows = noise(SMALL.slots, SMALL.lines)
    spectrum, slots = Spectrum(SMALL), np.arange(SMALL.slots)
    steps = np.fft.fft(spectrum.along_lines(rows, slots), axis=0)
    whole = np.fft.fft(rows.T.ravel()).reshape(SMALL.slots, SMALL.lines)
    np.testing.assert_allclose(steps, whole[:, : SMALL.lines // 2 + 1], atol=1e-3)
    np.testing.assert_allclose(spectrum.to_rows(spectrum.along_lines(rows, slots), slots), rows, atol=1e-5)


def test_weights_of_half_a_spectrum_give_the_real_part() -> None:
    x, a = noise(N).astype(float), complex_noise(2)[0]
    expected = np.fft.ifft(a * np.fft.fft(x)).real
    spectrum, slots = Spectrum(SMALL), np.arange(SMALL.slots)
    half = np.fft.fft(spectrum.along_lines(x.reshape(SMALL.lines, -1).T.astype(np.float32), slots), axis=0)
    rows = spectrum.to_rows(np.fft.ifft(half * of_real(a, SMALL), axis=0).astype(np.complex64), slots)
    np.testing.assert_allclose(rows.T.ravel(), expected, atol=1e-4)


def test_the_filter_passes_what_is_slow_and_what_alternates() -> None:
    gain = pass_band(FULL)
    assert len(gain) == FULL.slots * FULL.lines
    np.testing.assert_array_equal(gain[1:], gain[:0:-1])
    assert (gain[:30269] == 1).all()
    assert gain[30269] < 1
    np.testing.assert_allclose(gain[32768], 0.5)
    assert (gain[35268 : 729088 - 35268] == 0).all()
    assert (gain[729088 - 30269 : 729089] == 1).all()


def test_trends_are_taken_from_the_first_and_last_lines() -> None:
    time = (SMALL.slot[:, None] + SMALL.slots * np.arange(SMALL.lines)).astype(np.float32)
    rows = 0.01 * time - 3
    rows[:, 4:12] += 50
    rows[3, 2] = 0
    subtract_trend(rows, SMALL)
    np.testing.assert_allclose(rows[:, 4:12], 50, rtol=1e-5)
    np.testing.assert_allclose(np.delete(rows, np.r_[4:12], axis=1), 0, atol=1e-5)
    assert rows[3, 2] == 0
    nothing = np.zeros_like(rows)
    subtract_trend(nothing, SMALL)
    assert not nothing.any()


def test_gaps_and_zeros_are_interpolated_through_the_ends_of_lines() -> None:
    rows = np.full((SMALL.block, SMALL.lines), 7, np.float32)
    rows[39, 5] = rows[0, 6] = 0
    np.testing.assert_allclose(fill_gaps(rows, SMALL), 7, rtol=1e-6)
    assert not fill_gaps(np.zeros_like(rows), SMALL).any()
    one = np.zeros_like(rows)
    one[39, 5] = 3  # at beat 43 of 52
    filled = fill_gaps(one, SMALL)
    np.testing.assert_allclose(filled[43 - 15 :, 5], 3, rtol=1e-6)
    np.testing.assert_allclose(filled[: 43 + 16 - 52, 6], 3, rtol=1e-6)
    assert not filled[43 + 16 - 52 :, 6].any()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_what_the_specification_defines(seed: int) -> None:
    samples, alpha, beta = 100 * noise(3, SMALL.samples, SMALL.lines, seed=seed), *map(complex_noise, (1, 3))
    expected = by_definition(samples, alpha, beta, SMALL)
    correction(alpha, beta).correct(samples)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples[:, SMALL.pixels], expected, rtol=1e-5, atol=1e-3)


def test_noise_that_all_outputs_have_in_common_vanishes_by_the_reference_output() -> None:
    common = np.stack([of_clock(noise(N, seed=n), SMALL) for n in range(4)])
    samples = common.astype(np.float32)
    correction(1, 0).correct(samples)
    means = common.mean(axis=0)[SMALL.pixels]
    np.testing.assert_allclose(samples[:, SMALL.pixels], np.broadcast_to(means, (4, *means.shape)), atol=1e-4)


def test_slow_noise_of_one_output_vanishes_by_its_interleaved_pixels() -> None:
    n = LONG.slots * LONG.lines
    time = np.arange(n)
    slow = np.minimum(time, n - time) < 3 * LONG.lines
    beta = np.zeros((4, n))
    beta[1] = slow * LONG.slots / (8 * LONG.cells)  # eight of a cell's slots stand for all
    samples = np.zeros((2, LONG.samples, LONG.lines), np.float32)
    output = slice(2 * LONG.block, 3 * LONG.block)
    wave = 10 * np.sin(2 * np.pi * 5 * time / n)
    samples[0, output] = of_clock(wave, LONG)[output]
    correction(0, beta, LONG).correct(samples)
    left = (samples[0] - samples[1])[output][LONG.normal]
    assert left.std() < 0.15 * wave.std()


def test_reference_pixels_without_noise_change_nothing() -> None:
    samples = np.full((3, SMALL.samples, SMALL.lines), 5, np.float32)
    samples[:, SMALL.pixels, 4:12] = noise(3, len(SMALL.pixels), 8)
    before = samples.copy()
    correction(*map(complex_noise, (1, 3))).correct(samples)
    np.testing.assert_allclose(samples, before, atol=1e-6)


def test_kept_reference_pixels_are_corrected_and_lose_their_mean() -> None:
    common = np.stack([of_clock(noise(N, seed=n), SMALL) for n in range(3)]).astype(np.float32)
    common += np.float32(50)
    samples, image = common.copy(), common.copy()
    correction(1, 0, keep=True).correct(samples)
    correction(1, 0).correct(image)
    np.testing.assert_array_equal(samples[:, SMALL.pixels], image[:, SMALL.pixels])
    others = SMALL.block * np.arange(1, 5)[:, None] + SMALL.interleaved
    assert np.abs(samples[:, others.ravel()]).max() < 10
    assert (samples[:, : SMALL.block] > 40).all()


def test_integrations_are_independent_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    cube, weights = noise(2, 5, SMALL.samples, SMALL.lines), [complex_noise(1), complex_noise(3)]

    def work() -> tuple[np.ndarray]:
        copy = cube.copy()
        for samples in copy:
            correction(*weights).correct(samples)
        return (copy,)

    same_for_any_threads(monkeypatch, work)
    alone = cube[1].copy()
    correction(*weights).correct(alone)
    np.testing.assert_array_equal(work()[0][1], alone)


def quiet(layout: Layout = LONG) -> np.ndarray:
    return noise(3, layout.samples, layout.lines)


@pytest.mark.parametrize("change", [3.0, 40.0])
def test_pairs_that_stand_out_are_bad_in_both_readings(change: float) -> None:
    samples = quiet()
    first = LONG.block + 30  # the second pair of a cell
    samples[1, first, :] += np.float32(change)
    known = np.zeros(LONG.samples, bool)
    bad = find_bad(samples, known, 3, LONG)
    assert np.flatnonzero(bad).tolist() == [first, first + 1]
    assert not find_bad(samples, known, 1000, LONG).any()


def test_known_bad_samples_stay_bad_and_do_not_count() -> None:
    samples = quiet()
    known = np.zeros(LONG.samples, bool)
    known[[8, 5]] = True
    samples[:, 8] = 1e6
    assert np.flatnonzero(find_bad(samples, known, 3, LONG)).tolist() == [5, 8]


def test_low_or_quiet_pairs_are_not_bad() -> None:
    samples = quiet()
    samples[:, 8:10] = -100
    assert not find_bad(samples, np.zeros(LONG.samples, bool), 3, LONG).any()


def test_samples_are_flagged_by_any_of_their_lines() -> None:
    dq = np.zeros((3, 4), np.uint32)
    dq[1, 2], dq[2, 0] = BAD_REF_PIXEL | DO_NOT_USE, DO_NOT_USE
    assert flagged_samples(dq).tolist() == [False, True, False]


def replaced(sample: int, *also_bad: int) -> tuple[int, ...]:
    bad = np.zeros(LONG.samples, bool)
    bad[[sample, *also_bad]] = True
    return next(replacements([sample], bad, LONG)).sources


def test_bad_samples_are_replaced_by_the_cells_beside_then_by_the_other_pixel_then_by_nothing() -> None:
    at = LONG.block + 28
    assert replaced(at) == (at - 20, at + 20)
    assert replaced(at, at - 20) == (at + 20,)
    assert replaced(at, at - 20, at + 20) == (at + 2,)
    assert replaced(at, at - 20, at + 20, at + 2) == ()
    assert replaced(at + 2, at - 18, at + 22) == (at,)


def test_replacements_come_from_the_same_output() -> None:
    assert replaced(LONG.block + 8) == (LONG.block + 28,)
    assert replaced(LONG.block - 12) == (LONG.block - 32,)


def test_the_references_list_counts_cells_and_readings_of_each_output() -> None:
    rows = [(1, 1, 0b1001), (2, 1, 1), (2, 2, 1), (3, 2, 0)]
    b = LONG.block
    assert list(listed_bad(rows, LONG)) == [
        [b + 8, b + 9, b + 68, b + 69],
        [2 * b + 10, 2 * b + 11],
        [2 * b + 8, 2 * b + 9],
        [],
    ]


def test_what_was_found_bad_is_not_replaced_again_by_the_list() -> None:
    bad = np.zeros(LONG.samples, bool)
    bad[LONG.block + 8] = True
    steps = plan(bad, [(1, 1, 0b01)], LONG)
    assert steps == [
        Replacement(LONG.block + 8, (LONG.block + 28,)),
        Replacement(LONG.block + 9, (LONG.block + 29,)),
    ]


def test_replacements_are_means_or_zero_in_all_groups_and_lines() -> None:
    samples = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    expected = samples.copy()
    expected[:, 1], expected[:, 3] = (samples[:, 0] + samples[:, 2]) / 2, 0
    replace_bad(samples, [Replacement(1, (0, 2)), Replacement(3, ())])
    np.testing.assert_array_equal(samples, expected)


def offsets() -> np.ndarray:
    """Samples of output k read 10 k, of odd columns 1 more; of a cell's four the first two are odd."""
    sample = np.arange(SMALL.samples)
    odd = sample % 2 == 0
    place = sample % 20
    odd = np.where((place >= 8) & (place < 12), place < 10, odd)
    level = 10 * (sample // SMALL.block) + odd
    return np.repeat(level[:, None], SMALL.lines, axis=1).astype(np.float32)


def test_offsets_of_outputs_and_of_odd_and_even_columns_vanish() -> None:
    samples, bad = offsets()[None], np.zeros((SMALL.samples, SMALL.lines), bool)
    samples[0, 5, 8] += 3
    subtract_means(samples, bad, RefPixParams(), SMALL)
    assert samples[0, 5, 8] == 3
    assert np.abs(samples).sum() == 3


def test_outputs_lose_their_mean_where_odd_and_even_are_alike() -> None:
    samples, bad = offsets()[None], np.zeros((SMALL.samples, SMALL.lines), bool)
    subtract_means(samples, bad, RefPixParams(odd_even_columns=False), SMALL)
    assert set(np.unique(samples)) == {-0.5, 0.5}


def test_one_edge_serves_for_the_other_and_an_output_without_either_is_left_alone() -> None:
    samples, bad = offsets()[None], np.zeros((SMALL.samples, SMALL.lines), bool)
    samples[0, :, :4], bad[:, :4] = 99, True
    bad[: SMALL.block : 2, -4:] = bad[8:12, -4:] = bad[28:32, -4:] = True
    bad[[8, 9, 28, 29], -4:] = True
    bad[[0, 2, 4, 6], -4:] = True
    before = samples.copy()
    subtract_means(samples, bad, RefPixParams(), SMALL)
    np.testing.assert_array_equal(samples[0, : SMALL.block], before[0, : SMALL.block])
    assert not samples[0, SMALL.block :, 4:].any()


def write_weights(folder: Path, alpha: np.ndarray, beta: np.ndarray, rows: Any = ()) -> References:
    """A ``refpix`` reference; rows : of its DQ table."""
    columns = [
        fits.Column(f"{name}_{k}", "E", array=np.ascontiguousarray(w[k], np.complex64).view(np.float32))
        for name, w in (("alpha", alpha), ("beta", beta))
        for k in range(4)
    ]
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="IRS2")]
    if rows:
        listed = np.array(rows, [("OUTPUT", "i2"), ("ODD_EVEN", "i2"), ("MASK", "i4")])
        hdus.append(fits.BinTableHDU(listed, name="DQ"))
    path = folder / "refpix.fits"
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return References({"refpix": path}, Subarray(0, 0, 2048, 3200))


def exposure(keywords: dict[str, Any], layout: Layout = SMALL) -> Ramp:
    sci = noise(2, 3, layout.samples, layout.lines, seed=5)
    sci[0, :, layout.block + 8] += 100
    groupdq = np.zeros(sci.shape, np.uint8)
    groupdq[1, 2, layout.block + 12, 3] = SATURATED
    backwards = keywords["FASTAXIS"] < 0
    ramp = make_ramp(sci[..., ::-1, ::-1] if backwards else sci, **keywords)
    ramp.groupdq[:] = groupdq[..., ::-1, ::-1] if backwards else groupdq
    return ramp


def test_the_exposure_shrinks_to_its_image_with_its_flags(tmp_path: Path) -> None:
    references = write_weights(tmp_path, complex_noise(1), complex_noise(3), [(2, 1, 1)])
    ramp = correct_interleaved(exposure(NRS1), references, RefPixParams(), SMALL)
    assert ramp.sci.shape == ramp.groupdq.shape == (2, 3, 128, 16)
    assert ramp.pixeldq.shape == (128, 16)
    assert ramp.groupdq[1, 2, 8, 3] == SATURATED
    assert ramp.groupdq.sum() == SATURATED
    assert np.isfinite(ramp.sci).all()


def test_both_detectors_are_treated_alike(tmp_path: Path) -> None:
    references = write_weights(tmp_path, complex_noise(1), complex_noise(3), [(2, 1, 1)])
    params = RefPixParams(irs2_mean_subtraction=True)
    one = correct_interleaved(exposure(NRS1), references, params, SMALL)
    two = correct_interleaved(exposure(NRS2), references, params, SMALL)
    np.testing.assert_allclose(two.sci[..., ::-1, ::-1], one.sci, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(two.groupdq[..., ::-1, ::-1], one.groupdq)


def test_bad_samples_of_one_integration_are_flagged_and_replaced_in_all(tmp_path: Path) -> None:
    references = write_weights(
        tmp_path, np.zeros((4, LONG.slots * LONG.lines)), np.zeros((4, LONG.slots * LONG.lines))
    )
    params = RefPixParams(preserve_irs2_refpix=True)
    before = exposure(NRS1, LONG)
    before.pixeldq[LONG.block + 12, 0] = BAD_REF_PIXEL
    after = correct_interleaved(exposure(NRS1, LONG), references, params, LONG)
    pair = slice(LONG.block + 8, LONG.block + 10)
    assert after.sci.shape == before.sci.shape
    assert (after.pixeldq[pair] == BAD_REF_PIXEL | DO_NOT_USE).all()
    assert after.pixeldq.any(axis=1).sum() == 2
    assert np.abs(after.sci[:, :, pair]).max() < 10
    np.testing.assert_array_equal(after.groupdq, before.groupdq)


def test_a_reference_that_is_absent_or_too_short_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ReferenceMissing, match="there is no refpix reference for NRSIRS2RAPID"):
        refpix.function(
            make_ramp(np.zeros((1, 1, 3200, 1)), **NRS1),
            References({}, Subarray(0, 0, 1, 3200)),
            RefPixParams(),
        )
    references = write_weights(tmp_path, complex_noise(1), complex_noise(3))
    with pytest.raises(ReferenceMissing, match=rf"refpix.fits has {2 * N} weights, not"):
        correct_interleaved(exposure(NRS1, LONG), references, RefPixParams(), LONG)
