from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from images import make_image

from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.photom import photom

Rows = list[tuple[Any, ...]]
OPTICS = [("filter", "S12"), ("pupil", "S12")]
PIXEL = {"PIXAR_SR": 2e-14, "PIXAR_A2": 9e-4}


def references(
    folder: Path,
    rows: Rows,
    columns: list[tuple[str, str]] | None = None,
    *,
    area: dict[str, float] | None = None,
    times: dict[str, tuple[list[str], Rows]] | None = None,
    header: dict[str, float] = PIXEL,
) -> References:
    """A photom reference of these rows, with tables of time coefficients; an area reference if asked for."""
    table = np.array(rows, columns or [*OPTICS, ("photmjsr", "f4")])
    hdus = [fits.PrimaryHDU(header=fits.Header(header)), fits.BinTableHDU(table, name="PHOTOM")]
    for name, (names, values) in (times or {}).items():
        hdus.append(fits.BinTableHDU(np.array(values, [(n, "f4") for n in names]), name=name))
    fits.HDUList(hdus).writeto(folder / "photom.fits")
    files = {"photom": folder / "photom.fits"}
    if area is not None:
        sci = fits.ImageHDU(np.arange(12, dtype=np.float32).reshape(3, 4), name="SCI")
        files["area"] = folder / "area.fits"
        fits.HDUList([fits.PrimaryHDU(header=fits.Header(area)), sci]).writeto(files["area"])
    return References(files, Subarray(1, 1, 2, 1))


ROW = (b"F200W", b"CLEAR", 2.0)


def test_rates_become_surface_brightness(tmp_path: Path) -> None:
    image = make_image([[1, 3]])
    image.var_flat = np.full((1, 2), 0.25, np.float32)
    photom(image, references(tmp_path, [ROW]))
    np.testing.assert_array_equal(image.sci, [[2, 6]])
    np.testing.assert_array_equal(image.err, [[2, 2]])
    np.testing.assert_array_equal(image.var_rnoise, [[2, 2]])
    np.testing.assert_array_equal(image.var_flat, [[1, 1]])
    assert image.header["BUNIT"] == "MJy/sr"
    assert image.header["PHOTMJSR"] == 2
    assert image.header["PHOTUJA2"] == pytest.approx(47.0088618)  # 2e12 / 206264.8**2


def test_the_inverse_divides(tmp_path: Path) -> None:
    image = photom(make_image([[1, 3]], BUNIT="MJy/sr"), references(tmp_path, [ROW]), inverse=True)
    np.testing.assert_array_equal(image.sci, [[0.5, 1.5]])
    np.testing.assert_array_equal(image.var_poisson, [[0.125, 0.125]])
    assert image.header["BUNIT"] == "DN/s"


def test_the_row_is_that_of_filter_pupil_and_subarray_in_any_case(tmp_path: Path) -> None:
    rows = [(*ROW[:2], b"full", 2.0), (b"f200w", b"Clear", b"sub2", 5.0), (b"F444W", b"CLEAR", b"SUB2", 7.0)]
    columns = [*OPTICS, ("SUBARRAY", "S8"), ("PHOTMJSR", "f4")]
    assert photom(make_image([[1, 1]]), references(tmp_path, rows, columns)).sci[0, 0] == 5


@pytest.mark.parametrize(
    ("subarray", "filter", "factor"),
    [("BRIGHTSKY", "F770W", 5), ("SUB64", "F770W", 2), ("FULL", "F560W", 3), ("SUB64", "F560W", 1)],
)
def test_miris_row_is_that_of_its_subarray_or_the_generic_one(
    tmp_path: Path, subarray: str, filter: str, factor: float
) -> None:
    rows = [
        *((b"F770W", b"GENERIC", 2.0), (b"F770W", b"BRIGHTSKY", 5.0)),
        *((b"F560W", b"FULL", 3.0), (b"F560W", b"BRIGHTSKY", 7.0)),
    ]
    refs = references(tmp_path, rows, [("filter", "S12"), ("subarray", "S15"), ("photmjsr", "f4")])
    image = make_image([[1, 1]], INSTRUME="MIRI", FILTER=filter, SUBARRAY=subarray)
    assert photom(image, refs).sci[0, 0] == factor


def test_the_guider_has_one_row(tmp_path: Path) -> None:
    refs = references(tmp_path, [(4.0,)], [("photmjsr", "f4")])
    assert photom(make_image([[1, 1]], INSTRUME="FGS", FILTER=""), refs).sci[0, 0] == 4


def test_nirisss_integrations_stay_in_counts_but_have_their_areas(tmp_path: Path) -> None:
    image = make_image(np.ones((2, 1, 2)), INSTRUME="NIRISS", BUNIT="DN/s")
    with pytest.raises(Skip, match="NIRISS"):
        photom(image, references(tmp_path, [ROW], area=PIXEL))
    np.testing.assert_array_equal(image.sci, np.ones((2, 1, 2)))
    np.testing.assert_array_equal(image.area, [[5, 6]])
    assert image.header["PIXAR_SR"] == 2e-14


