from pathlib import Path
from typing import Any

import asdf
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from images import POINTING, SCALE, distortion, make_image
from nirspec import make_header, make_references

from calwebbd.stages import footprints
from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.exposure import Header, Image, Subarray
from calwebbd.stages.references import References
from calwebbd.stages.steps.assign_wcs import assign_wcs, footprint
from calwebbd.stages.steps.assign_wcs.imaging import filter_offset, imaging_wcs, v2v3_to_sky

NX, NY = 20, 10
CENTRE = (NX - 1) / 2, (NY - 1) / 2
EQUATOR = {**POINTING, "RA_REF": 10.0, "DEC_REF": 0.0, "ROLL_REF": 0.0}


def wcs_of(
    header: Header, x: int = 0, y: int = 0, offset: tuple[float, float] = (0, 0), bend: float = 0
) -> Any:
    return imaging_wcs(header, Subarray(x, y, NX, NY), distortion(NX, NY, bend), offset)


def references(folder: Path, filters: list[dict[str, Any]] | None = None, bend: float = 0) -> References:
    asdf.AsdfFile({"model": distortion(NX, NY, bend)}).write_to(folder / "distortion.asdf")
    files = {"distortion": folder / "distortion.asdf"}
    if filters is not None:
        asdf.AsdfFile({"filters": filters}).write_to(folder / "offset.asdf")
        files["filteroffset"] = folder / "offset.asdf"
    return References(files, Subarray(0, 0, NX, NY))


def assigned(folder: Path, bend: float = 0, **keywords: Any) -> Image:
    image: Image = assign_wcs(make_image(np.zeros((NY, NX)), **keywords), references(folder, bend=bend))
    return image


@given(
    ra=st.floats(0, 359.9), dec=st.floats(-89, 89), roll=st.floats(0, 359.9),
    v2=st.floats(-1000, 1000), v3=st.floats(-1000, 1000),
)  # fmt: skip
def test_v3_points_at_roll_ref_and_v2_ninety_degrees_east_of_it(
    ra: float, dec: float, roll: float, v2: float, v3: float
) -> None:
    header = Header(V2_REF=v2, V3_REF=v3, RA_REF=ra, DEC_REF=dec, ROLL_REF=roll)
    sky = v2v3_to_sky(header)
    here, along_v3, along_v2 = (
        SkyCoord(*sky(v2 + dv2, v3 + dv3), unit="deg") for dv2, dv3 in ((0, 0), (0, 1), (1, 0))
    )
    assert here.separation(SkyCoord(ra, dec, unit="deg")).arcsec < 1e-9
    off = here.position_angle(along_v3) - roll * u.deg
    assert abs(off.wrap_at(180 * u.deg).deg) < 1e-4
    off = here.position_angle(along_v2) - (roll + 90) * u.deg
    assert abs(off.wrap_at(180 * u.deg).deg) < 1e-2  # V2 are circles of latitude: they bend
    assert here.separation(along_v3).arcsec == pytest.approx(1, abs=1e-8)


@settings(max_examples=20)
@given(x=st.floats(0, NX - 1), y=st.floats(0, NY - 1))
def test_pixels_go_to_the_sky_and_back(x: float, y: float) -> None:
    wcs = wcs_of(Header({**POINTING, "VA_SCALE": 1.00001}))
    assert wcs.invert(*wcs(x, y)) == pytest.approx((x, y), abs=1e-7)


def test_the_frames_have_the_names_that_stage_3_looks_for() -> None:
    assert wcs_of(Header(POINTING)).available_frames == ["detector", "v2v3", "v2v3vacorr", "world"]


def test_at_the_equator_without_roll_v2_is_east_and_v3_north() -> None:
    ra, dec = wcs_of(Header(EQUATOR))(CENTRE[0] - 1, CENTRE[1] + 1)
    assert (ra - 10) * 3600 == pytest.approx(SCALE * np.cos(np.deg2rad(500 / 3600)), rel=1e-4)
    assert dec * 3600 == pytest.approx(SCALE, rel=1e-4)


def test_a_subarray_sees_what_the_full_frame_sees_there() -> None:
    full, part = wcs_of(Header(POINTING)), wcs_of(Header(POINTING), x=3, y=2)
    np.testing.assert_array_equal(part(1, 4), full(4, 6))


def test_a_filter_shifts_the_image() -> None:
    shifted = wcs_of(Header(POINTING), offset=(0.5, -0.25))
    np.testing.assert_allclose(shifted(4, 5), wcs_of(Header(POINTING))(4.5, 4.75), rtol=1e-15)


