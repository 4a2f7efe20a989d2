"""The way of light through NIRSpec, and where it falls."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import constants
from hypothesis import given, settings
from hypothesis import strategies as st
from images import make_image
from nirspec import ARRAY, GROOVES, make_header, make_references, trees

from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.exposure import Header, Image, Subarray
from calwebbd.stages.steps.assign_wcs import assign_wcs
from calwebbd.stages.steps.assign_wcs.nirspec import disperser, slits
from calwebbd.stages.steps.assign_wcs.nirspec.apertures import Aperture, slice_apertures, slit_apertures
from calwebbd.stages.steps.assign_wcs.nirspec.optics import Optics, read_optics
from calwebbd.stages.steps.assign_wcs.nirspec.traces import around, detector_to_slit, trace
from calwebbd.stages.steps.assign_wcs.nirspec.wcs import aperture_wcs, slice_to_sky, slit_to_sky

FIXED = make_header("NRS_FIXEDSLIT")
SLIT = slits.fixed_slit("S400A1", 1)  # at the centre of the field
PRISM = {
    "angle": -16.5,
    "kcoef": [1.03, 0.0123, 4.09],
    "lcoef": [0.00546, 0.0388, 1264.0],
    "tcoef": [-2.66e-05, 0, 0, 0, 0, 0],
    "tref": 35.0,
    "pref": 0.0,
}


def optics_of(header: Header = FIXED, subarray: Subarray = ARRAY) -> Optics:
    return read_optics(header, subarray, make_references(Path()))


def slit_of(optics: Optics, slit: Any = SLIT) -> Aperture:
    (aperture,) = slit_apertures([slit], trees()["msa"], optics)
    return aperture


def wavelength_at(x: float, y: float = 30.0) -> float:
    """The grating equation, by hand, for a slit on the axis."""
    u, v = (x - 10) / 250, (y - 30) / 250
    return float(u / np.sqrt(1 + u**2 + v**2) / GROOVES)


def test_a_pixel_sees_the_wavelength_that_the_grating_sends_there() -> None:
    optics = optics_of()
    to_slit = detector_to_slit(slit_of(optics), optics)
    x, y, waves = to_slit(40.0, 31.0)
    # one pixel is 1/250, and the collimator halves it: 2 mm of 8
    assert y == pytest.approx(-0.25, abs=2e-3)
    assert x == 0
    assert waves == pytest.approx(wavelength_at(40, 31), rel=1e-9)
    assert np.isnan(to_slit(40.0, 35.0)[1:]).all()


def test_light_comes_back_to_the_pixel() -> None:
    optics = optics_of()
    to_slit = detector_to_slit(slit_of(optics), optics)
    x, y = np.random.default_rng(1).uniform((20, 28), (80, 32), (200, 2)).T
    np.testing.assert_allclose(to_slit.inverse(*to_slit(x, y)), (x, y), atol=1e-6)


def test_slices_bend_with_wavelength_and_light_still_comes_back() -> None:
    optics = optics_of()
    third = slice_apertures(trees()["ifuslicer"], trees()["ifupost"], optics)[2]
    to_slit = detector_to_slit(third, optics)
    x = np.array([35.0, 60.0])
    places = to_slit(x, np.array([30.0, 30.0]))
    # y is exact in the middle of the wavelengths only: 0.5 µm beside it 100 * 5e-7 m, 0.025 pixels
    np.testing.assert_allclose(to_slit.inverse(*places)[0], x, atol=1e-3)
    np.testing.assert_allclose(to_slit.inverse(*places)[1], 30, atol=0.026)


def test_the_second_detector_is_upside_down() -> None:
    first = optics_of()
    header = make_header("NRS_FIXEDSLIT", DETECTOR="NRS2")
    second = optics_of(header, Subarray(1952, 1984, 96, 64))
    here = detector_to_slit(slit_of(first), first)(40.0, 31.0)
    there = detector_to_slit(slit_of(second), second)(95 - 40.0, 63 - 31.0)
    np.testing.assert_allclose(here, there)


@settings(max_examples=10, deadline=None)
@given(x=st.integers(0, 50), y=st.integers(0, 20))
def test_a_subarray_sees_what_its_pixels_see_in_the_whole(x: int, y: int) -> None:
    whole, part = (
        read_optics(FIXED, Subarray(*corner, 96, 64), make_references(Path())) for corner in ((0, 0), (x, y))
    )
    here, there = (detector_to_slit(slit_of(each), each) for each in (whole, part))
    np.testing.assert_allclose(here(45.0, 30.5), there(45.0 - x, 30.5 - y), rtol=1e-12)


def test_wavelengths_are_those_at_the_barycentre() -> None:
    speed = 30000.0
    still, moving = (
        optics_of(make_header("NRS_FIXEDSLIT", **keywords)) for keywords in ({}, {"VELOSYS": speed})
    )
    waves = [detector_to_slit(slit_of(each), each)(40.0, 30.0)[2] for each in (still, moving)]
    assert waves[0] / waves[1] == pytest.approx(1 + speed / constants.c.value, rel=1e-12)


def test_sensors_turn_the_disperser_by_half_of_what_the_beam_turns() -> None:
    tree = trees()["disperser"]
    turned = disperser.rotation(tree, Header(GWA_XTIL=0.75, GWA_YTIL=0.25))
    # 7200 arcsec per unit: 0.25 units are half a degree of the beam
    np.testing.assert_allclose(turned.angles.value, [-0.25, 0.25, 0, 0])
    assert not disperser.rotation(tree, Header()).angles.value.any()


@pytest.mark.parametrize(
    ("filter_", "grating", "wanted"),
    [
        ("F100LP", "G140H", (-1, (1e-6, 2e-6))),
        ("F070LP", "G140H", (-1, (1e-6, 2e-6))),
        ("OPAQUE", "G140H", (-1, (1e-6, 1.9e-6))),
        ("CLEAR", "PRISM", (1, (0.6e-6, 5.3e-6))),
        ("CLEAR", "MIRROR", (-1, (0.6e-6, 5.3e-6))),
    ],
)
def test_order_and_wavelengths_are_of_filter_or_lamp_and_grating_or_of_the_grating(
    filter_: str, grating: str, wanted: Any
) -> None:
    header = Header(FILTER=filter_, GRATING=grating, LAMP="LINE1")
    assert disperser.order_and_range(trees()["wavelengthrange"], header) == wanted


def test_the_prism_is_undone_by_its_own_index() -> None:
    header = Header(GRATING="PRISM", GWA_TILT=36.0, VELOSYS=20000.0)
    waves, alpha, beta = np.linspace(0.7e-6, 5e-6, 9), np.full(9, -0.3), np.full(9, 0.02)
    gamma = np.sqrt(1 - alpha**2 - beta**2)
    leaving, _, _ = disperser.dispersed(PRISM, header, 0)(waves, alpha, beta, gamma)
    back = disperser.wavelength(PRISM, header, 0)(alpha, beta, leaving)
    # the index is interpolated between steps of 5 nm
    np.testing.assert_allclose(back, waves, rtol=2e-4)
    with pytest.raises(InputError, match="GWA_TILT"):
        disperser.wavelength(PRISM, Header(GRATING="PRISM"), 0)


def test_the_trace_of_a_slit_has_its_margins() -> None:
    optics = optics_of()
    found = trace(slit_of(optics), optics)
    assert found
    (x1, x2), (y1, y2) = found.box
    ends = [10 + 250 * s / np.sqrt(1 - s**2) for s in (0.1, 0.2)]  # of 1 and 2 µm
    assert (x1, x2) == pytest.approx((ends[0] - 11.5, ends[1] + 9.5), abs=0.02)
    # rows 28 to 32 see the slit, up to 2.2 pixels from its centre
    assert (y1, y2) == (28 - 3.5, 32 + 1.5)
    mask = np.zeros((64, 96), bool)
    found.add_to(mask)
    assert np.flatnonzero(mask.any(axis=1)).tolist() == list(range(28, 33))
    assert np.flatnonzero(mask.any(axis=0)).tolist() == list(range(24, 71))
    mask[:] = False
    found.add_box_to(mask)
    assert mask.sum() == mask[25:34, 24:71].sum() == 9 * 47


def test_boxes_stay_on_the_detector() -> None:
    assert around(np.array([5.0, 2045.0]), np.array([1.0, 2047.0])) == ((-0.5, 2047.5), (-0.5, 2047.5))
    assert around(np.array([100.0, 200.0]), np.array([50.0])) == ((88.5, 209.5), (46.5, 51.5))


def test_what_misses_the_detector_has_no_trace() -> None:
    optics = optics_of()
    assert trace(slit_of(optics), optics)
    away = optics_of(FIXED, Subarray(0, 500, 96, 64))
    assert trace(slit_of(away), away) is None


def test_the_wcs_of_a_slit_goes_to_the_sky_and_back() -> None:
    references = make_references(Path())
    optics = read_optics(FIXED, ARRAY, references)
    aperture = slit_of(optics)
    found = trace(aperture, optics)
    assert found
    wcs = aperture_wcs(aperture, found.box, optics, slit_to_sky(FIXED, references))
    ra, dec, waves = wcs(40.0, 31.0)
    # 2 mm of the MSA, times 1000, in arc seconds
    assert dec == pytest.approx(10 - 2.0 / 3600, abs=1e-5)
    assert ra == pytest.approx(30, abs=1e-9)
    assert waves == pytest.approx(1e6 * wavelength_at(40, 31))
    np.testing.assert_allclose(wcs.invert(ra, dec, waves), (40, 31), atol=1e-5)
    assert np.isnan(wcs(40.0, 50.0)).all()


def test_the_wcs_of_a_slice_passes_the_slicer() -> None:
    header = make_header("NRS_IFU")
    references = make_references(Path())
    optics = read_optics(header, ARRAY, references)
    aperture = slice_apertures(trees()["ifuslicer"], trees()["ifupost"], optics)[3]
    found = trace(aperture, optics)
    assert found
    wcs = aperture_wcs(aperture, found.box, optics, slice_to_sky(header, references))
    assert wcs.available_frames[3:8] == ["slit_frame", "slicer", "msa_frame", "oteip", "oteip_chromcorr"]
    y = (found.box[1][0] + found.box[1][1]) / 2
    sky = wcs(45.0, y)
    assert np.isfinite(sky).all()
    np.testing.assert_allclose(wcs.invert(*sky), (45, y), atol=0.03)


def image_of(**keywords: Any) -> Image:
    corner = {"SUBSTRT1": 1, "SUBSTRT2": 1, "GRATING": "MIRROR"}
    return make_image(np.zeros((64, 96)), **make_header("NRS_IMAGE", **corner, **keywords))


def test_images_go_to_the_sky_and_back() -> None:
    image = assign_wcs(image_of(), make_references(Path()))
    ra, dec = image.wcs(10.0, 31.0)
    assert (ra, dec) == (pytest.approx(30), pytest.approx(10 - 2.0 / 3600, abs=1e-6))
    np.testing.assert_allclose(image.wcs.invert(ra, dec), (10, 31), atol=1e-6)
    assert str(image.header["S_REGION"]).startswith("POLYGON ICRS")
    assert image.header["CTYPE1"] == "RA---TAN"  # nothing is bent
    assert (image.header["WAVSTART"], image.header["SPORDER"]) == (0.6e-6, -1)


def test_behind_a_closed_filter_wheel_there_is_no_sky() -> None:
    image = assign_wcs(image_of(FILTER="OPAQUE"), make_references(Path()))
    assert image.wcs.available_frames[-1] == "msa"
    assert "S_REGION" not in image.header
    np.testing.assert_allclose(image.wcs(10.0, 31.0), (0, -0.002), atol=1e-12)


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(ReferenceMissing, match="camera"):
        read_optics(FIXED, ARRAY, make_references(Path(), "camera"))


def test_lamps_stand_for_filters_and_a_mirror_has_no_grooves() -> None:
    rows = {
        "waverange_selector": ["A_MIRROR", "L_MIRROR"],
        "wavelengthrange": [[1, 2], [3, 4]],
        "order": [0, 1],
    }
    lamp = make_header("NRS_MSATA", GRATING="MIRROR", FILTER="OPAQUE", LAMP="L")
    assert disperser.order_and_range(rows, lamp) == (1, (3, 4))
    assert disperser.order_and_range(rows, make_header("NRS_IMAGE", GRATING="MIRROR", FILTER="B")) == (
        0,
        (1, 2),
    )
    tree = {kind: value for kind, value in trees()["disperser"].items() if kind != "groovedensity"}
    assert disperser.dispersed(tree, lamp, 1) is not None
