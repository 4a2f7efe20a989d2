"""What only one of several exposures saw is flagged; stars are not."""

import numpy as np
import pytest
from dithers import dither
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Image
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.outlier_detection import outlier_detection
from calwebbd.stages.steps.outlier_detection.flagging import blot, outliers_of_model, outliers_of_noise
from calwebbd.stages.steps.outlier_detection.median import layer, median, weight_threshold
from calwebbd.stages.steps.resample.pixmap import PixelMap

NAN = np.nan
SHAPE = (24, 30)
OFFSETS = ((0, 0), (3, 1), (1, 3), (4, 4))
STAR = (14, 12)  # x, y in the undithered image
RAY = (20, 8)  # x, y in the image that it hits
OUTLIER = flags.OUTLIER | flags.DO_NOT_USE


def scene(x: float, y: float) -> np.ndarray:
    """Sky of 10 and a star of 500, seen from the offset x, y."""
    rows, columns = np.indices(SHAPE)
    distance = (columns + x - STAR[0]) ** 2 + (rows + y - STAR[1]) ** 2
    return np.asarray(10 + 500 * np.exp(-distance / 2 / 1.5**2))


def observed(x: float, y: float, exposure: int, detector: str = "NRCA1") -> Image:
    """An exposure of the scene, its noise that of counted electrons."""
    image = dither(scene(x, y), x, y, exposure, detector)
    image.err[:] = np.sqrt(image.sci)
    return image


def dithers(ray: float = 200.0) -> list[Image]:
    """Four exposures of the scene; a cosmic ray hits the second."""
    images = [observed(x, y, n + 1) for n, (x, y) in enumerate(OFFSETS)]
    images[1].sci[RAY[1], RAY[0]] += ray
    return images


def flagged(image: Image) -> list[tuple[int, int]]:
    rows, columns = np.nonzero(image.dq & flags.OUTLIER)
    return list(zip(columns.tolist(), rows.tolist(), strict=True))


# ---- the step


def test_a_cosmic_ray_in_one_of_four_dithers_is_flagged_and_a_star_is_not() -> None:
    images = outlier_detection(dithers())
    assert [flagged(image) for image in images] == [[], [RAY], [], []]
    hit = images[1]
    assert hit.dq[RAY[1], RAY[0]] == OUTLIER
    for array in (hit.sci, hit.err, hit.var_poisson, hit.var_rnoise):
        assert np.argwhere(np.isnan(array)).tolist() == [[RAY[1], RAY[0]]]


def test_a_faint_excess_is_not_flagged() -> None:
    assert not any(flagged(image) for image in outlier_detection(dithers(ray=12.0)))


def test_the_limits_are_in_units_of_the_noise() -> None:
    images = dithers(ray=12.0)
    assert flagged(outlier_detection(images, snr=(3.0, 2.0))[1]) == [RAY]


def test_earlier_flags_stay_and_unusable_pixels_become_nan() -> None:
    images = dithers()
    images[0].dq[2, 3] = flags.DO_NOT_USE | flags.HOT
    images[0].dq[5, 6] = flags.JUMP_DET
    outlier_detection(images)
    assert images[0].dq[2, 3] == flags.DO_NOT_USE | flags.HOT
    assert np.isnan(images[0].sci[2, 3])
    assert images[0].dq[5, 6] == flags.JUMP_DET


def test_a_sky_level_of_its_own_is_no_outlier() -> None:
    images = dithers()
    for n, image in enumerate(images):
        image.sci += 50 * n
        image.header.update(BKGLEVEL=50.0 * n, BKGSUB=False)
    assert [flagged(image) for image in outlier_detection(images)] == [[], [RAY], [], []]


def test_detectors_of_one_exposure_are_one_layer_of_the_median() -> None:
    pairs = [
        observed(x, y, n + 1, detector)
        for n, (x, y) in enumerate(OFFSETS[:3])
        for detector in ("NRCA1", "NRCA2")
    ]
    for image in pairs[:2]:  # the same ray in both detectors of one exposure: still one of three
        image.sci[RAY[1], RAY[0]] += 200
    assert [flagged(image) for image in outlier_detection(pairs)] == [[RAY], [RAY], [], [], [], []]


