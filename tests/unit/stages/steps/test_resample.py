from pathlib import Path
from typing import Any

import asdf
import gwcs
import numpy as np
import pytest
from astropy.modeling.models import Shift, Tabular1D
from hypothesis import given, settings
from hypothesis import strategies as st
from images import POINTING, SCALE, distortion, make_image, placed_image, tangent_plane

from calwebbd.stages import flags, footprints, kernels
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Header, Image, Subarray
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.assign_wcs import footprint
from calwebbd.stages.steps.assign_wcs.imaging import imaging_wcs
from calwebbd.stages.steps.resample import Frame, FrameParams, drizzle, output_frame, pixmap, resample
from calwebbd.stages.steps.resample.frame import middle
from calwebbd.stages.steps.resample.pixelscale import local_scale, mean_scale
from calwebbd.stages.steps.resample.pixmap import inside, pixel_map, region
from calwebbd.stages.steps.resample.weights import weights

RNG = np.random.default_rng(1)
TIGHT = 1 - 1e-6  #: a drop that does not touch its neighbours where pixels are aligned to 1e-9
ROUGH = 2e-2  #: of the area of a few pixels, as a spherical polygon


def grid(nx: int, ny: int, crpix: tuple[float, float] = (0, 0), ratio: float = 1.0) -> Frame:
    return Frame(tangent_plane(nx, ny, crpix, SCALE * ratio), (ny, nx), SCALE * ratio, ratio)


def bent_image(nx: int = 40, ny: int = 30, bend: float = 1e-4, **keywords: Any) -> Image:
    """An image with the WCS that assign_wcs gives, and distortion."""
    image = make_image(RNG.normal(5, 1, (ny, nx)), **keywords)
    image.wcs = imaging_wcs(image.header, Subarray(0, 0, nx, ny), distortion(nx, ny, bend), (0, 0))
    image.header["S_REGION"] = footprints.write([footprint(image)])
    image.var_flat = np.zeros_like(image.sci)
    return image


def kink(nx: int) -> np.ndarray:
    """Places of pixels that are twice as large in the right half."""
    x = np.arange(nx, dtype=np.float64)
    return x + np.maximum(x - nx / 2, 0)


