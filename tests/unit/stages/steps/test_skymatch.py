"""Sky levels: how one is measured, and how overlapping images are made equal."""

from pathlib import Path

import numpy as np
import pytest
from dithers import dither
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Image
from calwebbd.stages.footprints import directions
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.skymatch import skymatch
from calwebbd.stages.steps.skymatch.overlap import Footprint, common, fill
from calwebbd.stages.steps.skymatch.statistics import Core, Estimator, Sample, Sky, histogram, middle, peak

SHAPE = (20, 30)


def levels(images: list[Image]) -> list[float]:
    return [image.header.real("BKGLEVEL") for image in images]


def constant(*values: float, step: float = 4) -> list[Image]:
    """Images of one value each, every one `step` pixels from the last."""
    sky = [np.full(SHAPE, value) for value in values]
    return [dither(sci, n * step, n, exposure=n + 1) for n, sci in enumerate(sky)]


def noisy(seed: int = 1) -> list[Image]:
    images = constant(5, 7, 6)
    random = np.random.default_rng(seed)
    for image in images:
        image.sci += random.normal(0, 0.1, SHAPE).astype(np.float32)
    return images


# ---- matching


def test_offsets_of_constant_images_are_recovered() -> None:
    images = skymatch(constant(5, 7, 6.5), skymethod="match")
    np.testing.assert_allclose(levels(images), [0, 2, 1.5], atol=1e-12)
    assert [image.header["BKGSUB"] for image in images] == [False] * 3
    assert [image.header["BKGMETH"] for image in images] == ["match"] * 3


def test_matching_up_leaves_the_highest_level() -> None:
    np.testing.assert_allclose(
        levels(skymatch(constant(5, 7, 6.5), match_down=False)), [-2, 0, -0.5], atol=1e-12
    )


def test_noise_hides_no_offset() -> None:
    np.testing.assert_allclose(levels(skymatch(noisy(), skystat="median")), [0, 2, 1], atol=0.05)


def test_a_star_does_not_change_the_level() -> None:
    plain, starry = noisy(), noisy()
    starry[1].sci[5:8, 5:8] += 1000
    np.testing.assert_allclose(levels(skymatch(starry)), levels(skymatch(plain)), atol=0.1)


def test_flagged_and_nan_pixels_do_not_count() -> None:
    images = constant(5, 7)
    images[0].sci[3, :], images[0].dq[3, :] = 50, flags.DO_NOT_USE
    images[0].sci[4, :], images[0].dq[4, :] = 50, flags.NON_SCIENCE
    images[1].sci[5, :] = np.nan
    np.testing.assert_allclose(levels(skymatch(images, skystat="mean", nclip=0)), [0, 2], atol=1e-6)


def test_other_flags_do_not_exclude_a_pixel() -> None:
    images = constant(5, 7)
    images[0].dq[:] = flags.JUMP_DET
    assert levels(skymatch(images)) == pytest.approx([0, 2])
    with pytest.raises(Skip, match="no sky level"):
        skymatch(images, dqbits="0")


def test_detectors_of_one_exposure_share_a_level() -> None:
    one = [dither(np.full(SHAPE, 5), 0, 0, 1, "NRCA1"), dither(np.full(SHAPE, 6), 30, 0, 1, "NRCA2")]
    other = [dither(np.full(SHAPE, 7), 0, 10, 2, "NRCA1"), dither(np.full(SHAPE, 8), 30, 10, 2, "NRCA2")]
    assert levels(skymatch([*one, *other])) == pytest.approx([0, 0, 2, 2], abs=0.05)


def test_unconnected_pairs_are_each_matched_and_a_lonely_image_is_skipped() -> None:
    near = [dither(np.full(SHAPE, value), 2 * n, 0, n + 1) for n, value in enumerate((5, 6))]
    far = [dither(np.full(SHAPE, value), 200 + 2 * n, 0, n + 3) for n, value in enumerate((9, 12))]
    lonely = dither(np.full(SHAPE, 1), 0, 500, 5)
    with pytest.raises(Skip, match="00005") as skipped:
        skymatch([*near, lonely, *far])
    assert skipped.value.only == [lonely]
    assert "BKGLEVEL" not in lonely.header
    assert levels([*near, *far]) == pytest.approx([1, 2, 0, 3])  # least norm: each pair about zero


