"""tweakreg: sources that are found, shifts that are recovered, and images that are left as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table
from dithers import dither
from images import SCALE
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Image
from calwebbd.stages.step import Failed, Skip
from calwebbd.stages.steps.assign_wcs import footprint
from calwebbd.stages.steps.tweakreg import tweakreg
from calwebbd.stages.steps.tweakreg.background import background
from calwebbd.stages.steps.tweakreg.fitting import chance
from calwebbd.stages.steps.tweakreg.sources import FinderParams, catalog_files, find_sources
from calwebbd.stages.steps.tweakreg.stars import Shape, find_stars

Array = NDArray[np.float64]
SIZE = 150
#: for small images: of 0.03 arcsec a pixel
SMALL: dict[str, Any] = {
    "minobj": 6,
    "searchrad": 0.6,
    "separation": 0.3,
    "tolerance": 0.15,
    "abs_minobj": 6,
    "abs_searchrad": 1.0,
    "abs_separation": 0.3,
    "abs_tolerance": 0.15,
    "sip_approx": False,
}
MAS = 1000 * SCALE  # a pixel


def stars(extent: int = SIZE, apart: int = 14) -> Array:
    """(n, 2) positions x, y in pixels, somewhere near the points of a grid, so that none blend."""
    rng = np.random.default_rng(7)
    grid = np.stack(np.meshgrid(*2 * [np.arange(-60, extent + 60, apart)]), axis=-1).reshape(-1, 2)
    return grid + rng.uniform(-3.5, 3.5, grid.shape)


def picture(positions: Array, size: int = SIZE) -> Any:
    """Stars of FWHM 2.4 pixels on a background of 1 with noise of 0.05."""
    image = np.random.default_rng(len(positions)).normal(1, 0.05, (size, size))
    y, x = np.mgrid[:size, :size]
    for number, (at_x, at_y) in enumerate(positions):
        image += (20 + number % 17) * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / 2)
    return image


def pointed(claimed: tuple[float, float], error: tuple[float, float], exposure: int) -> Image:
    """An image of the stars whose pointing is wrong by some pixels."""
    true = np.add(claimed, error)
    return dither(picture(stars() - true), *claimed, exposure)


def listed(
    folder: Path,
    claimed: tuple[float, float],
    error: tuple[float, float] = (0, 0),
    exposure: int = 1,
    rotation: float = 0.0,
    within: slice = slice(None),
) -> Image:
    """As `pointed`, without stars, but with a catalogue of their exact places; turned by degrees, too."""
    image = dither(np.zeros((SIZE, SIZE)), *claimed, exposure)
    angle, middle = np.deg2rad(rotation), (SIZE - 1) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    positions = (stars() - np.add(claimed, error) - middle) @ turn.T + middle
    seen = positions[((positions > 0) & (positions < SIZE - 1)).all(axis=1)][within]
    path = folder / f"{exposure}.ecsv"
    Table({"xcentroid": seen[:, 0], "ycentroid": seen[:, 1]}).write(path)
    image.header["TCATFILE"] = str(path)
    return image


def sky(image: Image, positions: Array) -> Array:
    return np.stack(image.wcs(*positions.T, with_bounding_box=False), axis=1)


def off(image: Image, true: tuple[float, float], reference: Image) -> float:
    """Greatest error, mas, of a WCS relative to that of an image that is undithered and right."""
    at = np.array([[10.0, 20.0], [100.0, 30.0], [60.0, 140.0]])
    difference = sky(image, at) - sky(reference, at + true)
    return float(np.abs(difference * [np.cos(np.deg2rad(20)), 1]).max() * 3.6e6)


def outcome(image: Image) -> str:
    return str(image.notes["tweakreg"]["outcome"])


def test_stars_are_found_where_they_are() -> None:
    true = stars()[((stars() > 4) & (stars() < SIZE - 5)).all(axis=1)]
    found = find_sources(dither(picture(true)), FinderParams())
    nearest = np.hypot(*(true[:, None] - np.stack([found["x"], found["y"]], axis=-1)).transpose(2, 0, 1)).min(
        axis=1
    )
    assert len(found) == len(true)
    assert nearest.max() < 0.2
    assert list(found["id"]) == list(range(1, len(found) + 1))
    assert (np.diff(found["flux"]) <= 0).all()


def test_stars_are_those_of_photutils() -> None:
    from photutils.detection import IRAFStarFinder

    image = (picture(stars()) - 1).astype(np.float32)
    image[70:80, 20] = np.nan
    image[0, :40] = 30  # stars cut by the edge
    mask = np.zeros(image.shape, bool)
    mask[100:110] = True
    shape = Shape(2.5, 1.5, 3, (0.5, 2.0), (0.0, 0.2), brightest=50, peak=34)
    theirs = IRAFStarFinder(
        0.7, 2.5, sigma_radius=1.5, min_separation=3, n_brightest=50, peak_max=34, sharpness_range=(0.5, 2.0)
    )(image, mask=mask)
    x, y, flux = find_stars(image, mask, 0.7, shape)
    assert len(x) > 30
    np.testing.assert_allclose(x, theirs["x_centroid"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(y, theirs["y_centroid"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(flux, theirs["flux"], rtol=1e-6)


@pytest.mark.parametrize("starfinder", ["dao", "segmentation"])
def test_other_finders_find_the_same_stars(starfinder: Any) -> None:
    image = pointed((0, 0), (0, 0), 1)
    found = find_sources(
        image, FinderParams(starfinder=starfinder, roundlo=-1, roundhi=1, sharplo=0.2, snr_threshold=20)
    )
    usual = find_sources(image, FinderParams(snr_threshold=20))
    brightest = np.argmin(np.hypot(found["x"] - usual["x"][0], found["y"] - usual["y"][0]))
    assert abs(len(found) - len(usual)) < 20
    assert np.hypot(found["x"] - usual["x"][0], found["y"] - usual["y"][0])[brightest] < 0.2


@pytest.mark.parametrize("starfinder", ["iraf", "dao", "segmentation"])
def test_an_image_without_stars_has_no_sources(starfinder: Any) -> None:
    image = dither(np.random.default_rng(1).normal(0, 1, (64, 64)))
    assert len(find_sources(image, FinderParams(starfinder=starfinder))) == 0
    image.dq[:] = flags.DO_NOT_USE
    assert len(find_sources(image, FinderParams(starfinder=starfinder))) == 0


@pytest.mark.parametrize("size", [25, 37, 400])
def test_the_background_is_that_of_photutils(size: int) -> None:
    from astropy.stats import SigmaClip
    from photutils.background import Background2D, MedianBackground

    sci = (picture(stars()) + np.hypot(*np.mgrid[:SIZE, :SIZE]) / 50).astype(np.float32)
    mask = np.zeros(sci.shape, bool)
    mask[:, 120:] = True
    sci[30, ::3] = np.nan
    with pytest.warns(UserWarning, match="non-finite"):
        theirs = Background2D(
            sci,
            size,
            coverage_mask=mask,
            filter_size=3,
            sigma_clip=SigmaClip(3.0),
            bkg_estimator=MedianBackground(),
            exclude_percentile=10 if size < SIZE else 100,
        )
    level, scatter = background(sci, mask, size)
    np.testing.assert_allclose(level, theirs.background, rtol=1e-6)
    np.testing.assert_allclose(scatter, theirs.background_rms, rtol=1e-5)


def test_where_no_box_has_enough_pixels_the_background_is_that_of_the_image() -> None:
    sci = np.full((20, 20), 5, np.float32)
    mask = np.random.default_rng(2).random((20, 20)) < 0.5
    level, rms = background(sci, mask, 5)
    assert (level[~mask] == 5).all()
    assert (rms == 0).all()


def test_wrong_pointing_is_put_right() -> None:
    images = [pointed((0, 0), (0, 0), 1), pointed((12, -7), (5.3, -8.8), 2), pointed((-9, 4), (-2.6, 4.1), 3)]
    first, region = images[0].wcs, images[1].header["S_REGION"]
    assert tweakreg(images, **SMALL | {"sip_approx": True}) is images
    assert images[0].wcs is first
    assert outcome(images[0]) == "the reference of the others"
    for image, true in zip(images[1:], [(17.3, -15.8), (-11.6, 8.1)], strict=True):
        assert off(image, true, images[0]) < 1
        assert "v2v3corr" in image.wcs.available_frames
    notes = images[1].notes["tweakreg"]
    assert notes["outcome"] == "aligned with jw01234001001_02101_00001"
    assert (notes["dx"], notes["dy"]) == (pytest.approx(-5.3 * MAS, abs=1), pytest.approx(-8.8 * MAS, abs=1))
    assert notes["rms"] < 4
    assert notes["matches"] > 30
    assert images[1].header["S_REGION"] != region
    assert images[1].header["CTYPE1"] == "RA---TAN"


def test_shift_and_rotation_of_exact_catalogues_are_recovered_exactly(tmp_path: Path) -> None:
    images = [listed(tmp_path, (0, 0)), listed(tmp_path, (6, -9), (4.25, 3.5), 2, rotation=0.2)]
    tweakreg(images, use_custom_catalogs=True, **SMALL)
    middle = np.array([[(SIZE - 1) / 2] * 2])
    assert off_sky(sky(images[1], middle), sky(images[0], middle + np.array([10.25, -5.5]))) < 1e-2
    notes = images[1].notes["tweakreg"]
    assert abs(notes["rotation"]) == pytest.approx(0.2, abs=1e-4)
    assert notes["rms"] < 1e-3


def off_sky(one: Array, other: Array) -> float:
    """mas."""
    return float(np.abs((one - other) * [np.cos(np.deg2rad(20)), 1]).max() * 3.6e6)


def test_detectors_of_one_exposure_move_together(tmp_path: Path) -> None:
    images = [listed(tmp_path, (0, 0)), listed(tmp_path, (5, 5), (3, -2), 2)]
    other = dither(np.zeros((SIZE, SIZE)), 40, 5, 2, "NRCA2")  # without stars
    other.header["TCATFILE"] = str(tmp_path / "none.ecsv")
    Table({"x": np.zeros(0), "y": np.zeros(0)}).write(other.header["TCATFILE"])
    tweakreg([*images, other], use_custom_catalogs=True, **SMALL)
    assert off(images[1], (8, 3), images[0]) < 1e-2
    assert off(other, (43, 3), images[0]) < 1e-2
    assert other.notes["tweakreg"]["sources"] == 0


def test_one_exposure_far_off_stays_where_it_is_and_the_others_are_aligned(tmp_path: Path) -> None:
    images = [
        listed(tmp_path, (0, 0)),
        listed(tmp_path, (300, 0), (-290, 0), 2),
        listed(tmp_path, (5, 5), (3, -2), 3),
    ]
    before = images[1].wcs
    tweakreg(images, use_custom_catalogs=True, **SMALL)
    assert images[1].wcs is before
    assert "0 sources matched, of the 6 needed" in outcome(images[1])
    assert off(images[2], (8, 3), images[0]) < 1e-2


def test_if_nothing_matches_the_first_the_others_are_aligned_with_the_second(tmp_path: Path) -> None:
    images = [
        listed(tmp_path, (300, 0), (-290, 0)),
        listed(tmp_path, (0, 0), (0, 0), 2),
        listed(tmp_path, (5, 5), (3, -2), 3),
    ]
    tweakreg(images, use_custom_catalogs=True, **SMALL)
    assert "nothing matched it" in outcome(images[0])
    assert images[0].notes["tweakreg"].get("matches") is None
    assert off(images[2], (8, 3), images[1]) < 1e-2


def test_an_exposure_without_stars_is_left_out() -> None:
    blank = dither(np.random.default_rng(1).normal(0, 1, (SIZE, SIZE)), 3, 3, 1)
    images = [blank, pointed((0, 0), (0, 0), 2), pointed((4, 4), (6, 6), 3)]
    tweakreg(images, **SMALL)
    assert outcome(blank) == "no sources were found"
    assert off(images[2], (10, 10), images[1]) < 1


def test_without_two_exposures_that_have_stars_nothing_is_aligned() -> None:
    images = [dither(np.zeros((64, 64)), 0, 0, n) for n in (1, 2)]
    with pytest.raises(Failed, match="sources were found in 0 of 2 exposures"):
        tweakreg(images, **SMALL)
    with pytest.raises(Skip, match="one exposure"):
        tweakreg(images[:1])


def test_a_fit_to_chance_pairs_is_not_taken(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    images = [listed(tmp_path, (0, 0)), listed(tmp_path, (2, 2), (0, 0), 2)]
    for number, image in enumerate(images):
        path = tmp_path / f"chance{number}.ecsv"
        Table({"x": rng.uniform(1, SIZE - 2, 150), "y": rng.uniform(1, SIZE - 2, 150)}).write(path)
        image.header["TCATFILE"] = str(path)
    before = images[1].wcs
    tweakreg(images, use_custom_catalogs=True, **SMALL | {"tolerance": 0.2})
    assert images[1].wcs is before
    assert "not better than the pointing" in outcome(images[1])


def test_the_rms_of_chance_is_less_where_few_pairs_are_fitted() -> None:
    assert chance(2, "shift") == pytest.approx(0.5 * np.sqrt(0.5))
    assert chance(9, "rshift") == pytest.approx(0.5 * np.sqrt(15 / 18))
    assert chance(1000, "general") == pytest.approx(0.5, rel=0.01)
    assert chance(3, "general") == 0.5  # such a fit leaves nothing


def test_a_fit_is_not_taken_where_the_pointing_is_better(tmp_path: Path) -> None:
    images = [listed(tmp_path, (0, 0)), listed(tmp_path, (2, 2), (0, 0), 2)]
    before = images[1].wcs
    tweakreg(
        images,
        use_custom_catalogs=True,
        **SMALL | {"use2dhist": False, "xoffset": 0.42, "tolerance": 0.29, "separation": 0.42},
    )
    assert images[1].wcs is before
    assert "not better than the pointing" in outcome(images[1])


def test_sources_may_not_be_closer_than_matches() -> None:
    images = [pointed((0, 0), (0, 0), 1), pointed((4, 4), (6, 6), 2)]
    with pytest.raises(Failed, match="separation"):
        tweakreg(images, **SMALL | {"tolerance": 0.3})
    assert "separation" in outcome(images[1])


def test_expanding_the_reference_reaches_images_beyond_the_first(tmp_path: Path) -> None:
    def row() -> list[Image]:
        places, errors = [(-50, 0), (120, 0), (30, 0)], [(0, 0), (4, 4), (3, -3)]
        return [listed(tmp_path, c, e, n + 1) for n, (c, e) in enumerate(zip(places, errors, strict=True))]

    images = row()
    tweakreg(images, use_custom_catalogs=True, **SMALL)
    assert "0 sources matched" in outcome(images[1])
    for file in tmp_path.glob("*.ecsv"):
        file.unlink()
    images = row()
    tweakreg(images, use_custom_catalogs=True, expand_refcat=True, **SMALL)
    moved = [image.notes["tweakreg"].get("matches") is not None for image in images]
    assert sum(moved) == 2
    assert off(images[1], (174, 4), images[0]) < 1


def write_sky(path: Path, image: Image, error: tuple[float, float], **columns: float) -> None:
    """A catalogue of where the stars are if an undithered image's pointing is wrong by some pixels."""
    ra, dec = sky(image, stars() - error).T
    Table({"ra": ra, "dec": dec} | {name: np.full(len(ra), value) for name, value in columns.items()}).write(
        path
    )