class TestFrame:
    def test_an_image_without_distortion_keeps_its_grid(self) -> None:
        frame = output_frame([placed_image(np.ones((10, 20)), crpix=(9.5, 4.5))])
        assert frame.shape == (10, 20)
        assert frame.pixel_scale == pytest.approx(SCALE, rel=1e-6)
        assert frame.ratio == 1
        assert frame.wcs(9.75, 4.75) == pytest.approx((POINTING["RA_REF"], POINTING["DEC_REF"]), abs=1.5e-5)

    def test_the_lowest_vertex_is_at_pixel_0_and_the_box_half_a_pixel_around_the_centres(self) -> None:
        images = [bent_image(), bent_image(RA_REF=POINTING["RA_REF"] + 1e-3)]
        frame = output_frame(images)
        vertices = np.vstack([footprints.parse(str(i.header["S_REGION"]))[0] for i in images])
        x, y = frame.wcs.invert(*vertices.T, with_bounding_box=False)
        assert (x.min(), y.min()) == pytest.approx((0, 0), abs=1e-8)
        ny, nx = frame.shape
        assert (int(y.max() + 0.5), int(x.max() + 0.5)) == (ny, nx)
        assert frame.wcs.bounding_box.bounding_box(order="F") == ((-0.5, nx - 0.5), (-0.5, ny - 0.5))

    def test_a_frame_that_cannot_be_is_refused_with_the_name_of_the_image_that_is_off(self) -> None:
        for away, why in (([6.0, 2.0], r"a frame of \d+x\d+ pixels"), ([0.0, 90.0], "span more than 45 deg")):
            images = [placed_image(np.ones((10, 20))) for _ in range(4)]
            for number, image in enumerate(images):
                image.file = f"image{number}.fits"
            corners = footprints.parse(str(images[2].header["S_REGION"]))[0] + away
            images[2].header["S_REGION"] = footprints.write([corners])
            with pytest.raises(InputError, match=rf"image2\.fits: .*{why}.* by .* deg"):
                output_frame(images)

    @pytest.mark.parametrize("off", [0, 1])
    def test_of_two_images_the_one_far_from_its_target_is_named(self, off: int) -> None:
        target = {"TARG_RA": POINTING["RA_REF"], "TARG_DEC": POINTING["DEC_REF"]}
        images = [placed_image(np.ones((10, 20)), **target) for _ in range(2)]
        for number, image in enumerate(images):
            image.file = f"image{number}.fits"
        corners = footprints.parse(str(images[off].header["S_REGION"]))[0] + [6.0, 2.0]
        images[off].header["S_REGION"] = footprints.write([corners])
        with pytest.raises(InputError, match=rf"image{off}\.fits: .* farthest from its target, by .* deg"):
            output_frame(images)

    def test_the_y_axis_lies_at_the_position_angle_asked_for(self) -> None:
        frame = output_frame([bent_image()], FrameParams(rotation=90))
        (ra, _), (ra_up, _) = frame.wcs(10, 10), frame.wcs(10, 11)
        assert (ra_up - ra) * 3600 * np.cos(np.deg2rad(POINTING["DEC_REF"])) == pytest.approx(SCALE, rel=1e-3)

    def test_without_an_angle_the_aperture_gives_it(self) -> None:
        image = bent_image(bend=0)
        frame = output_frame([image])
        step = np.subtract(image.wcs(20, 20), image.wcs(19, 20))
        np.testing.assert_allclose(np.subtract(frame.wcs(20, 20), frame.wcs(19, 20)), step, rtol=1e-4)

    def test_scale_shape_and_reference_point_can_be_chosen(self) -> None:
        params = FrameParams(pixel_scale=0.06, output_shape=(50, 60), crval=(80.0, -69.0), crpix=(10, 20))
        frame = output_frame([placed_image(np.ones((10, 20)))], params)
        assert frame.shape == (60, 50)
        assert frame.wcs.bounding_box.bounding_box(order="F")[0][1] < 49.5  # only where the image is
        assert frame.wcs(10, 20) == pytest.approx((80, -69))
        assert frame.ratio == pytest.approx(2, rel=ROUGH)
        assert output_frame([placed_image(np.ones((10, 20)))], FrameParams(pixel_scale_ratio=2)).shape == (
            5,
            10,
        )

    def test_the_middle_of_footprints_across_0_hours_is_there(self) -> None:
        square = np.array([(359.9, -1), (0.3, -1), (0.3, 1), (359.9, 1)])
        assert middle([square]) == pytest.approx((0.1, 0), abs=1e-6)

    def test_the_middle_of_a_footprint_around_the_pole_is_the_pole(self) -> None:
        square = np.array([(0, 89), (90, 89), (180, 89), (270, 89)])
        assert middle([square])[1] == pytest.approx(90)

    def test_an_image_without_region_and_a_frame_without_pixels_are_errors(self) -> None:
        with pytest.raises(InputError, match="S_REGION"):
            output_frame([make_image([[1, 2], [3, 4]])])
        with pytest.raises(InputError, match="1x"):
            output_frame([placed_image(np.ones((8, 8)))], FrameParams(pixel_scale_ratio=6))

    @pytest.mark.parametrize(
        "wrong", [{"crpix": (1.0,)}, {"output_shape": (0, 5)}, {"output_wcs": "none.asdf"}]
    )
    def test_parameters_that_make_no_frame_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ParameterError, match=f"resample.{next(iter(wrong))}"):
            output_frame([placed_image(np.ones((4, 4)))], FrameParams(**wrong))

    def test_a_frame_can_come_from_a_file(self, tmp_path: Path) -> None:
        asdf.AsdfFile({"wcs": tangent_plane(12, 8), "pixel_area": 4 * SCALE**2}).write_to(
            tmp_path / "wcs.asdf"
        )
        image = placed_image(np.ones((4, 4)))
        frame = output_frame([image], FrameParams(output_wcs=str(tmp_path / "wcs.asdf")))
        assert frame.shape == (8, 12)
        assert frame.pixel_scale == pytest.approx(2 * SCALE)
        assert frame.ratio == pytest.approx(2, rel=ROUGH)
        image.header["PIXAR_SR"] = np.deg2rad(SCALE / 3600) ** 2
        params = FrameParams(output_wcs=str(tmp_path / "wcs.asdf"), output_shape=(5, 6))
        assert output_frame([image], params).shape == (6, 5)

    def test_the_scale_is_the_mean_of_both_axes_and_the_mean_over_the_array(self) -> None:
        wcs = tangent_plane(100, 80, (50, 40))
        assert local_scale(wcs, (POINTING["RA_REF"], POINTING["DEC_REF"])) * 3600 == pytest.approx(
            SCALE, rel=1e-7
        )
        assert mean_scale(wcs, (80, 100)) * 3600 == pytest.approx(SCALE, rel=1e-4)