# ---- other methods


def test_local_levels_are_absolute() -> None:
    assert levels(skymatch(constant(5, 7, 6), skymethod="local")) == pytest.approx([5, 7, 6])


def test_the_global_level_is_the_lowest() -> None:
    assert levels(skymatch(constant(5, 7, 6), skymethod="global")) == pytest.approx([5, 5, 5])


def test_global_and_match_together_are_absolute_and_equal_the_images() -> None:
    assert levels(skymatch(constant(5, 7, 6), skymethod="global+match")) == pytest.approx([5, 7, 6])


def test_levels_of_a_user_go_by_file_name(tmp_path: Path) -> None:
    images = constant(5, 7)
    listed = tmp_path / "sky.txt"
    listed.write_text("".join(f"{image.file} {n + 0.5}\n" for n, image in enumerate(images)))
    assert levels(skymatch(images, skymethod="user", skylist=str(listed))) == [0.5, 1.5]


def test_a_list_of_levels_must_have_each_image_once(tmp_path: Path) -> None:
    images = constant(5, 7)
    listed = tmp_path / "sky.txt"
    listed.write_text(f"{images[0].file} 1\n")
    with pytest.raises(ParameterError, match="no level for jw01234001001_02101_00002_nrca1"):
        skymatch(images, skymethod="user", skylist=str(listed))
    listed.write_text(f"{images[0].file} 1\n{images[0].file} 2\n")
    with pytest.raises(ParameterError, match="more than once"):
        skymatch(images, skymethod="user", skylist=str(listed))
    with pytest.raises(ParameterError, match="needs a skylist"):
        skymatch(images, skymethod="user")


def test_only_subtract_changes_the_pixels() -> None:
    images = constant(5, 7)
    skymatch(images)
    assert images[1].sci[0, 0] == 7
    images = skymatch(constant(5, 7), subtract=True)
    assert [image.sci[0, 0] for image in images] == pytest.approx([5, 5])
    assert levels(images) == pytest.approx([0, 2])
    assert images[1].header["BKGSUB"] is True


def test_subtracting_again_adds_to_the_level() -> None:
    images = skymatch(constant(5, 7), subtract=True)
    images[1].sci += 1
    assert levels(skymatch(images, subtract=True)) == pytest.approx([0, 3])


def test_one_image_has_nothing_to_match() -> None:
    with pytest.raises(Skip, match="one image"):
        skymatch(constant(5))
    assert levels(skymatch(constant(5), skymethod="local")) == pytest.approx([5])


@pytest.mark.parametrize("earlier", [{"BKGLEVEL": 1.0}, {"BKGSUB": False}, {"BKGLEVEL": 1.0, "BKGSUB": True}])
def test_a_background_that_does_not_fit_is_an_error(earlier: dict[str, float]) -> None:
    images = constant(5, 7)
    images[1].header.update(earlier)
    with pytest.raises(InputError, match="BKGSUB is"):
        skymatch(images)


def test_images_have_two_axes_and_a_coordinate_system() -> None:
    images = constant(5, 7)
    images[1].sci = images[1].sci[np.newaxis]
    images[1].dq = images[1].dq[np.newaxis]
    with pytest.raises(InputError, match="not integrations"):
        skymatch(images)
    images[1].wcs = None
    with pytest.raises(InputError, match=r"00002_nrca1_cal\.fits: .* no WCS"):
        skymatch(images)


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for count in ("1", "4"):
        monkeypatch.setenv("CALWEBBD_THREADS", count)
        found.append(levels(skymatch(noisy(), skymethod="global+match")))
    assert found[0] == found[1]


# ---- overlaps