def test_aberration_scales_about_the_reference_point() -> None:
    wcs = wcs_of(Header({**POINTING, "VA_SCALE": 1.5}))
    v2, v3 = wcs.get_transform("detector", "v2v3vacorr")(CENTRE[0] + 1, CENTRE[1] + 2)
    assert v2 - POINTING["V2_REF"] == pytest.approx(-1.5 * SCALE)
    assert v3 - POINTING["V3_REF"] == pytest.approx(3 * SCALE)


@pytest.mark.parametrize("wrong", [{"VA_SCALE": 0.0}, {"ROLL_REF": ""}])
def test_a_pointing_that_cannot_be_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        wcs_of(Header({**POINTING, **wrong}))


def test_the_full_frame_is_bounded_by_the_reference_and_a_subarray_by_itself() -> None:
    model = distortion(NX, NY)
    model.bounding_box = ((3.5, 8.5), (-0.5, NX - 0.5))  # y, x
    for x, rows in ((0, (3.5, 8.5)), (3, (-0.5, NY - 0.5))):
        wcs = imaging_wcs(Header(POINTING), Subarray(x, 0, NX, NY), model.copy(), (0, 0))
        assert wcs.bounding_box.bounding_box(order="F") == ((-0.5, NX - 0.5), rows)


def test_offsets_are_those_of_filter_and_pupil() -> None:
    rows = [
        {"filter": "F200W", "pupil": "CLEAR", "column_offset": 1.5, "row_offset": -2},
        {"filter": "F200W", "pupil": "WLP8", "column_offset": "N/A", "row_offset": 0},
    ]
    assert filter_offset(rows, Header(FILTER="F200W", PUPIL="CLEAR")) == (1.5, -2)
    assert filter_offset(rows, Header(FILTER="F200W", PUPIL="WLP8")) == (0, 0)
    assert filter_offset(rows, Header(FILTER="F090W", PUPIL="CLEAR")) == (0, 0)
    with pytest.raises(InputError, match="2 rows"):
        filter_offset(rows[:1] * 2, Header(FILTER="F200W", PUPIL="CLEAR"))


def test_miri_has_no_pupil_wheel_and_its_first_row_counts(tmp_path: Path) -> None:
    rows = [{"filter": "F770W", "column_offset": n, "row_offset": -n} for n in (1.5, 2.5)]
    assert filter_offset(rows, Header(INSTRUME="MIRI", FILTER="F770W")) == (1.5, -1.5)
    image = make_image(np.zeros((NY, NX)), INSTRUME="MIRI", EXP_TYPE="MIR_IMAGE", FILTER="F770W")
    np.testing.assert_allclose(
        assign_wcs(image, references(tmp_path, rows)).wcs(3, 3),
        wcs_of(Header(POINTING))(4.5, 1.5),
        rtol=1e-15,
    )
    with pytest.raises(ReferenceMissing, match="filteroffset"):
        assign_wcs(image, References({"distortion": tmp_path / "distortion.asdf"}, image.subarray))


@pytest.mark.parametrize(
    ("instrument", "exp_type"),
    [("NIRISS", "NIS_AMI"), ("FGS", "FGS_FOCUS"), ("NIRCAM", "NRC_TACONFIRM"), ("NIRCAM", "NRC_CORON")],
)
def test_images_of_every_kind_have_a_place_integrations_too(
    tmp_path: Path, instrument: str, exp_type: str
) -> None:
    image = make_image(np.zeros((2, NY, NX)), INSTRUME=instrument, EXP_TYPE=exp_type)
    assigned = assign_wcs(image, references(tmp_path))
    np.testing.assert_array_equal(assigned.wcs(3, 3), wcs_of(Header(POINTING))(3, 3))


def test_the_region_is_that_of_the_outer_corners(tmp_path: Path) -> None:
    image = assigned(tmp_path)
    (region,) = footprints.parse(str(image.header["S_REGION"]))
    corners = [(-0.5, -0.5), (-0.5, NY - 0.5), (NX - 0.5, NY - 0.5), (NX - 0.5, -0.5)]
    wanted = [image.wcs(*corner, with_bounding_box=False) for corner in corners]
    np.testing.assert_allclose(region, wanted, atol=6e-10)