def test_two_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReferenceMissing, match="2 rows"):
        photom(make_image([[1, 1]]), references(tmp_path, [ROW, ROW]))


def test_without_a_row_the_data_stay(tmp_path: Path) -> None:
    image = photom(make_image([[1, 1]], FILTER="F090W", BUNIT="DN/s"), references(tmp_path, [ROW]))
    assert image.sci[0, 0] == 1
    assert image.header["BUNIT"] == "DN/s"
    assert "PHOTMJSR" not in image.header


def test_flux_densities_are_divided_by_the_pixel_unless_the_source_is_a_point(tmp_path: Path) -> None:
    refs = references(tmp_path, [(*ROW[:2], 1e-14)], [*OPTICS, ("photmj", "f4")])
    extended = photom(make_image([[1, 1]]), refs)
    assert extended.sci[0, 0] == pytest.approx(0.5)
    assert extended.header["BUNIT"] == "MJy/sr"
    for image in (
        photom(make_image([[1, 1]], SRCTYPE="POINT"), refs),
        photom(make_image([[1, 1]]), refs, source_type="POINT"),
    ):
        assert image.sci[0, 0] == pytest.approx(1e-14)
        assert image.header["BUNIT"] == "MJy"


@pytest.mark.parametrize(
    ("name", "names", "values", "throughput"),
    [
        ("TIMECOEFF_LINEAR", ["t0", "lossperyear"], (60000, 0.25), 0.75),
        (
            "TIMECOEFF_EXPONENTIAL",
            ["t0", "amplitude", "tau", "const"],
            (60000, 0.5, 365, 0.5),
            0.5 / np.e + 0.5,
        ),
        ("TIMECOEFF_POWERLAW", ["t0", "year1value", "tsoft", "alpha"], (60000, 0.8, 10, -1.5), 0.8),
    ],
)
def test_a_loss_of_throughput_raises_the_factor(
    tmp_path: Path, name: str, names: list[str], values: tuple[float, ...], throughput: float
) -> None:
    refs = references(tmp_path, [ROW], times={name: (names, [values])})
    a_year_later = {"EXPMID": 60365.0}
    image = photom(make_image([[1, 1]], **a_year_later), refs)
    assert image.sci[0, 0] == pytest.approx(2 / throughput, rel=1e-6)
    assert image.sci.dtype == np.float32
    as_it_was = photom(make_image([[1, 1]], **a_year_later), refs, apply_time_correction=False)
    assert as_it_was.sci[0, 0] == 2


def test_losses_multiply(tmp_path: Path) -> None:
    half = (["t0", "lossperyear"], [(60000.0, 0.5)])
    constant = (["t0", "amplitude", "tau", "const"], [(60000.0, 0.0, 1.0, 0.5)])
    refs = references(tmp_path, [ROW], times={"TIMECOEFF_LINEAR": half, "TIMECOEFF_EXPONENTIAL": constant})
    assert photom(make_image([[1, 1]], EXPMID=60365.0), refs).sci[0, 0] == 8


def test_coefficients_have_a_row_for_each_of_the_photometry(tmp_path: Path) -> None:
    refs = references(tmp_path, [ROW], times={"TIMECOEFF_LINEAR": (["t0", "lossperyear"], [(0, 0), (0, 0)])})
    with pytest.raises(ReferenceMissing, match="2 rows in TIMECOEFF_LINEAR"):
        photom(make_image([[1, 1]], EXPMID=60365.0), refs)


def test_a_factor_that_changes_needs_a_date(tmp_path: Path) -> None:
    refs = references(tmp_path, [ROW], times={"TIMECOEFF_LINEAR": (["t0", "lossperyear"], [(60000, 0.5)])})
    with pytest.raises(InputError, match="EXPMID"):
        photom(make_image([[1, 1]]), refs)


def test_the_map_of_areas_is_cut_and_its_header_counts(tmp_path: Path) -> None:
    image = photom(
        make_image([[1, 1]]), references(tmp_path, [ROW], area={"PIXAR_SR": 3e-14, "PIXAR_A2": 1e-3})
    )
    np.testing.assert_array_equal(image.area, [[5, 6]])
    assert image.header["PIXAR_SR"] == 3e-14
    assert image.sci[0, 0] == 2  # the data are not multiplied by the map


def test_pixel_areas_come_from_photom_only_without_a_map(tmp_path: Path) -> None:
    image = photom(make_image([[1, 1]]), references(tmp_path, [ROW]))
    assert (image.header["PIXAR_SR"], image.header["PIXAR_A2"]) == (2e-14, 9e-4)
    (tmp_path / "with").mkdir()
    image = photom(image, references(tmp_path / "with", [ROW], area={}))
    assert "PIXAR_SR" not in image.header


def test_unusable_pixels_end_as_nan(tmp_path: Path) -> None:
    image = make_image([[1, 1]])
    image.dq[0, 0] = 1
    photom(image, references(tmp_path, [ROW]))
    np.testing.assert_array_equal(np.isnan(image.err), [[True, False]])