class TestPixelMap:
    def test_a_shifted_plane_shifts_pixels(self) -> None:
        x, y = np.moveaxis(pixel_map(tangent_plane(4, 3), tangent_plane(9, 9, (2.5, -1)), (3, 4)), -1, 0)
        np.testing.assert_allclose(x, np.broadcast_to(np.arange(4) + 2.5, (3, 4)), atol=1e-8)
        np.testing.assert_allclose(y, np.broadcast_to(np.arange(3)[:, None] - 1, (3, 4)), atol=1e-8)

    @pytest.mark.parametrize("target", [grid(60, 60, (30, 30)).wcs, bent_image(bend=0).wcs])
    def test_it_is_what_the_gwcs_say(self, target: Any) -> None:
        image = bent_image()
        x, y = np.meshgrid(np.arange(40.0), np.arange(30.0))
        wanted = target.invert(*image.wcs(x, y), with_bounding_box=False)
        np.testing.assert_allclose(
            np.moveaxis(pixel_map(image.wcs, target, (30, 40)), -1, 0), wanted, atol=1e-7
        )

    def test_pixels_outside_the_box_have_no_place(self) -> None:
        wcs = tangent_plane(6, 5)
        wcs.bounding_box = ((0.5, 4.4), (-0.5, 3.2))
        valid = np.isfinite(pixel_map(wcs, tangent_plane(9, 9), (5, 6))).all(axis=-1)
        assert valid[:4, 1:5].all()
        assert valid.sum() == 16

    def test_a_box_beyond_the_array_holds_all_of_it(self) -> None:
        columns, rows = inside(((-3, 99), (1.5, 99)), (4, 3))
        np.testing.assert_array_equal(columns, [0, 1, 2])
        np.testing.assert_array_equal(rows, [2, 3])

    @pytest.mark.parametrize(("order", "error"), [(1, 3e-2), (3, 1e-6)])
    def test_a_coarse_map_is_interpolated(self, order: int, error: float) -> None:
        image, frame = bent_image(), grid(60, 60, (30, 30))
        exact = np.array(pixel_map(image.wcs, frame.wcs, (30, 40)))
        coarse = np.array(pixel_map(image.wcs, frame.wcs, (30, 40), stepsize=4, order=order))
        assert 0 < np.abs(coarse - exact).max() < error

    def test_threads_do_not_change_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image = bent_image(ny=100)
        maps = []
        for threads in ("1", "3"):
            monkeypatch.setenv("CALWEBBD_THREADS", threads)
            maps.append(pixel_map(image.wcs, grid(60, 60).wcs, (100, 40)))
        assert kernels.threads() == 3
        np.testing.assert_array_equal(*maps)

    def test_the_far_hemisphere_has_no_place(self) -> None:
        far = make_image(np.ones((2, 2)), RA_REF=POINTING["RA_REF"] + 180, DEC_REF=-POINTING["DEC_REF"])
        wcs = imaging_wcs(far.header, Subarray(0, 0, 2, 2), distortion(2, 2), (0, 0))
        assert np.isnan(pixel_map(wcs, tangent_plane(4, 4), (2, 2))).all()

    def test_polynomials_give_every_pixel_its_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image = bent_image(90, 70)
        image.wcs.bounding_box = ((2.5, 87.5), (-0.5, 65.5))
        frame = output_frame([image], FrameParams(rotation=20))
        places = pixel_map(image.wcs, frame.wcs, (70, 90))
        followed = np.array(places)
        monkeypatch.setattr(pixmap, "SMALL", 1000)
        one_by_one = pixel_map(image.wcs, frame.wcs, (70, 90))
        np.testing.assert_allclose(followed, one_by_one, rtol=0, atol=1e-8)
        assert np.isnan(followed[:, :3]).all()
        assert np.isfinite(followed[:66, 3:88]).all()
        x, y = np.arange(90), np.arange(70)[:, None]
        for some in (places.at(x, y), places.tabulated().at(x, y), places.tabulated().rows(0, 70)):
            np.testing.assert_array_equal(some, followed)

    def test_what_polynomials_cannot_follow_is_mapped_pixel_by_pixel(self) -> None:
        image = bent_image(90, 70, bend=0)
        detector, transform, sky = image.wcs.input_frame, image.wcs.forward_transform, image.wcs.output_frame
        image.wcs = gwcs.WCS(
            [(detector, Tabular1D(lookup_table=kink(90)) & Shift(0) | transform), (sky, None)]
        )
        places = pixel_map(image.wcs, grid(200, 200, (60, 60)).wcs, (70, 90))
        steps = np.linalg.norm(np.diff(np.array(places), axis=1), axis=-1)
        np.testing.assert_allclose(steps[:, :45], 1, rtol=1e-3)
        np.testing.assert_allclose(steps[:, 45:], 2, rtol=1e-3)

    def test_the_edges_of_an_image_tell_which_region_it_reaches(self) -> None:
        image = bent_image(90, 70)
        frame = output_frame([image, bent_image(RA_REF=POINTING["RA_REF"] + 3e-3)], FrameParams(rotation=20))
        rows, columns = region([(image.wcs, (70, 90))], frame.wcs, frame.shape)
        out = drizzle([image], frame)
        reached = np.argwhere(out.wht > 0)
        low, high = reached.min(axis=0), reached.max(axis=0)
        for part, first, last in zip((rows, columns), low, high, strict=True):
            assert part.start <= first <= part.start + 6
            assert last < part.stop <= last + 6


