"""Sources of small mosaics whose truth is known."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy.convolution import Gaussian2DKernel, convolve
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from images import tangent_plane
from photutils.segmentation import deblend_sources, detect_sources
from stdatamodels.jwst import datamodels

from calwebbd.stages.catalogues import write_catalogue
from calwebbd.stages.errors import ParameterError
from calwebbd.stages.exposure import Catalogue, Header, Mosaic
from calwebbd.stages.fits.write import write
from calwebbd.stages.products import Segmentation
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.source_catalog import SourceCatalogParams, apertures_for, source_catalog
from calwebbd.stages.steps.source_catalog.apertures import vega_offset
from calwebbd.stages.steps.source_catalog.detection import FWHM_PER_SIGMA, convolved, several_peaks
from calwebbd.stages.steps.source_catalog.photometry import ab_magnitude, circular_flux, local_background
from calwebbd.stages.steps.source_catalog.shapes import kernel, nearest, sharpness_roundness

SIGMA = 0.9  # pixels, of the stars
PIXEL_SR = 2e-14
KEYWORDS = {
    "INSTRUME": "NIRCAM",
    "FILTER": "F200W",
    "PUPIL": "CLEAR",
    "SUBARRAY": "SUB64",
    "DETECTOR": "NRCA1",
}
STARS = [(20.3, 15.6, 40.0), (44.0, 30.2, 100.0), (15.5, 48.0, 10.0)]  # x, y, flux in MJy/sr pixels
APERTURES = ["aper30", "aper50", "aper70", "aper_total"]


def pairs(*names: str) -> list[str]:
    """Each with its error."""
    return [each for name in names for each in (name, f"{name}_err")]


COLUMNS = [
    *("label", "xcentroid", "ycentroid", "sky_centroid"),
    *pairs(
        "aper_bkg_flux", *(f"{name}_{kind}" for kind in ("flux", "abmag", "vegamag") for name in APERTURES)
    ),
    *("CI_50_30", "CI_70_50", "CI_70_30", "is_extended", "sharpness", "roundness", "nn_label", "nn_dist"),
    *pairs("isophotal_flux", "isophotal_abmag", "isophotal_vegamag"),
    *(
        "isophotal_area",
        "semimajor_sigma",
        "semiminor_sigma",
        "ellipticity",
        "orientation",
        "sky_orientation",
    ),
    *("sky_bbox_ll", "sky_bbox_ul", "sky_bbox_lr", "sky_bbox_ur"),
]


def radius(energy: float) -> float:
    """Of the circle that encircles this share of a star's energy, spread over pixels."""
    return float(np.sqrt(-2 * (SIGMA**2 + 1 / 12) * np.log(1 - energy)))


def reference(name: str, **columns: Any) -> Any:
    """A stand-in for a reference file with one table."""
    values = {key: np.asarray(value) for key, value in columns.items()}
    return SimpleNamespace(
        path=Path(name), columns=lambda *_: values.items(), tree=lambda: {"abvega_offset": Table(values)}
    )


def apcorr(**changes: Any) -> Any:
    energies = [0.3, 0.5, 0.7]
    columns: dict[str, Any] = {
        "filter": ["F200W "] * 3, "pupil": ["CLEAR"] * 3, "eefraction": np.float32(energies),
        "radius": [radius(e) for e in energies], "apcorr": [1 / e for e in energies],
        "skyin": [7.0] * 3, "skyout": [12.0] * 3,
    }  # fmt: skip
    return reference("apcorr.fits", **columns | changes)


def abvega(**changes: Any) -> Any:
    columns = {"filter": ["F200W", "F444W"], "pupil": ["CLEAR"] * 2, "abvega_offset": [1.7, 3.2]}
    return reference("abvega.asdf", **columns | changes)


REFERENCES = {"apcorr": apcorr(), "abvegaoffset": abvega()}


def star(x: float, y: float, flux: float, shape: tuple[int, int] = (64, 64)) -> Any:
    rows, columns = np.indices(shape)
    return flux / (2 * np.pi * SIGMA**2) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2))