def test_all_images_are_aligned_with_a_catalogue(tmp_path: Path) -> None:
    images = [listed(tmp_path, (0, 0)), listed(tmp_path, (5, 5), (3, -2), 2)]
    original = dither(np.zeros((SIZE, SIZE)))
    write_sky(tmp_path / "sky.ecsv", original, (10, -4))
    tweakreg(images, use_custom_catalogs=True, abs_refcat=str(tmp_path / "sky.ecsv"), **SMALL)
    assert off(images[0], (-10, 4), original) < 1e-2
    assert off(images[1], (-2, 7), original) < 1e-2
    assert images[0].wcs.name == f"FIT-LVL3-{tmp_path / 'sky.ecsv'}"
    assert outcome(images[1]).endswith("sky.ecsv")


def test_stars_of_gaia_are_where_they_have_moved_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALWEBBD_GAIA", str(tmp_path))
    image = listed(tmp_path, (0, 0))
    image.header["DATE-OBS"] = "2026-01-01"
    (tmp_path / "gaiadr3").mkdir()
    motion = {"pmra": 30.0, "pmdec": -6.0, "ref_epoch": 2016.0}  # 10 pixels, -2 pixels in ten years
    original = dither(np.zeros((SIZE, SIZE)))
    write_sky(tmp_path / "gaiadr3" / "tile_80.0_20.0_0.1.ecsv", original, (0, 0), **motion)
    write_sky(tmp_path / "gaiadr3" / "elsewhere_80.0_23.0_0.1.ecsv", original, (5, 5), **motion)
    tweakreg([image], use_custom_catalogs=True, abs_refcat="GAIADR3", **SMALL)
    notes = image.notes["tweakreg"]
    assert (notes["dx"], notes["dy"]) == (pytest.approx(300, abs=0.1), pytest.approx(-60, abs=0.1))