def test_without_resampling_pixels_are_compared_with_their_median() -> None:
    images = [dither(np.full(SHAPE, 10), 0, 0, n + 1) for n in range(3)]
    images[2].sci[4, 7] = 15.1
    images[1].sci[4, 8] = 14.9
    outlier_detection(images, resample_data=False)
    assert [flagged(image) for image in images] == [[], [], [(7, 4)]]


def test_what_is_compared_can_be_kept() -> None:
    images = outlier_detection(dithers(), save_intermediate_results=True)
    kept = images[0].byproducts
    assert {suffix: len(some) for suffix, some in kept.items()} == {"outlier_i2d": 4, "median": 1, "blot": 4}
    (middle,) = kept["median"]
    assert [each.sci.shape for each in kept["outlier_i2d"]] == [middle.sci.shape] * 4
    blotted = kept["blot"][1]
    assert blotted.sci.shape == SHAPE
    assert np.isclose(blotted.sci[RAY[1], RAY[0]], 10, atol=0.5)
    assert (middle.header["CTYPE1"], "CD1_1" in middle.header) == ("RA---TAN", False)
    assert not any(image.byproducts for image in images[1:])


def test_without_resampling_there_is_only_the_median_to_keep() -> None:
    images = outlier_detection(dithers(), resample_data=False, save_intermediate_results=True)
    assert list(images[0].byproducts) == ["median"]


def test_without_resampling_all_images_have_one_shape() -> None:
    with pytest.raises(InputError, match="one shape"):
        outlier_detection([dither(np.ones((4, 4))), dither(np.ones((4, 5)))], resample_data=False)


def test_one_image_has_nothing_to_be_compared_with() -> None:
    with pytest.raises(Skip, match="one image"):
        outlier_detection(dithers()[:1])


def test_a_limit_has_two_passes() -> None:
    with pytest.raises(ParameterError, match=r"outlier_detection\.snr takes two"):
        outlier_detection(dithers(), snr=(5.0,))


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for count in ("1", "4"):
        monkeypatch.setenv("CALWEBBD_THREADS", count)
        found.append(np.array([image.dq for image in outlier_detection(dithers())]))
    np.testing.assert_array_equal(*found)


# ---- the median


def layers(*images: list[list[float]], weights: list[list[list[float]]] | None = None) -> np.ndarray:
    sci = [np.array(image, np.float32) for image in images]
    wht = [np.array(w, np.float32) for w in weights] if weights else [np.ones_like(image) for image in sci]
    return median([layer(0, 0, s, w, 0.7) for s, w in zip(sci, wht, strict=True)], sci[0].shape)


def test_the_median_ignores_nan() -> None:
    out = layers([[1, 1, NAN, NAN]], [[3, NAN, NAN, NAN]], [[9, 2, 5, NAN]])
    np.testing.assert_array_equal(out, np.array([[3, 1.5, 5, NAN]], np.float32))


def test_pixels_of_little_weight_do_not_count() -> None:
    out = layers([[1, 1]], [[3, 3]], [[9, 9]], weights=[[[2, 2]], [[2, 2]], [[2, 1]]])
    np.testing.assert_array_equal(out, [[3, 2]])


def test_the_threshold_is_a_part_of_the_mean_weight() -> None:
    assert weight_threshold(np.array([[2, 4, 0, NAN]], np.float32), 0.5) == 1.5
    assert np.isnan(weight_threshold(np.zeros((2, 2), np.float32), 0.5))


def test_extreme_weights_do_not_change_the_threshold() -> None:
    weight = np.full((10, 10), 2, np.float32)
    weight[0], weight[1] = 1.9, 2.1
    plain = weight_threshold(weight, 0.7)
    weight[5, 5] = 1e6
    assert weight_threshold(weight, 0.7) == pytest.approx(plain, rel=1e-3)


@given(arrays(np.float32, (5, 3, 4), elements=st.floats(-10, 10, width=32) | st.just(NAN)))
def test_the_median_is_that_of_numpy(stack: np.ndarray) -> None:
    out = median([layer(0, 0, image.copy(), np.ones_like(image), 0.7) for image in stack], (3, 4))
    expected = np.full((3, 4), NAN, np.float32)
    seen = ~np.isnan(stack).all(axis=0)
    expected[seen] = np.nanmedian(stack[:, seen], axis=0)
    np.testing.assert_array_equal(out, expected)


# ---- blotting