def outline(ra: float, dec: float, angle: float, corners: np.ndarray) -> Footprint:
    """A quadrilateral of about 0.01 deg."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x, y = turn @ (0.01 * np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]]) + 0.001 * corners)
    vertices = directions(np.stack([ra + x / np.cos(np.deg2rad(dec)), dec + y], axis=-1))
    return Footprint(np.vstack([vertices, vertices[:1]]), vertices.mean(axis=0), 0.1)


@given(
    st.sampled_from([(80.0, -69.0), (0.0, 0.0), (359.999, 89.9)]),
    st.floats(-0.012, 0.012),
    st.floats(0, 6),
    st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_overlaps_are_those_of_spherical_geometry(
    place: tuple[float, float], off: float, angle: float, seed: int
) -> None:
    corners = np.random.default_rng(seed).uniform(-1, 1, (2, 2, 4))
    one = outline(*place, 0.3, corners[0])
    other = outline(place[0], place[1] + off, angle, corners[1])
    ours, library = common(one, other), list(one.polygon.intersection(other.polygon).to_radec())
    assert len(ours) == len(library)
    for mine, theirs in zip(ours, library, strict=True):
        mine, theirs = (directions(np.stack(each, axis=-1))[:-1] for each in (mine, theirs))
        start = int(np.linalg.norm(mine - theirs[0], axis=1).argmin())
        np.testing.assert_allclose(np.roll(mine, -start, axis=0), theirs, atol=1e-12)


def test_an_outline_that_is_not_convex_is_cut_as_well() -> None:
    dented = outline(80.0, 0.0, 0.0, np.array([[0, 0, 0, 15], [0, 0, 0, -15]]))
    square = outline(80.001, 0.0, 0.0, np.zeros((2, 4)))
    found = common(dented, square)
    assert found
    for ra, dec in found:
        assert (ra[0], dec[0]) == (ra[-1], dec[-1])


# ---- the level of a sample


def sample(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def level(estimator: Estimator, values: np.ndarray) -> Sky | None:
    return estimator(Sample.of(values))


def test_statistics_of_a_few_values() -> None:
    values = sample(1, 2, 2, 3, 4)
    assert level(Estimator("mean"), values).level == pytest.approx(2.4)  # type: ignore[union-attr]
    assert level(Estimator("median"), values).level == 2  # type: ignore[union-attr]
    assert level(Estimator("median"), values).npix == 5  # type: ignore[union-attr]


def test_clipping_removes_what_is_far_from_the_mean() -> None:
    values = np.append(np.tile(sample(9, 11), 50), sample(1000))
    assert level(Estimator("mean", nclip=0), values).level == pytest.approx((1000 + 1000) / 101)  # type: ignore[union-attr]
    clipped = level(Estimator("mean"), values)
    assert (clipped.level, clipped.npix) == (10, 100)  # type: ignore[union-attr]


def test_values_beyond_the_limits_are_not_used() -> None:
    assert level(Estimator("mean", lower=1.5, upper=3.5), sample(1, 2, 3, 4)).level == 2.5  # type: ignore[union-attr]
    assert level(Estimator("mean", lower=5), sample(1, 2, 3, 4)) is None


def test_nothing_has_no_level() -> None:
    assert level(Estimator(), sample()) is None
    assert level(Estimator(), sample(3)) is None
    assert level(Estimator("mean"), sample(3)).level == 3  # type: ignore[union-attr]


def test_equal_values_are_their_own_mode() -> None:
    assert level(Estimator("mode"), sample(3, 3, 3)).level == 3  # type: ignore[union-attr]
    assert level(Estimator("midpt"), sample(3, 3, 3)).level == 3  # type: ignore[union-attr]


def test_the_last_bin_begins_with_the_greatest_value() -> None:
    assert histogram(sample(0, 1, 2, 3, 4), 0, 4, 1.0).tolist() == [1, 1, 1, 1, 1]
    assert histogram(sample(0, 1, 2, 3, 4), 0, 4, 1.5).tolist() == [2, 2, 1]
    assert histogram(sample(0, 1), 0, 1, 2.0).tolist() == [1]


@pytest.mark.parametrize(
    ("counts", "place"),
    [
        ([1], 0.5),
        ([2, 1], 0.5),
        ([1, 2], 1.5),
        ([2, 2], 1.0),
        ([3, 1, 0], 0.5),
        ([0, 1, 3], 2.5),
        ([1, 3, 1], 1.5),
        ([0, 3, 2], 1.75),
        ([3, 3, 3], 0.5),
        ([0, 3, 3, 0], 2.0),
    ],
)
def test_the_peak_is_a_parabola_through_three_bins(counts: list[int], place: float) -> None:
    assert peak(np.array(counts)) == place


@pytest.mark.parametrize(
    ("counts", "place"), [([1], 0.5), ([1, 1], 1.0), ([2, 1, 1], 1.0), ([1, 2, 1], 1.5), ([4, 1], 0.625)]
)
def test_half_of_the_values_lie_below_the_middle(counts: list[int], place: float) -> None:
    assert middle(np.array(counts)) == place


@given(arrays(np.float32, st.integers(2, 50), elements=st.floats(-100, 100, width=32)))
def test_every_statistic_lies_within_its_sample_and_a_bin(values: np.ndarray) -> None:
    for statistic in ("mode", "median", "midpt", "mean"):
        sky = level(Estimator(statistic), values)  # type: ignore[arg-type]
        assert sky is None or values.min() - 1e-3 <= sky.level <= values.max() + 1 + 0.2 * values.std()
        assert sky is None or 1 <= sky.npix <= len(values)


@given(
    arrays(np.float32, st.integers(1, 50), elements=st.floats(-100, 100, width=32)),
    st.tuples(*[st.floats(-100, 100, width=32)] * 2),
)
def test_a_core_saves_work_and_changes_nothing(values: np.ndarray, limits: tuple[float, float]) -> None:
    every = np.ones((1, len(values)), np.bool_)
    for core in (Core(), Core(*sorted(limits))):
        gathered = Sample.gather(values[None], every, every, core)
        np.testing.assert_array_equal(gathered.values, values)
        low, high = np.float32(min(limits[0], -1)), np.float32(max(limits[1], 1))
        inside = values[(values >= low) & (values <= high)]
        count, mean, sigma, *_ = gathered.between(low, high)
        assert count == len(inside)
        if count > 1:
            assert mean == pytest.approx(inside.mean(dtype=np.float64), abs=1e-5)
            assert sigma == pytest.approx(inside.std(ddof=1, dtype=np.float64), rel=1e-5, abs=1e-5)


# ---- polygons


def filled(*vertices: tuple[float, float], shape: tuple[int, int] = (4, 5)) -> list[str]:
    mask = np.zeros(shape, np.bool_)
    fill(mask, np.array([*vertices, vertices[0]], np.float64))
    return ["".join(".#"[int(pixel)] for pixel in row) for row in mask]


def test_a_rectangle_is_filled_with_its_outline() -> None:
    assert filled((1, 1), (3, 1), (3, 2), (1, 2)) == [".....", ".###.", ".###.", "....."]


def test_vertices_are_rounded_half_to_even() -> None:
    assert filled((0.5, 0.5), (2.5, 0.5), (2.5, 1.5), (0.5, 1.5)) == ["###..", "###..", "###..", "....."]


def test_a_triangle_narrows_and_its_slope_is_rounded_up() -> None:
    assert filled((0, 0), (4, 0), (0, 3)) == ["#####", "####.", "###..", "#...."]


def test_what_lies_beyond_the_array_is_left_out() -> None:
    assert filled((2, 2), (9, 2), (9, 9), (2, 9)) == [".....", ".....", "..###", "..###"]
    assert filled((-9, -9), (9, -9), (9, 9), (-9, 9)) == ["#####"] * 4
    assert filled((-9, 0), (-7, 0), (-7, 3), (-9, 3)) == ["....."] * 4


def test_the_outline_of_an_array_fills_it() -> None:
    assert filled((-0.5, -0.5), (4.5, -0.5), (4.5, 3.5), (-0.5, 3.5)) == ["#####"] * 4


def test_a_polygon_without_width_or_height_is_empty() -> None:
    assert filled((1, 0), (1, 3), (1.2, 3)) == ["....."] * 4
    assert filled((0, 1), (3, 1), (3, 1.2)) == ["....."] * 4