def test_without_gaia_the_images_are_aligned_with_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALWEBBD_GAIA", raising=False)
    images = [listed(tmp_path, (0, 0)), listed(tmp_path, (5, 5), (3, -2), 2)]
    with pytest.warns(UserWarning, match="CALWEBBD_GAIA names no folder"):
        tweakreg(images, use_custom_catalogs=True, abs_refcat="GAIADR3", **SMALL)
    assert off(images[1], (8, 3), images[0]) < 1e-2
    assert "not aligned with GAIADR3" in outcome(images[1])
    alone = listed(tmp_path, (0, 0), exposure=3)
    with pytest.warns(UserWarning, match="not aligned"), pytest.raises(Failed, match="CALWEBBD_GAIA"):
        tweakreg([alone], use_custom_catalogs=True, abs_refcat="GAIADR3", **SMALL)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [({"a": [1.0]}, "neither RA and DEC"), ({"RA": [1.0], "DEC": [2.0]}, "has 1 of the 6")],
)
def test_a_catalogue_without_use_is_no_error(tmp_path: Path, columns: Any, reason: str) -> None:
    image = listed(tmp_path, (0, 0))
    Table(columns).write(tmp_path / "sky.ecsv")
    with pytest.warns(UserWarning, match=reason), pytest.raises(Failed, match=reason):
        tweakreg([image], use_custom_catalogs=True, abs_refcat=str(tmp_path / "sky.ecsv"), **SMALL)


