"""What clean_flicker_noise is made of: clipping, backgrounds, and fits of noise."""

import numpy as np
import pytest
from astropy.stats import SigmaClip, sigma_clipped_stats
from hypothesis import given
from hypothesis import strategies as st
from photutils.background import Background2D, MedianBackground

from calwebbd.stages.exposure import Float
from calwebbd.stages.steps.clean_flicker_noise import automatic, fourier, sections
from calwebbd.stages.steps.clean_flicker_noise.clipping import BLOCK, Values, clip, median
from calwebbd.stages.steps.clean_flicker_noise.lines import line_medians
from calwebbd.stages.steps.clean_flicker_noise.mesh import divisor, smooth_background


def skewed(size: int, seed: int = 1) -> Float:
    """Normal values, some of them on top of an exponential tail."""
    random = np.random.default_rng(seed)
    values = random.normal(3, 5, size) + (random.random(size) < 0.1) * random.exponential(100, size)
    return values.astype(np.float32)


def noise(*shape: int, seed: int = 1) -> Float:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# clipping


@given(st.integers(1, 200), st.integers(0, 50))
def test_limits_are_those_of_astropy(size: int, seed: int) -> None:
    check_limits(skewed(size, seed))


def test_limits_of_large_images_are_those_of_astropy() -> None:
    check_limits(skewed(5 * BLOCK))


def check_limits(values: Float) -> None:
    image, mask = values[None], np.ones((1, values.size), bool)
    _, centre, sigma = sigma_clipped_stats(values.astype(float), sigma=3.0)
    kept = clip(image, mask, 3, 2)
    np.testing.assert_array_equal(mask[0], (values >= centre - 3 * sigma) & (values <= centre + 2 * sigma))
    np.testing.assert_array_equal(np.sort(np.concatenate(kept)), np.sort(values[mask[0]]))


def test_the_lower_half_is_not_widened_by_light() -> None:
    values = skewed(20000)
    both, half = np.ones((1, values.size), bool), np.ones((1, values.size), bool)
    clip(values[None], both, 2, 2)
    clip(values[None], half, 2, 2, lower_half=True)
    below = values[values <= np.median(values)].astype(float)
    mirrored = np.concatenate([below, 2 * np.median(values) - below])
    assert half.sum() < both.sum()
    assert values[half[0]].max() < np.median(values) + 2.05 * mirrored.std()


def test_a_histogram_finds_the_peak_beside_a_tail() -> None:
    values = skewed(50000)
    mask = np.ones((1, values.size), bool)
    kept = np.concatenate(clip(values[None], mask, 3, 2, histogram=True))
    assert kept.min() == pytest.approx(3 - 3 * 5, abs=0.5)
    assert kept.max() == pytest.approx(3 + 2 * 5, abs=0.5)


def test_infinite_values_do_not_count() -> None:
    image, mask = np.array([[1, 2, 3, np.inf]], np.float32), np.ones((1, 4), bool)
    clip(image, mask, 3, 3)
    assert mask.tolist() == [[True, True, True, False]]


def test_medians_are_of_the_middle_two() -> None:
    assert median(Values.of(np.array([4, 1, 3, 2], np.float32))) == 2.5
    assert median(Values.of(np.array([5, 1, 3], np.float32))) == 3
    assert np.isnan(median(Values.of(np.zeros(0, np.float32))))


# backgrounds


@pytest.mark.parametrize("shape", [(64, 96), (48, 128), (51, 37)])
def test_smooth_backgrounds_are_those_of_photutils(shape: tuple[int, int]) -> None:
    image = noise(*shape) + np.linspace(0, 9, shape[1], dtype=np.float32)
    image[::7, ::5] += 30
    mask = np.random.default_rng(2).random(shape) > 0.03
    mask[:20, :20] = False
    expected = Background2D(
        image, tuple(divisor(n) for n in shape), filter_size=(5, 5), mask=~mask,
        sigma_clip=SigmaClip(sigma=3, maxiters=5), bkg_estimator=MedianBackground(),
    ).background  # fmt: skip
    np.testing.assert_allclose(smooth_background(image, mask), expected, rtol=1e-6)  # type: ignore[arg-type]