class TestWeights:
    def test_a_pixel_weighs_the_inverse_of_its_read_noise(self) -> None:
        image = make_image([[1, 1, 1, 1]])
        image.var_rnoise[0] = [0.5, 0, np.nan, 2]
        np.testing.assert_array_equal(weights(image, "ivm", None), [[2, 0, 0, 0.5]])

    def test_or_the_time_it_was_measured(self) -> None:
        assert weights(make_image([[1]], TMEASURE=8.0), "exptime", None)[0, 0] == 8
        assert weights(make_image([[1]]), "exptime", None)[0, 0] == 10

    def test_flags_that_are_not_tolerated_weigh_nothing(self) -> None:
        image = make_image([[1, 1, 1, 1]])
        image.dq[0] = [0, flags.DO_NOT_USE, flags.NON_SCIENCE | flags.HOT, flags.HOT | flags.REFERENCE_PIXEL]
        np.testing.assert_array_equal(weights(image, "ivm", "~DO_NOT_USE+NON_SCIENCE"), [[2, 0, 0, 2]])
        np.testing.assert_array_equal(weights(image, "ivm", 0), [[2, 0, 0, 0]])
        np.testing.assert_array_equal(weights(image, "ivm", "~DO_NOT_USE"), [[2, 0, 2, 2]])

    def test_an_exposure_without_time_is_an_error(self) -> None:
        with pytest.raises(InputError, match="EFFEXPTM"):
            weights(make_image([[1]], EFFEXPTM=0.0), "exptime", None)