def test_catalogues_are_kept_if_they_are_asked_for() -> None:
    images = [pointed((0, 0), (0, 0), 1), pointed((4, 4), (6, 6), 2)]
    tweakreg(images, save_catalogs=True, **SMALL)
    name = "jw01234001001_02101_00001_nrca1_cal_cat.ecsv"
    assert images[0].header["TCATFILE"] == name
    assert images[0].byproducts[name].table.colnames == ["id", "x", "y", "flux"]


def test_a_list_says_which_catalogue_is_of_which_exposure(tmp_path: Path) -> None:
    images = [listed(tmp_path, (0, 0)), listed(tmp_path, (5, 5), (3, -2), 2)]
    for image in images:
        del image.header["TCATFILE"]
    (tmp_path / "list.txt").write_text(
        f"# comment\n{images[0].file} 1.ecsv\n{images[1].file} 2.ecsv\nother.fits\n"
    )
    assert catalog_files(str(tmp_path / "list.txt"))["other.fits"] is None
    tweakreg(images, use_custom_catalogs=True, catfile=str(tmp_path / "list.txt"), **SMALL)
    assert off(images[1], (8, 3), images[0]) < 1e-2
    (tmp_path / "list.txt").write_text("a b c\n")
    with pytest.raises(ParameterError, match="3 names"):
        catalog_files(str(tmp_path / "list.txt"))
    with pytest.raises(ParameterError, match="cannot be read"):
        catalog_files(str(tmp_path / "absent.txt"))