def test_boxes_need_nine_tenths_of_their_pixels() -> None:
    image, mask = np.ones((8, 8), np.float32), np.ones((8, 8), bool)
    mask[::4] = False
    assert smooth_background(image, mask) is None
    assert (smooth_background(image, ~np.zeros((8, 8), bool)) == 1).all()  # type: ignore[union-attr]


def test_boxes_that_do_not_divide_an_image_reach_beyond_it() -> None:
    image = noise(20, 20)
    assert smooth_background(image, np.ones((20, 20), bool), (8, 8)).shape == (20, 20)  # type: ignore[union-attr]


# lines


def test_lines_have_the_median_of_their_background() -> None:
    image = np.array([[1, 2, 30, 4], [5, 6, 7, 8]], np.float32)
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 0]], bool)
    assert line_medians(image, mask, 1).tolist() == [[2], [0]]
    assert line_medians(image, mask, 0).tolist() == [[1, 2, 0, 4]]
    assert line_medians(image, ~mask, 1).tolist() == [[30], [6.5]]


def test_channels_have_medians_of_their_own() -> None:
    image = np.repeat(np.array([[1, 2, 3, 4]], np.float32), 512, axis=1)
    mask = np.ones(image.shape, bool)
    np.testing.assert_array_equal(line_medians(image, mask, 1, by_channel=True), image)
    np.testing.assert_array_equal(line_medians(image.T, mask.T, 0, by_channel=True), image.T)


# frequencies

N = 256


def slow(nlines: int, seed: int = 3) -> Float:
    """Lines of noise with frequencies 0 … 7 only, the same in each line."""
    random, x = np.random.default_rng(seed), np.arange(N) / N
    line = sum(random.normal() * np.cos(2 * np.pi * k * x + random.normal()) for k in range(8))
    return np.repeat(np.asarray(line, np.float32)[None], nlines, axis=0)


def test_low_frequencies_are_found_again() -> None:
    lines, mask = slow(48), np.ones((48, N), bool)
    model = fourier.model_lines(fourier.fit_lines(lines, mask), N)
    shifted = np.roll(lines, 1, axis=1)  # the kernel is off its centre by one sample
    np.testing.assert_allclose(model[16:32], shifted[16:32], atol=2e-4)


def test_high_frequencies_are_not_touched() -> None:
    lines = np.repeat(np.cos(np.pi * np.arange(N, dtype=np.float32))[None], 24, axis=0)
    model = fourier.model_lines(fourier.fit_lines(lines, np.ones(lines.shape, bool)), N)
    assert np.abs(model).max() < 1e-5


def test_lines_with_few_samples_stay_bounded() -> None:
    lines, mask = noise(24, N), np.zeros((24, N), bool)
    mask[:, 100:106] = True
    model = fourier.model_lines(fourier.fit_lines(lines, mask), N)
    assert np.isfinite(model).all()
    assert np.abs(model).max() < 100
    assert (fourier.fit_lines(lines, np.zeros((24, N), bool)) == 0).all()


def test_hidden_samples_do_not_count() -> None:
    lines, mask = slow(24), np.ones((24, N), bool)
    mask[:, 40:60] = False
    spoilt = lines.copy()
    spoilt[:, 40:60] = 1e4
    np.testing.assert_array_equal(fourier.fit_lines(lines, mask), fourier.fit_lines(spoilt, mask))


def test_orientation_is_undone() -> None:
    image = noise(5, 7)
    for detector in ("NRS1", "NRS2"):
        np.testing.assert_array_equal(fourier.from_lines(fourier.to_lines(image, detector), detector), image)
    np.testing.assert_array_equal(fourier.to_lines(image, "NRS2")[0], image[:, -1])


# sections