def test_the_region_of_an_image_without_distortion_is_a_rectangle_about_the_pointing(tmp_path: Path) -> None:
    outline = footprint(assigned(tmp_path, **EQUATOR))
    narrow = np.cos(np.deg2rad(500 / 3600))  # of an arcsec of V2, there
    half = np.array([NX * narrow, NY]) * SCALE / 7200
    signs = [(1, -1), (1, 1), (-1, 1), (-1, -1)]
    np.testing.assert_allclose(outline, np.array([10, 0]) + signs * half, atol=2e-9)


def test_right_ascension_stays_below_360(tmp_path: Path) -> None:
    outline = footprint(assigned(tmp_path, RA_REF=0.0))
    assert ((outline[:, 0] >= 0) & (outline[:, 0] < 360)).all()
    assert np.ptp(outline[:, 0]) > 359


def test_fits_viewers_get_the_same_sky(tmp_path: Path) -> None:
    image = assigned(tmp_path, bend=1e-3, CRPIX1=10.0, CRPIX2=5.0, CDELT1=1.0, PC1_1=1.0)
    assert image.header["CTYPE1"] == "RA---TAN-SIP"
    assert (image.header["CRPIX1"], image.header["CRPIX2"]) == (10, 5)
    assert "CDELT1" not in image.header
    assert "PC1_1" not in image.header
    keywords = {k: v for k, v in image.header.items() if k != "S_REGION"}
    fits_wcs = WCS(
        {k: v for k, v in keywords.items() if k[:2] in ("A_", "B_", "CD", "CR", "CT", "CU", "AP", "BP")}
    )
    x, y = np.meshgrid(np.arange(NX), np.arange(NY))
    distance = SkyCoord(*fits_wcs.all_pix2world(x, y, 0), unit="deg").separation(
        SkyCoord(*image.wcs(x, y), unit="deg")
    )
    assert distance.arcsec.max() < 0.01 * SCALE
    assert image.metadata["meta.wcsinfo.sipmxerr"] < 0.01


def test_the_approximation_can_be_left_out(tmp_path: Path) -> None:
    image = make_image(np.zeros((NY, NX)))
    assign_wcs(image, references(tmp_path), sip_approx=False)
    assert "CTYPE1" not in image.header
    assert "S_REGION" in image.header


def test_an_approximation_that_fails_leaves_the_image_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("singular")

    monkeypatch.setattr("calwebbd.stages.steps.assign_wcs.sip_keywords", fail)
    with pytest.warns(UserWarning, match="singular"):
        image = assigned(tmp_path, CDELT1=1.0)
    assert image.header["CDELT1"] == 1
    assert image.wcs is not None


def test_an_image_without_distortion_or_of_another_mode_is_an_error(tmp_path: Path) -> None:
    image = make_image(np.zeros((NY, NX)))
    with pytest.raises(ReferenceMissing, match="distortion"):
        assign_wcs(image, References({}, image.subarray))
    image.header["EXP_TYPE"] = "NRS_IFU"
    with pytest.raises(InputError, match="NRS_IFU"):
        assign_wcs(image, References({}, image.subarray))


def test_the_offset_of_the_filter_comes_from_its_reference(tmp_path: Path) -> None:
    rows = [{"filter": "F200W", "pupil": "CLEAR", "column_offset": 1.0, "row_offset": 2.0}]
    image = assign_wcs(make_image(np.zeros((NY, NX))), references(tmp_path, rows))
    np.testing.assert_allclose(image.wcs(3, 3), wcs_of(Header(POINTING))(4, 5), rtol=1e-15)


@pytest.mark.parametrize("exp_type", ["NRS_IMAGE", "NRS_MIMF", "NRS_WATA"])
def test_nirspecs_mirror_leads_to_the_sky_unless_the_filter_wheel_is_closed(
    tmp_path: Path, exp_type: str
) -> None:
    image = make_image(
        np.zeros((64, 96)), **make_header(exp_type, GRATING="MIRROR", CRPIX1=48.5, CRPIX2=32.5)
    )
    assign_wcs(image, make_references(tmp_path))
    assert image.wcs(10.0, 31.0) == (pytest.approx(30), pytest.approx(10 - 2.0 / 3600, abs=1e-9))
    assert image.header["CTYPE1"].startswith("RA---TAN")
    assert image.header["S_REGION"].startswith("POLYGON ICRS")
    assert (image.header["SPORDER"], image.header["WAVSTART"], image.header["WAVEND"]) == (-1, 0.6e-6, 5.3e-6)
    image.header["FILTER"] = "OPAQUE"
    assign_wcs(image, make_references(tmp_path))
    assert image.wcs.output_frame.name == "msa"
    assert "S_REGION" not in image.header