class TestDrizzle:
    def test_an_aligned_image_is_copied_with_its_weights(self) -> None:
        image = placed_image([[1, 2, 3], [4, 5, 6]])
        out = drizzle([image], grid(4, 2), pixfrac=TIGHT)
        np.testing.assert_allclose(out.sci[:, :3], image.sci, atol=1e-6)
        assert np.isnan(out.sci[:, 3]).all()
        np.testing.assert_allclose(out.wht, [[2, 2, 2, 0]] * 2, atol=1e-6)
        np.testing.assert_array_equal(out.con, [[[1, 1, 1, 0]] * 2])
        for variance, value in (
            (out.var_rnoise, 0.5),
            (out.var_poisson, 0.5),
            (out.var_flat, 0),
            (out.err, 1),
        ):
            np.testing.assert_allclose(variance, [[value, value, value, np.nan]] * 2, atol=1e-6)

    def test_half_a_pixel_aside_neighbours_are_averaged(self) -> None:
        out = drizzle([placed_image([[1, 3, 7]] * 2)], grid(4, 2, (0.5, 0)))
        np.testing.assert_allclose(out.sci, [[1, 2, 5, 7]] * 2, atol=1e-6)
        np.testing.assert_allclose(out.wht, [[1, 2, 2, 1]] * 2, atol=1e-6)

    def test_smaller_drops_leave_gaps_between_half_pixels(self) -> None:
        out = drizzle([placed_image([[1, 3], [5, 7]])], grid(4, 4, (0.5, 0.5), 0.5), pixfrac=0.25)
        np.testing.assert_allclose(out.wht.sum(), 8, atol=1e-5)  # four pixels of weight 2
        assert out.sci[0, 0] == pytest.approx(1)

    @settings(max_examples=20, deadline=None)
    @given(dx=st.floats(0, 3), dy=st.floats(0, 3), seed=st.integers(0, 99), pixfrac=st.floats(0.3, 1))
    def test_flux_is_conserved(self, dx: float, dy: float, seed: int, pixfrac: float) -> None:
        rng = np.random.default_rng(seed)
        image = placed_image(rng.uniform(1, 2, (6, 5)))
        image.var_rnoise = rng.uniform(0.5, 2, (6, 5)).astype(np.float32)
        out = drizzle([image], grid(9, 10, (dx, dy)), pixfrac=pixfrac, with_variances=False)
        weight = 1 / image.var_rnoise
        assert out.wht.sum() == pytest.approx(weight.sum(), rel=1e-5)
        assert np.nansum(out.sci * out.wht) == pytest.approx((image.sci * weight).sum(), rel=1e-5)

    def test_a_flat_sky_stays_flat_on_any_grid(self) -> None:
        image = bent_image()
        image.sci[:] = 3
        out = drizzle([image], output_frame([image], FrameParams(rotation=17, pixel_scale_ratio=0.7)))
        np.testing.assert_allclose(out.sci[np.isfinite(out.sci)], 3, rtol=1e-6)

    def test_two_equal_images_halve_the_variance(self) -> None:
        out = drizzle([placed_image(np.ones((2, 2)))] * 2, grid(2, 2))
        assert out.var_rnoise is not None
        np.testing.assert_allclose(out.var_rnoise, 0.25, rtol=1e-6)
        np.testing.assert_allclose(out.wht, 4, rtol=1e-6)
        np.testing.assert_allclose(out.err, np.sqrt(0.5), rtol=1e-6)

    def test_variances_are_weighted_as_the_images(self) -> None:
        images = [placed_image(np.ones((2, 2))), placed_image(np.full((2, 2), 4))]
        images[1].var_rnoise[:] = 0.25  # weights 2 and 4
        out = drizzle(images, grid(2, 2))
        np.testing.assert_allclose(out.sci, (2 + 16) / 6, rtol=1e-6)
        np.testing.assert_allclose(out.var_poisson, (0.5 * 4 + 0.5 * 16) / 36, rtol=1e-6)
        by_time = drizzle(images, grid(2, 2), weight_type="exptime")
        np.testing.assert_allclose(by_time.sci, 2.5, rtol=1e-6)
        np.testing.assert_allclose(by_time.var_rnoise, (0.5 + 0.25) / 4, rtol=1e-6)

    def test_a_bad_pixel_gives_way_to_a_good_one(self) -> None:
        images = [placed_image(np.ones((2, 2))), placed_image(np.full((2, 2), 4))]
        images[0].dq[0, 0], images[0].sci[0, 0] = flags.DO_NOT_USE, np.nan
        out = drizzle(images, grid(2, 2), pixfrac=TIGHT)
        np.testing.assert_allclose(out.sci, [[4, 2.5], [2.5, 2.5]], rtol=1e-6)
        np.testing.assert_array_equal(out.con, [[[2, 3], [3, 3]]])

    def test_the_33rd_image_has_the_first_bit_of_the_second_plane(self) -> None:
        images = [placed_image(np.ones((2, 2)), crpix=(0, 0)) for _ in range(33)]
        out = drizzle(images, grid(2, 2), with_variances=False)
        assert out.con is not None
        assert out.con.shape == (2, 2, 2)
        assert out.con.view(np.uint32)[:, 0, 0].tolist() == [0xFFFFFFFF, 1]

    @pytest.mark.filterwarnings("ignore:Kernel .* is not a flux-conserving")
    @pytest.mark.parametrize("kernel", ["point", "turbo", "gaussian", "lanczos2", "lanczos3"])
    def test_each_shape_of_drops_takes_any_number_of_images(self, kernel: str) -> None:
        pair = [bent_image(12, 10), bent_image(12, 10, RA_REF=POINTING["RA_REF"] + 1e-4)]
        frame = output_frame(pair, FrameParams(rotation=20))
        first, second = (drizzle([image], frame, kernel=kernel) for image in pair)
        out = drizzle(pair * 17, frame, kernel=kernel)
        assert first.con is not None and second.con is not None and out.con is not None  # noqa: PT018
        seen = first.con[0] * np.uint32(0x55555555) + second.con[0] * np.uint32(0xAAAAAAAA)
        np.testing.assert_array_equal(out.con[0].view(np.uint32), seen)
        np.testing.assert_array_equal(out.con[1], first.con[0] + 2 * second.con[0])
        weight = first.wht + second.wht
        np.testing.assert_allclose(out.wht, 17 * weight, rtol=1e-5, atol=1e-5)
        flux = np.nan_to_num(first.sci * first.wht) + np.nan_to_num(second.sci * second.wht)
        held = weight > 1
        np.testing.assert_allclose(out.sci[held], flux[held] / weight[held], rtol=1e-4)

    def test_the_sky_is_subtracted_unless_it_has_been(self) -> None:
        for keywords, left in (({"BKGSUB": False}, 2), ({}, 2), ({"BKGSUB": True}, 5)):
            image = placed_image(np.full((2, 2), 5), BKGLEVEL=3.0, **keywords)
            np.testing.assert_allclose(drizzle([image], grid(2, 2)).sci, left, rtol=1e-6)
            assert image.sci[0, 0] == 5

    def test_what_is_not_asked_for_is_not_made(self) -> None:
        image = placed_image([[1, 2], [3, 4]])
        image.dq[0, 0] = flags.HOT
        little = {"with_variances": False, "with_context": False, "with_dq": True}
        out = drizzle([image], grid(3, 2), pixfrac=TIGHT, fillval="-1", **little)
        assert out.con is None
        assert out.err is None
        np.testing.assert_allclose(out.sci[:, 2], -1)
        np.testing.assert_array_equal(out.dq, [[flags.HOT, 0, 0], [0, 0, 0]])

    def test_inputs_stay_and_integrations_are_refused(self) -> None:
        image = placed_image([[1, 2], [3, 4]])
        before = [a.copy() for a in (image.sci, image.var_rnoise, image.dq)]
        drizzle([image], grid(2, 2))
        for array, old in zip((image.sci, image.var_rnoise, image.dq), before, strict=True):
            np.testing.assert_array_equal(array, old)
        image.sci = np.ones((1, 2, 2), np.float32)
        with pytest.raises(InputError, match="3 axes"):
            drizzle([image], grid(2, 2))

    @pytest.mark.parametrize("kernel", ["point", "turbo"])
    def test_other_kernels_copy_an_aligned_image_too(self, kernel: str) -> None:
        image = placed_image([[1, 2, 3], [4, 5, 6]])
        np.testing.assert_allclose(drizzle([image], grid(3, 2), kernel=kernel).sci, image.sci, atol=1e-5)