def mosaic(stars: Any = STARS, noise: float = 0.01, **keywords: Any) -> Mosaic:
    """A sky of 1 MJy/sr with noise, and stars."""
    sci = np.random.default_rng(1).normal(1, noise, (64, 64))
    sci += sum(star(*each) for each in stars) if stars else 0
    header = Header(
        KEYWORDS | {"BUNIT": "MJy/sr", "PIXAR_SR": PIXEL_SR, "CRPIX1": 32.0, "CRPIX2": 32.0} | keywords
    )
    ones = np.ones(sci.shape, np.float32)
    wcs = tangent_plane(64, 64, crpix=(31, 31))
    return Mosaic(header, sci.astype(np.float32), err=ones * np.float32(noise), wht=ones, wcs=wcs)


def table_of(made: Mosaic) -> Any:
    catalogue = made.byproducts["cat"]
    assert isinstance(catalogue, Catalogue)
    return catalogue.table


def find(made: Mosaic, **params: Any) -> Any:
    source_catalog(made, REFERENCES, **{"npixels": 9} | params)
    return table_of(made)


def test_every_star_is_found_where_it_is_with_its_flux() -> None:
    made = mosaic()
    before = made.sci.copy()
    table = find(made)
    assert table.colnames == COLUMNS
    order = np.argsort([y for _, y, _ in STARS])
    x, y, flux = np.transpose(STARS)[:, order]
    np.testing.assert_allclose(table["xcentroid"], x, atol=0.02)
    np.testing.assert_allclose(table["ycentroid"], y, atol=0.02)
    np.testing.assert_allclose(table["aper_total_flux"].to_value("Jy"), flux * PIXEL_SR * 1e6, rtol=0.03)
    np.testing.assert_allclose(table["isophotal_flux"].to_value("Jy"), flux * PIXEL_SR * 1e6, rtol=0.03)
    np.testing.assert_allclose(table["CI_70_30"], 7 / 3, rtol=0.1)
    assert table["nn_label"].tolist() == [2, 1, 1]
    np.testing.assert_allclose(table["aper_bkg_flux"].to_value("Jy"), PIXEL_SR * 1e6, rtol=0.01)
    np.testing.assert_array_equal(made.sci, before)


def test_places_are_on_the_sky_and_corners_are_pixel_edges() -> None:
    made = mosaic()
    table = find(made)
    segments = made.byproducts["segm"]
    assert isinstance(segments, Segmentation)
    assert isinstance(table["sky_centroid"], SkyCoord)
    x, y = made.wcs.invert(table["sky_centroid"].ra.deg, table["sky_centroid"].dec.deg)
    np.testing.assert_allclose(x, table["xcentroid"], atol=1e-6)
    rows, columns = np.nonzero(segments.sci == 2)
    corner = table["sky_bbox_ur"][1]
    x, y = made.wcs.invert(corner.ra.deg, corner.dec.deg)
    assert (x, y) == pytest.approx((columns.max() + 0.5, rows.max() + 0.5))
    assert table["isophotal_area"][1].value == len(rows)
    # north is up, east to the left: the position angle is the angle from +x, less 90, plus 180
    np.testing.assert_allclose(
        table["sky_orientation"].value, (table["orientation"].value + 90) % 360, atol=1e-4
    )


@pytest.mark.parametrize("finder", ["iraf", "dao"])
def test_star_finders_give_the_same_places_without_segments(finder: str) -> None:
    made = mosaic()
    table = find(made, starfinder=finder, roundlo=-1.0, roundhi=1.0, sharplo=0.2, brightest=3)
    assert "segm" not in made.byproducts
    by_x = np.argsort(table["xcentroid"])
    np.testing.assert_allclose(table["xcentroid"][by_x], [15.5, 20.3, 44.0], atol=0.1)
    assert np.isnan(table["isophotal_area"].value).all()
    assert table.colnames == COLUMNS


def test_pixels_without_weight_hold_no_source() -> None:
    made = mosaic()
    assert made.wht is not None
    made.wht[:, 32:] = 0
    made.sci[:, 32:] = np.nan
    assert find(made)["label"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (mosaic([]), "no sources were found"),
        (mosaic(BUNIT="DN/s"), "SCI is in DN/s, not in MJy/sr"),
        (mosaic(FILTER="F090W"), "apcorr.fits has no row for F090W, CLEAR"),
        (mosaic(FILTER="F444W"), "apcorr.fits has no row for F444W, CLEAR"),
        (mosaic(INSTRUME="NIRSPEC"), "there are no apertures for NIRSPEC"),
    ],
)
def test_what_cannot_be_catalogued_is_skipped_with_a_reason(made: Mosaic, reason: str) -> None:
    with pytest.raises(Skip, match=reason):
        source_catalog(made, REFERENCES, npixels=9)
    assert not made.byproducts