def test_sections_overlap_by_half_and_the_last_takes_the_rest() -> None:
    assert list(sections.bounds(np.full(10, 100))) == [(0, 6), (3, 10)]
    assert list(sections.bounds(np.array([0, 0, 5, 0, 5, 0]))) == [(2, 5)]
    assert list(sections.bounds(np.array([600, 600, 600]))) == [(0, 1), (1, 2), (2, 3)]


def test_slow_drifts_are_found_again() -> None:
    ticks = np.arange(40 * 76).reshape(40, 76)[:, :64]
    lines = (3 * np.cos(2 * np.pi * 40.0 * ticks * 1e-5) + 1).astype(np.float32)
    mask = np.random.default_rng(1).random(lines.shape) > 0.2
    fitted = sections.fit_sections(lines, mask, sections.Band())
    assert fitted is not None
    model = sections.model_sections(fitted, (40, 64))
    assert np.std(model - lines) < 0.15


def test_sections_without_enough_pixels_have_no_noise() -> None:
    lines, mask = noise(40, 64) + 5, np.zeros((40, 64), bool)
    mask[0, 0], mask[39, 63] = True, True
    fitted = sections.fit_sections(lines, mask, sections.Band())
    assert fitted is not None
    assert (sections.model_sections(fitted, (40, 64)) == 0).all()


def test_a_gap_between_lines_stays_bounded() -> None:
    """A plain inverse in single precision gives 2e5 here."""
    lines, mask = noise(110, 32), np.ones((110, 32), bool)
    mask[20:60] = False
    fitted = sections.fit_sections(lines, mask, sections.Band())
    assert fitted is not None
    assert np.abs(sections.model_sections(fitted, lines.shape)).max() < 100


def test_outliers_go_with_their_neighbours() -> None:
    lines = noise(9, 9)
    lines[4, 4] = 100
    mask = sections.without_outliers(lines, np.ones((9, 9), bool))
    assert np.argwhere(~mask).tolist() == [[3, 4], [4, 3], [4, 4], [4, 5], [5, 4]]
    lone = np.zeros((9, 9), bool)
    lone[4, 3:6] = True
    lines[4, 3], lines[4, 5] = 0, 0
    assert sections.fit_sections(lines, lone, sections.Band()) is None


# automatic choice


@pytest.mark.parametrize(
    ("seen", "choice"),
    [
        ({"lit": 0.2, "slope": 1e-3}, ("model", False)),
        ({"lit": 0.2}, ("median", False)),
        ({"offset": 0.1}, ("median", True)),
        ({"offset": 0.01, "scatter": 0.1}, ("median", True)),
        ({"slope": 1e-3, "scatter": 0.1}, ("model", False)),
        ({"slope": 5e-5, "ratio": 2}, ("model", False)),
        ({"slope": 5e-5, "ratio": 9}, ("median", False)),
    ],
)
def test_parameters_follow_the_look_of_an_image(seen: dict[str, float], choice: tuple[str, bool]) -> None:
    look = automatic.Look(**({"lit": 0, "offset": 0, "slope": 0, "ratio": 1, "scatter": 0} | seen))
    decided = automatic.decide(look, automatic.LIMITS["NIS_IMAGE"])
    assert (decided["background_method"], decided["fit_by_channel"]) == choice


def test_a_look_sees_sources_slopes_and_channels() -> None:
    rate = noise(64, 64) * np.float32(0.01) + np.arange(64, dtype=np.float32)
    rate[5:10, 5:10] += 1000
    seen = automatic.look("NRC_IMAGE", *automatic.background_of(rate, 1))
    assert seen.lit >= 25 / 64**2
    assert seen.slope == pytest.approx(1, rel=0.1)
    steps = np.repeat(np.array([0, 1, 1, 3], np.float32), 512)
    image = np.repeat(steps[None], 16, axis=0) + noise(16, 2048) * np.float32(1e-3)
    seen = automatic.look("NRC_IMAGE", image, np.ones(image.shape, bool))
    assert seen.offset == pytest.approx(2, abs=0.01)