@pytest.mark.parametrize(
    ("x", "y", "value"),
    [
        (0.0, 0.0, 1.0),
        (0.5, 0.0, 1.5),
        (0.0, 0.5, 2.5),
        (0.25, 0.5, 2.75),
        (2.0, 0.5, 4.5),  # last column: along y only
        (2.4, 0.5, 4.5),
        (0.5, 1.4, 4.5),  # last row: along x only
        (2.9, 1.9, 6.0),  # last pixel: its value
        (-0.1, 0.0, NAN),
        (0.0, -0.1, NAN),
        (3.0, 0.0, NAN),
        (0.0, 2.0, NAN),
        (NAN, 0.0, NAN),
    ],
)
def test_blotting_is_bilinear_up_to_the_last_pixel(x: float, y: float, value: float) -> None:
    image = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    np.testing.assert_array_equal(
        blot(image, PixelMap(np.array([[[x, y]]], np.float64))), np.array([[value]], np.float32)
    )


def test_a_neighbour_that_is_nan_spoils_even_what_it_does_not_count_for() -> None:
    image = np.array([[1, NAN, 3], [4, 5, 6]], np.float32)
    out = blot(image, PixelMap(np.array([[[0.0, 0.0], [0.0, 1.0], [2.0, 0.0]]])))
    np.testing.assert_array_equal(out, np.array([[NAN, 4, 3]], np.float32))


@given(arrays(np.float32, (4, 5), elements=st.floats(-100, 100, width=32)))
def test_blotting_at_the_pixels_returns_the_image(image: np.ndarray) -> None:
    rows, columns = np.indices(image.shape, np.float64)
    np.testing.assert_array_equal(blot(image, PixelMap(np.stack([columns, rows], axis=-1))), image)


# ---- flagging


def compare(
    sci: list[list[float]], model: list[list[float]] | float, err: float = 1.0, sky: float = 0.0
) -> list[list[int]]:
    data = np.array(sci, np.float32)
    blotted = np.broadcast_to(np.float32(model), data.shape).copy()
    mask = outliers_of_model(data, np.full_like(data, err), blotted, sky, (5.0, 4.0), (1.2, 0.7))
    return mask.astype(int).tolist()


def test_the_second_limit_holds_next_to_what_exceeds_the_first() -> None:
    assert compare([[0, 6, 4.5, 4.5, 3.9]], 0) == [[0, 1, 1, 0, 0]]
    assert compare([[6, 0], [0, 4.5]], 0) == [[1, 0], [0, 1]]
    assert compare([[4.9, 4.9]], 0) == [[0, 0]]
    assert compare([[-6, 0]], 0) == [[1, 0]]


def test_a_steep_model_allows_more() -> None:
    assert compare([[0, 17, 0]], [[0, 10, 0]]) == [[0, 0, 0]]
    assert compare([[0, 28, 0]], [[0, 10, 0]]) == [[0, 1, 0]]


def test_the_slope_ignores_neighbours_that_are_nan() -> None:
    assert compare([[0, 16, 0]], [[NAN, 10, NAN]]) == [[0, 1, 0]]


def test_nan_is_no_outlier_and_no_noise() -> None:
    assert compare([[NAN, 9, 9]], [[0, NAN, 0]]) == [[0, 0, 1]]
    assert compare([[0.1, 0]], 0, err=NAN) == [[1, 0]]


def test_the_sky_is_added_to_the_model() -> None:
    assert compare([[50, 50, 58]], 10, sky=40) == [[0, 0, 1]]


def test_noise_alone_decides_on_the_detector() -> None:
    sci, model = np.array([[5.5, 4.5, NAN]], np.float32), np.zeros((1, 3), np.float32)
    assert outliers_of_noise(sci, np.ones_like(sci), model, 5.0).tolist() == [[True, False, False]]


@given(arrays(np.float32, (5, 6), elements=st.floats(-100, 100, width=32)))
def test_higher_limits_flag_no_more(sci: np.ndarray) -> None:
    flat = np.zeros_like(sci)
    low = outliers_of_model(sci, np.ones_like(sci), flat, 0.0, (5.0, 4.0), (1.2, 0.7))
    high = outliers_of_model(sci, np.ones_like(sci), flat, 0.0, (9.0, 7.0), (1.2, 0.7))
    assert not (high & ~low).any()