def test_a_mosaic_without_area_or_weight_is_skipped() -> None:
    made = mosaic()
    del made.header["PIXAR_SR"]
    with pytest.raises(Skip, match="PIXAR_SR"):
        source_catalog(made, REFERENCES)
    empty = mosaic()
    assert empty.wht is not None
    empty.wht[:] = 0
    with pytest.raises(Skip, match="no pixel of the mosaic"):
        source_catalog(empty, REFERENCES)


def test_apertures_shrink_with_the_pixels() -> None:
    header = Header(KEYWORDS | {"PXSCLRT": 0.5})
    found = apertures_for(apcorr(), header, (30, 50, 70))
    assert found.radii == pytest.approx([2 * radius(e) for e in (0.3, 0.5, 0.7)])
    assert (found.sky_in, found.sky_out) == (14.0, 24.0)
    with pytest.raises(Skip, match=r"no row for 60 % of F200W, CLEAR"):
        apertures_for(apcorr(), header, (30, 50, 60))
    with pytest.raises(Skip, match=r"2 rows for 30 %"):
        apertures_for(apcorr(eefraction=[0.3, 0.3, 0.7]), header, (30, 50, 70))
    with pytest.raises(Skip, match="more than one background annulus"):
        apertures_for(apcorr(skyin=[7.0, 7.0, 8.0]), header, (30, 50, 70))


def test_miri_chooses_by_subarray_and_fgs_by_detector() -> None:
    miri = Header(INSTRUME="MIRI", FILTER="F770W", SUBARRAY="FULL", DETECTOR="MIRIMAGE")
    rows = apcorr(filter=["F770W"] * 3, subarray=["FULL", "FULL", "BRIGHTSKY"])
    with pytest.raises(Skip, match="no row for 70 % of F770W, FULL"):
        apertures_for(rows, miri, (30, 50, 70))
    fgs = Header(INSTRUME="FGS", DETECTOR="GUIDER1")
    assert apertures_for(apcorr(), fgs, (30, 50, 70)).energies == (30, 50, 70)
    offsets = reference("abvega.fits", detector=["GUIDER1", "GUIDER2"], abvega_offset=[0.5, 0.6])
    assert vega_offset(offsets, fgs) == 0.5
    assert vega_offset(abvega(), Header(KEYWORDS)) == pytest.approx(1.7)
    with pytest.raises(Skip, match=r"abvega\.asdf has no row for F770W"):
        vega_offset(abvega(), miri)


def test_a_circle_holds_the_share_of_each_pixel_inside() -> None:
    flat = np.full((9, 9), 2, np.float32)
    x = y = np.array([4.2])
    flux, error = circular_flux(flat, flat, x, y, 1.5, np.array([0.0]))
    area = np.pi * 1.5**2
    assert flux[0] == pytest.approx(2 * area)
    assert error[0] == pytest.approx(2 * np.sqrt(area))
    assert circular_flux(flat, flat, x, y, 1.5, np.array([2.0]))[0][0] == pytest.approx(0, abs=1e-12)


def test_the_background_is_the_clipped_median_of_an_annulus() -> None:
    sci = np.full((41, 41), 3, np.float32)
    sci[:, 20:] = 5
    sci[20, 20] = 1000  # not in the annulus
    sci[20, 29], sci[11, 20] = 1e6, np.nan
    places = np.array([20.0, -1000.0])
    level, error = local_background(sci, places, places, 7.0, 12.0)
    rows, columns = np.indices(sci.shape)
    distance = np.hypot(rows - 20, columns - 20)
    kept = sci[(distance >= 7) & (distance < 12) & (sci < 1e5)]
    assert level[0] == np.median(kept)
    assert error[0] == pytest.approx(np.sqrt(np.pi / (2 * kept.size)) * kept.std(), rel=1e-6)
    assert np.isnan([level[1], error[1]]).all()


def test_magnitudes_of_what_is_not_positive() -> None:
    magnitude, error = ab_magnitude(np.array([1.0, 10.0, 0.0, -1.0]), np.array([0.1] * 4))
    np.testing.assert_array_equal(magnitude, [8.9, 6.4, np.inf, np.nan])
    np.testing.assert_allclose(error, [2.5 * np.log10(1.1), 2.5 * np.log10(1.01), np.inf, np.nan])


