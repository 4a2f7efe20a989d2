"""The correction of NIRSpec's interleaved read-out, on a detector of two cells and sixteen lines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from ramps import apart, make_ramp

from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Ramp, Subarray
from calwebbd.stages.flags import BAD_REF_PIXEL, DO_NOT_USE, SATURATED
from calwebbd.stages.irs2 import FULL, OUTPUTS, Layout
from calwebbd.stages.references import References
from calwebbd.stages.steps.refpix import refpix
from calwebbd.stages.steps.refpix.amplifiers import RefPixParams
from calwebbd.stages.steps.refpix.correlated import (
    Correction,
    Spectrum,
    Weights,
    fill_gaps,
    of_real,
    pass_band,
    subtract_trend,
)
from calwebbd.stages.steps.refpix.interleaved import (
    Replacement,
    Totals,
    by_output,
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


def correct(
    samples: np.ndarray, alpha: Any, beta: Any, layout: Layout = SMALL, *, keep: bool = False
) -> None:
    """All groups, (ngroups, sample, line), in place, by weights of all frequencies, or the same for all."""
    n, correction = layout.slots * layout.lines, Correction(layout, keep=keep)
    halves = [[of_real(a, layout) for a in np.broadcast_to(w, (4, n)).astype(complex)] for w in (alpha, beta)]
    blocks = samples.reshape(len(samples), OUTPUTS, layout.block, layout.lines)
    means = blocks.mean(axis=0, dtype=float)
    for group in blocks:
        reference = correction.reference(group[0], means[0])
        for output, weights in enumerate(map(Weights, *halves), start=1):
            correction.correct(output, group[output], means[output], weights, reference.copy())


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
    correct(samples, alpha, beta)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples[:, SMALL.pixels], expected, rtol=1e-5, atol=1e-3)


def test_noise_that_all_outputs_have_in_common_vanishes_by_the_reference_output() -> None:
    common = np.stack([of_clock(noise(N, seed=n), SMALL) for n in range(4)])
    samples = common.astype(np.float32)
    correct(samples, 1, 0)
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
    correct(samples, 0, beta, LONG)
    left = (samples[0] - samples[1])[output][LONG.normal]
    assert left.std() < 0.15 * wave.std()


def test_reference_pixels_without_noise_change_nothing() -> None:
    samples = np.full((3, SMALL.samples, SMALL.lines), 5, np.float32)
    samples[:, SMALL.pixels, 4:12] = noise(3, len(SMALL.pixels), 8)
    before = samples.copy()
    correct(samples, *map(complex_noise, (1, 3)))
    image = SMALL.pixels
    np.testing.assert_allclose(samples[:, image], before[:, image], atol=1e-6)


def test_kept_reference_pixels_are_corrected_and_lose_their_mean() -> None:
    common = np.stack([of_clock(noise(N, seed=n), SMALL) for n in range(3)]).astype(np.float32)
    common += np.float32(50)
    samples, image = common.copy(), common.copy()
    correct(samples, 1, 0, keep=True)
    correct(image, 1, 0)
    np.testing.assert_array_equal(samples[:, SMALL.pixels], image[:, SMALL.pixels])
    others = SMALL.block * np.arange(1, 5)[:, None] + SMALL.interleaved
    assert np.abs(samples[:, others.ravel()]).max() < 10
    assert (samples[:, : SMALL.block] > 40).all()


def quiet(layout: Layout = LONG) -> np.ndarray:
    return noise(3, layout.samples, layout.lines)


def found_bad(samples: np.ndarray, known: np.ndarray, n_sigma: float) -> np.ndarray:
    within = np.arange(OUTPUTS)[:, None] * LONG.block + LONG.interleaved
    each = [Totals.of(group[within.ravel()]) for group in samples]
    return find_bad(sum(each[1:], start=each[0]), known, n_sigma, LONG)


def test_sums_of_groups_give_the_statistics_of_all_samples() -> None:
    samples = 100 + noise(3, 4, 50)
    total = Totals.of(samples[0]) + Totals.of(samples[1]) + Totals.of(samples[2])
    for k, pair in enumerate((samples[:, :2], samples[:, 2:])):
        expected = np.abs(pair[:, 1] - pair[:, 0]).mean(), pair.mean(), pair.std()
        np.testing.assert_allclose([values[k] for values in total.statistics()], expected, rtol=1e-5)


@pytest.mark.parametrize("change", [3.0, 40.0])
def test_pairs_that_stand_out_are_bad_in_both_readings(change: float) -> None:
    samples = quiet()
    first = LONG.block + 30  # the second pair of a cell
    samples[1, first, :] += np.float32(change)
    known = np.zeros(LONG.samples, bool)
    bad = found_bad(samples, known, 3)
    assert np.flatnonzero(bad).tolist() == [first, first + 1]
    assert not found_bad(samples, known, 1000).any()


def test_known_bad_samples_stay_bad_and_do_not_count() -> None:
    samples = quiet()
    known = np.zeros(LONG.samples, bool)
    known[[8, 5]] = True
    samples[:, 8] = 1e6
    assert np.flatnonzero(found_bad(samples, known, 3)).tolist() == [5, 8]


def test_low_or_quiet_pairs_are_not_bad() -> None:
    samples = quiet()
    samples[:, 8:10] = -100
    assert not found_bad(samples, np.zeros(LONG.samples, bool), 3).any()


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


def test_replacements_are_means_or_zero_in_all_lines() -> None:
    block = np.arange(12, dtype=np.float32).reshape(4, 3)
    expected = block.copy()
    expected[1], expected[3] = (block[0] + block[2]) / 2, 0
    replace_bad(block, [Replacement(1, (0, 2)), Replacement(3, ())])
    np.testing.assert_array_equal(block, expected)


def test_replacements_are_sorted_by_outputs_and_keep_their_order() -> None:
    first, second = LONG.block, 2 * LONG.block
    steps = [
        Replacement(second + 9, (second + 29,)),
        Replacement(first + 28, ()),
        Replacement(second + 8, ()),
    ]
    found = by_output(steps, LONG)
    assert found == [[], [Replacement(28, ())], [Replacement(9, (29,)), Replacement(8, ())], [], []]


def offsets() -> np.ndarray:
    """Samples of output k read 10 k, of odd columns 1 more; of a cell's four the first two are odd."""
    sample = np.arange(SMALL.samples)
    odd = sample % 2 == 0
    place = sample % 20
    odd = np.where((place >= 8) & (place < 12), place < 10, odd)
    level = 10 * (sample // SMALL.block) + odd
    return np.repeat(level[:, None], SMALL.lines, axis=1).astype(np.float32)


def subtract_all_means(samples: np.ndarray, bad: np.ndarray, **params: bool) -> None:
    for first in range(0, SMALL.samples, SMALL.block):
        output = slice(first, first + SMALL.block)
        subtract_means(samples[output], bad[output], RefPixParams(**params), SMALL)


def test_offsets_of_outputs_and_of_odd_and_even_columns_vanish() -> None:
    samples, bad = offsets(), np.zeros((SMALL.samples, SMALL.lines), bool)
    samples[5, 8] += 3
    subtract_all_means(samples, bad)
    assert samples[5, 8] == 3
    assert np.abs(samples).sum() == 3


def test_outputs_lose_their_mean_where_odd_and_even_are_alike() -> None:
    samples, bad = offsets(), np.zeros((SMALL.samples, SMALL.lines), bool)
    subtract_all_means(samples, bad, odd_even_columns=False)
    assert set(np.unique(samples)) == {-0.5, 0.5}


def test_one_edge_serves_for_the_other_and_an_output_without_either_is_left_alone() -> None:
    samples, bad = offsets(), np.zeros((SMALL.samples, SMALL.lines), bool)
    samples[:, :4], bad[:, :4] = 99, True
    bad[: SMALL.block : 2, -4:] = bad[8:12, -4:] = bad[28:32, -4:] = True
    bad[[8, 9, 28, 29], -4:] = True
    bad[[0, 2, 4, 6], -4:] = True
    before = samples.copy()
    subtract_all_means(samples, bad)
    np.testing.assert_array_equal(samples[: SMALL.block], before[: SMALL.block])
    assert not samples[SMALL.block :, 4:].any()


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


def exposure(keywords: dict[str, Any], layout: Layout = SMALL, flagged: int = 0) -> Ramp:
    """Noise, with a pair that stands out in one integration; flagged : a sample with BAD_REF_PIXEL."""
    sci = noise(2, 3, layout.samples, layout.lines, seed=5)
    sci[0, :, layout.block + 8] += 100
    groupdq = np.zeros(sci.shape, np.uint8)
    groupdq[1, 2, layout.block + 12, 3] = SATURATED
    pixeldq = np.zeros(sci.shape[-2:], np.uint32)
    pixeldq[flagged, 0] = BAD_REF_PIXEL if flagged else 0
    turn = (slice(None, None, -1 if keywords["FASTAXIS"] < 0 else 1),) * 2
    ramp = make_ramp(sci[(..., *turn)], **keywords)
    ramp.groupdq[:], ramp.pixeldq[:] = groupdq[(..., *turn)], pixeldq[turn]
    return apart(ramp, layout)


def corrected(ramp: Ramp, references: References, layout: Layout = SMALL, **params: Any) -> Ramp:
    assert ramp.between
    return correct_interleaved(ramp, ramp.between, references, RefPixParams(**params), layout)


def test_the_image_is_all_that_is_left_with_its_flags(tmp_path: Path) -> None:
    references = write_weights(tmp_path, complex_noise(1), complex_noise(3), [(2, 1, 1)])
    ramp = corrected(exposure(NRS1), references)
    assert ramp.between is None
    assert ramp.sci.shape == ramp.groupdq.shape == (2, 3, 128, 16)
    assert ramp.pixeldq.shape == (128, 16)
    assert ramp.groupdq[1, 2, 8, 3] == SATURATED
    assert ramp.groupdq.sum() == SATURATED
    assert np.isfinite(ramp.sci).all()


def test_both_detectors_are_treated_alike(tmp_path: Path) -> None:
    references = write_weights(tmp_path, complex_noise(1), complex_noise(3), [(2, 1, 1)])
    one, two = (
        corrected(
            exposure(keywords, flagged=2 * SMALL.block + 30),
            references,
            irs2_mean_subtraction=True,
            preserve_irs2_refpix=True,
        )
        for keywords in (NRS1, NRS2)
    )
    np.testing.assert_allclose(two.sci[..., ::-1, ::-1], one.sci, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(two.groupdq[..., ::-1, ::-1], one.groupdq)
    assert one.between
    assert two.between
    np.testing.assert_allclose(two.between.sci(4)[::-1, ::-1], one.between.sci(4), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(two.between.pixeldq[::-1, ::-1], one.between.pixeldq)


def test_it_is_done_to_all_outputs_of_all_integrations(tmp_path: Path) -> None:
    alpha, beta = complex_noise(1), complex_noise(3)
    references, keep = write_weights(tmp_path, alpha, beta), {"ovr_corr_mitigation_ftr": 1000.0}
    samples = noise(2, 3, SMALL.samples, SMALL.lines, seed=5)
    ramp = corrected(apart(make_ramp(samples, **NRS1), SMALL), references, **keep)
    kept = corrected(apart(make_ramp(samples, **NRS1), SMALL), references, preserve_irs2_refpix=True, **keep)
    assert kept.between
    for n, integration in enumerate(samples):
        alone = integration.copy()
        correct(alone, alpha, beta)
        np.testing.assert_allclose(ramp.sci[n], alone[:, SMALL.pixels], rtol=1e-5, atol=1e-5)
        correct(integration, alpha, beta, keep=True)
        beside = [kept.between.sci(3 * n + group) for group in range(3)]
        np.testing.assert_allclose(beside, integration[:, kept.between.rows], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(kept.sci, ramp.sci)


def test_bad_samples_of_one_integration_are_flagged_and_replaced_in_all(tmp_path: Path) -> None:
    nothing = np.zeros((4, LONG.slots * LONG.lines))
    references = write_weights(tmp_path, nothing, nothing)
    known = 3 * LONG.block + 12  # a pixel of the image, which has been flagged
    ramp = corrected(exposure(NRS1, LONG, known), references, LONG, preserve_irs2_refpix=True)
    assert ramp.between
    pair = np.searchsorted(ramp.between.rows, [LONG.block + 8, LONG.block + 9])
    assert np.flatnonzero(ramp.between.pixeldq.any(axis=1)).tolist() == pair.tolist()
    assert (ramp.between.pixeldq[pair] == BAD_REF_PIXEL | DO_NOT_USE).all()
    here = np.searchsorted(ramp.between.image, known)
    assert (ramp.pixeldq[here] == BAD_REF_PIXEL | DO_NOT_USE).all()
    assert max(np.abs(ramp.between.sci(group)[pair]).max() for group in range(6)) < 10


def test_a_reference_that_is_absent_or_too_short_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ReferenceMissing, match="there is no refpix reference for NRSIRS2RAPID"):
        refpix.function(exposure(NRS1), References({}, Subarray(0, 0, 1, 3200)), RefPixParams())
    references = write_weights(tmp_path, complex_noise(1), complex_noise(3))
    with pytest.raises(ReferenceMissing, match=rf"refpix.fits has {2 * N} weights, not"):
        corrected(exposure(NRS1, LONG), references, LONG)