class TestStep:
    def test_the_product_says_how_it_was_made(self) -> None:
        image = placed_image(np.ones((10, 20)), crpix=(9.5, 4.5), CD1_1=1.0, A_ORDER=2, BKGLEVEL=0.5)
        product = resample(image, kernel="turbo", pixfrac=0.5)
        header = product.header
        assert (header["NDRIZ"], header["PIXFRAC"], header["RESWHT"], header["PXSCLRT"]) == (1, 0.5, "ivm", 1)
        assert header["CTYPE1"] == "RA---TAN"
        assert header["CDELT1"] * 3600 == pytest.approx(SCALE, rel=1e-6)
        assert (header["PC1_1"], header["PC2_2"]) == pytest.approx((-1, 1))
        assert header["PIXAR_A2"] == pytest.approx(SCALE**2, rel=1e-6)
        assert header["PIXAR_SR"] == pytest.approx(np.deg2rad(SCALE / 3600) ** 2, rel=1e-6)
        assert not {"CD1_1", "A_ORDER", "V2_REF", "ROLL_REF", "BKGLEVEL", "TMEASURE"} & header.keys()
        assert product.metadata == {"meta.resample.kernel": "turbo", "meta.resample.fillval": "NAN"}
        assert product.hdrtab is None
        assert image.header["V2_REF"] == POINTING["V2_REF"]

    def test_times_add_up_over_exposures_not_detectors(self) -> None:
        visit = {"PROGRAM": "01234", "OBSERVTN": "001", "VISIT": "001"}
        names = {**visit, "VISITGRP": "02", "SEQ_ID": "1", "ACT_ID": "01"}
        images = [
            placed_image(np.ones((4, 4)), **names, EXPOSURE=exposure, DETECTOR=detector, TMEASURE=7.0)
            for exposure, detector in ((1, "NRCA1"), (1, "NRCA2"), (2, "NRCA1"))
        ]
        images[2].header["EXPSTART"], images[2].header["EXPEND"] = 59999.0, 59999.5
        header = resample(images, blendheaders=False).header
        assert header["NDRIZ"] == 2
        assert header["EFFEXPTM"] == header["XPOSURE"] == 20
        assert header["DURATION"] == header["TELAPSE"] == 24
        assert header["TMEASURE"] == 14
        assert (header["EXPSTART"], header["EXPEND"]) == (59999, 60000.1)

    def test_footprints_that_touch_become_one(self) -> None:
        square = np.ones((10, 10))
        joined = resample([placed_image(square), placed_image(square, crpix=(-5, 0))], blendheaders=False)
        assert len(footprints.parse(str(joined.header["S_REGION"]))) == 1
        apart = resample([placed_image(square), placed_image(square, crpix=(-20, 0))], blendheaders=False)
        assert len(footprints.parse(str(apart.header["S_REGION"]))) == 2

    def test_several_headers_are_blended_and_tabulated(self) -> None:
        images = [placed_image(np.ones((4, 4)), FILTER=name) for name in ("F200W", "F150W")]
        product = resample(images)
        assert product.header["FILTER"] == "MULTIPLE"
        assert product.hdrtab is not None
        assert len(product.hdrtab) == 2

    def test_variances_can_be_left_out(self) -> None:
        product = resample(placed_image(np.ones((4, 4))), report_var=False, enable_ctx=False)
        assert product.err is not None
        assert product.var_rnoise is product.con is None

    def test_nan_and_flags_match_afterwards_and_integrations_are_refused(self) -> None:
        image = placed_image(np.ones((4, 4)))
        image.sci[1, 1] = np.nan
        resample(image)
        assert image.dq[1, 1] == flags.DO_NOT_USE
        image.sci = np.ones((2, 4, 4), np.float32)
        with pytest.raises(InputError, match="integrations"):
            resample(image)

    def test_an_exposure_without_wcs_is_skipped(self) -> None:
        with pytest.raises(Skip, match="no WCS"):
            resample(make_image(np.ones((4, 4))))

    def test_a_frame_without_a_single_projection_is_described_to_first_order(self, tmp_path: Path) -> None:
        wcs = bent_image(20, 20).wcs
        asdf.AsdfFile({"wcs": wcs}).write_to(tmp_path / "wcs.asdf")
        params = {"output_wcs": str(tmp_path / "wcs.asdf"), "output_shape": (20, 20)}
        with pytest.raises(ParameterError, match="no projection"):
            resample(placed_image(np.ones((4, 4))), **params)


def test_header_values_of_numpy_do_not_reach_the_header() -> None:
    header = resample(placed_image(np.ones((4, 4)))).header
    assert isinstance(header, Header)
    assert {type(value) for value in header.values()} <= {str, int, float, bool}