def test_the_kernel_measures_the_height_of_its_own_gaussian() -> None:
    weights, circle = kernel(2.5)
    assert weights.sum() == pytest.approx(0)
    rows, columns = np.indices(weights.shape) - len(weights) // 2
    gaussian = 7 * np.exp(-(rows**2 + columns**2) * 4 * np.log(2) / 2.5**2) + 3
    assert (weights * gaussian).sum() == pytest.approx(7)
    assert circle.sum() == 13


def test_a_symmetric_star_is_round_and_one_off_the_image_is_nothing() -> None:
    sci = star(20, 20, 100.0).astype(np.float32)
    sci += star(40, 40, 100.0).astype(np.float32) + star(42, 40, 100.0).astype(np.float32)
    sharpness, roundness = sharpness_roundness(
        sci, np.array([20.0, 40, -1000]), np.array([20.0, 40, -1000]), 2.1
    )
    assert roundness[0] == pytest.approx(0, abs=1e-5)
    assert abs(roundness[1]) > 0.1
    assert 0.3 < sharpness[0] < 1
    assert np.isnan([sharpness[2], roundness[2]]).all()


def test_neighbours_know_each_other() -> None:
    label = np.array([1, 2, 3, 4], np.int32)
    neighbour, distance = nearest(label, np.array([0, 3, 10, np.nan]), np.array([0, 4, 4, 5.0]))
    assert neighbour.tolist() == [2, 1, 2, -1]
    np.testing.assert_array_equal(distance, [5, 5, 7, np.nan])
    assert nearest(label[:1], np.zeros(1), np.zeros(1))[0].tolist() == [-1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), connectivity=st.sampled_from([4, 8]))
def test_only_segments_with_several_peaks_can_be_parted(seed: int, connectivity: int) -> None:
    random = np.random.default_rng(seed)
    image = sum(star(*random.uniform(3, 37, 2), random.uniform(5, 50), (40, 40)) for _ in range(12))
    image = (image + random.normal(0, 0.1, (40, 40))).astype(np.float32)
    found = detect_sources(image, 0.5, 3, connectivity=connectivity)
    labels = several_peaks(image, found.data, connectivity)
    assert set(labels) <= set(found.labels)
    options = {"n_levels": 16, "connectivity": connectivity, "progress_bar": False}
    every = deblend_sources(image, found, 3, **options).data
    some = deblend_sources(image, found, 3, labels=labels, **options).data if labels.size else found.data
    np.testing.assert_array_equal(some, every)


def test_products_are_written_in_the_jwst_forms(tmp_path: Path) -> None:
    made = mosaic()
    find(made)
    catalogue, segments = made.byproducts["cat"], made.byproducts["segm"]
    assert isinstance(catalogue, Catalogue)
    assert isinstance(segments, Segmentation)
    read = QTable.read(write_catalogue(catalogue, tmp_path / "a_cat.ecsv", {"CRDS_CTX": "jwst_0001.pmap"}))
    assert read.colnames == COLUMNS
    assert read["aper_total_flux"].unit == "Jy"
    assert read["xcentroid"].info.format == ".4f"
    assert read.meta["CRDS_CTX"] == "jwst_0001.pmap"
    assert read.meta["aperture_params"]["aperture_ee"] == [30, 50, 70]
    assert "calwebbd" in read.meta["version"]
    with datamodels.open(write(segments, tmp_path / "a_segm.fits"), strict_validation=True) as model:
        model.validate()
        assert isinstance(model, datamodels.SegmentationMapModel)
        np.testing.assert_array_equal(model.data, segments.sci)
        assert model.data.dtype == np.uint32
        assert model.meta.wcs is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_cat.ecsv", "a_segm.fits"]


@pytest.mark.parametrize("wrong", [{"aperture_ee1": 60}, {"aperture_ee3": 100}, {"connectivity": 6}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        SourceCatalogParams(**wrong)


@pytest.mark.parametrize("share", [0, 0.1, 0.95])
def test_the_mosaic_is_smoothed_as_astropy_does_it(share: float) -> None:
    random = np.random.default_rng(3)
    data = random.normal(size=(40, 50)).astype(np.float32)
    missing = random.random(data.shape) < share
    if share:
        data[20, 3] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are holes
        expected = convolve(data, Gaussian2DKernel(2 / FWHM_PER_SIGMA), mask=missing)
    np.testing.assert_array_equal(convolved(data, 2.0, missing), expected)