def test_a_catalogue_must_exist_and_have_positions(tmp_path: Path) -> None:
    images = [listed(tmp_path, (0, 0)), listed(tmp_path, (5, 5), (3, -2), 2)]
    Table({"a": [1.0]}).write(tmp_path / "1.ecsv", overwrite=True)
    with pytest.raises(ParameterError, match="no column x"):
        tweakreg(images, use_custom_catalogs=True, **SMALL)
    images[0].header["TCATFILE"] = str(tmp_path / "absent.ecsv")
    with pytest.raises(ParameterError, match="cannot be read"):
        tweakreg(images, use_custom_catalogs=True, **SMALL)


def test_an_image_without_a_wcs_is_refused() -> None:
    images = [pointed((0, 0), (0, 0), 1), pointed((4, 4), (6, 6), 2)]
    images[1].wcs = None
    with pytest.raises(InputError, match="WCS"):
        tweakreg(images)


def test_footprints_follow_the_wcs(tmp_path: Path) -> None:
    images = [listed(tmp_path, (0, 0)), listed(tmp_path, (5, 5), (3, -2), 2)]
    tweakreg(images, use_custom_catalogs=True, **SMALL)
    ra, dec = footprint(images[1])[0]
    assert images[1].header["S_REGION"].startswith(f"POLYGON ICRS  {ra:.9f} {dec:.9f}")
