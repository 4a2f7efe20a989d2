"""Which slits and shutters of NIRSpec are open, and which pixels they light."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nirspec import ARRAY, make_header, make_references, write_metafile
from ramps import make_ramp

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header, Ramp
from calwebbd.stages.step import Failed
from calwebbd.stages.steps.assign_wcs.nirspec import msa, slits
from calwebbd.stages.steps.assign_wcs.nirspec.regions import open_slits, science_regions
from calwebbd.stages.steps.clean_flicker_noise import scene

MOS = {"MSAMETFL": "one_msa.fits", "MSAMETID": 1, "PATT_NUM": 1, "PROGRAM": "01234"}
BACKGROUND = {"primary_source": "N", "background": "Y", "source_id": 0}


def slitlets(folder: Path, *rows: Any, **keywords: Any) -> list[Any]:
    write_metafile(folder / "one_msa.fits", *rows)
    return msa.slitlets(make_header("NRS_MSASPEC", **{**MOS, **keywords}), folder)


@pytest.mark.parametrize(
    ("subarray", "names"),
    [("SUBS400A1", ["S400A1"]), ("SUB512S", ["S1600A1"]), ("ALLSLITS", list(slits.FIXED))],
)
def test_a_subarray_shows_its_slit_or_all(subarray: str, names: list[str]) -> None:
    header = make_header("NRS_FIXEDSLIT", SUBARRAY=subarray, FXD_SLIT="S400A1")
    found = open_slits(header, Path(), None)
    assert [slit.name for slit in found] == names
    assert [slit.source_id for slit in found] == [
        1 if n == "S400A1" else 31 + slits.FIXED.index(n) for n in names
    ]
    assert [slit.slit_id for slit in found] == [-101 - slits.FIXED.index(n) for n in names]
    assert {slit.quadrant for slit in found} == {5}


def test_the_subarray_must_be_known() -> None:
    with pytest.raises(InputError, match="SUBARRAY"):
        slits.fixed_slits(Header())
    (only,) = open_slits(make_header("NRS_BRIGHTOBJ"), Path(), None)
    assert (only.name, only.source_id, only.shutter_id) == ("S1600A1", 1, 3)


def test_a_slitlet_reaches_half_a_shutter_beyond_its_shutters(tmp_path: Path) -> None:
    rows = [{"shutter_column": n, **({} if n == 10 else BACKGROUND)} for n in (9, 10, 12)]
    (slit,) = slitlets(tmp_path, *rows)
    assert (slit.ymin, slit.ymax) == (pytest.approx(-1.15 - 1.05), pytest.approx(2 * 1.15 + 1.05))
    assert (slit.xcen, slit.ycen, slit.quadrant) == (1, 10, 2)
    assert slit.shutter_id == 1 + 9 * 365
    assert slit.shutter_state == "1x01"
    assert (slit.source_id, slit.source_name, slit.source_alias, slit.stellarity) == (7, "star", "s", 0.5)
    assert (slit.source_xpos, slit.source_ypos) == (0.25, -0.25)
    assert (slit.source_ra, slit.source_dec) == (30, 10)
    assert (slit.slit_xscale, slit.slit_yscale, slit.dither_position) == (1.35, 1.15, 1)


def test_a_slitlet_without_a_source_is_background_named_by_its_number(tmp_path: Path) -> None:
    (slit,) = slitlets(tmp_path, *({"slitlet_id": 4, "shutter_column": n, **BACKGROUND} for n in (9, 10)))
    assert (slit.source_id, slit.source_name, slit.source_alias) == (4, "1234_BKG4", "BKG4")
    assert (slit.ycen, slit.source_xpos, slit.shutter_state) == (9, 0, "x1")


def test_a_source_in_no_table_is_virtual(tmp_path: Path) -> None:
    (slit,) = slitlets(tmp_path, {"source_id": -2, "estimated_source_in_shutter_x": np.nan})
    assert (slit.source_id, slit.source_name, slit.source_xpos) == (-2, "1234_VRT1", 0)


def test_other_dithers_and_configurations_are_not_meant(tmp_path: Path) -> None:
    rows = [
        {"slitlet_id": 2, "dither_point_index": 2},
        {"slitlet_id": 3, "msa_metadata_id": 5},
        {"slitlet_id": 9},
    ]
    assert [slit.name for slit in slitlets(tmp_path, *rows)] == [9]


def test_fixed_slits_of_a_metafile_need_a_source(tmp_path: Path) -> None:
    rows = [
        {"fixed_slit": "S200A2", "slitlet_id": 0},
        {"fixed_slit": "S400A1", "slitlet_id": 0, **BACKGROUND},
    ]
    (slit,) = slitlets(tmp_path, *rows)
    assert (slit.name, slit.quadrant, slit.slit_id, slit.source_id) == ("S200A2", 5, -102, 7)
    assert (slit.ymin, slit.ymax) == (-0.55, 0.55)


@pytest.mark.parametrize(
    ("rows", "keywords", "reason"),
    [
        ([{}], {"MSAMETFL": "N/A"}, "MSAMETFL missing"),
        ([{}], {"MSAMETID": None, "PATT_NUM": None}, "MSAMETID, PATT_NUM missing"),
        ([{}], {"MSAMETFL": "other_msa.fits"}, "other_msa.fits cannot be read"),
        ([{}, {}], {}, "slitlet 1 2 primary sources"),
        ([{"background": "Y"}], {}, "calls all shutters of slitlet 1 background"),
        ([{"fixed_slit": "S200A1"}, {"fixed_slit": "S200A1", **BACKGROUND}], {}, "2 rows for the fixed slit"),
    ],
)
def test_a_metafile_that_is_wanting_fails(tmp_path: Path, rows: Any, keywords: Any, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        slitlets(tmp_path, *rows, **keywords)


def test_pitches_are_in_units_of_the_shutter() -> None:
    assert msa.pitches(make_references(Path())["msa"].tree())[3] == (pytest.approx(1.35), pytest.approx(1.15))


def test_shutters_that_stay_open_are_listed_by_any_of_three_states(tmp_path: Path) -> None:
    shutters = [(1, 2, 3, "open"), (2, 5, 6, "closed")]
    path = make_references(tmp_path, shutters=shutters)["msaoper"].path
    (slit,) = slits.failed_open(path)
    assert (slit.quadrant, slit.xcen, slit.ycen, slit.shutter_id) == (1, 2, 3, 2 + 2 * 365)
    assert (slit.ymin, slit.ymax, slit.shutter_state) == (-0.5, 0.5, "x")


def regions_of(folder: Path, kind: str, shutters: Any = None, **keywords: Any) -> Any:
    references = make_references(folder, shutters=shutters)
    header = make_header(kind, **keywords)
    return science_regions(header, ARRAY, references, folder, failed_open=shutters is not None)


def test_boxes_of_slits_are_lit_whole(tmp_path: Path) -> None:
    lit, fixed_slits_open = regions_of(tmp_path, "NRS_FIXEDSLIT", SUBARRAY="SUBS400A1")
    assert fixed_slits_open
    assert lit[25:34, 24:71].all()
    assert lit.sum() == 9 * 47


def test_only_the_pixels_of_slices_are_lit(tmp_path: Path) -> None:
    lit, fixed_slits_open = regions_of(tmp_path, "NRS_IFU")
    assert not fixed_slits_open
    rows = np.flatnonzero(lit.any(axis=1))
    # four slices, 7.5 pixels apart and 6.6 high, the first above the axis by 15
    assert (rows.min(), rows.max()) == (19, 48)
    assert 0 < lit.sum() < 30 * 47
    assert regions_of(tmp_path, "NRS_IFU", DETECTOR="NRS2", GRATING="G140M") is None


def test_failed_shutters_light_pixels_beside_slitlets(tmp_path: Path) -> None:
    write_metafile(tmp_path / "one_msa.fits", {})
    without, _ = regions_of(tmp_path, "NRS_MSASPEC", **MOS)
    lit, fixed_slits_open = regions_of(tmp_path, "NRS_MSASPEC", shutters=[(2, 1, 3, "open")], **MOS)
    assert not fixed_slits_open
    beside = lit & ~without
    # row 3 is 15.4 mm below the axis, where a pixel is 2 mm: light crosses over
    assert np.flatnonzero(beside.any(axis=1)).tolist() == [38]
    assert beside.sum() == beside[38, 24:71].sum() > 40


def ramp_of(kind: str, folder: Path, **keywords: Any) -> Ramp:
    ramp = make_ramp(np.zeros((1, 2, 64, 96)), **make_header(kind, SUBSTRT1=1, SUBSTRT2=1, **keywords))
    ramp.file = str(folder / "jw_uncal.fits")
    return ramp


def test_the_metafile_is_looked_for_beside_the_exposure(tmp_path: Path) -> None:
    ramp, references = ramp_of("NRS_MSASPEC", tmp_path, **MOS), make_references(tmp_path, shutters=())
    dq = np.zeros((64, 96), np.uint32)
    with pytest.raises(Failed, match="one_msa"):
        scene.science_regions(ramp, references, dq)
    write_metafile(tmp_path / "one_msa.fits", {})
    dq[60, 90] = flags.MSA_FAILED_OPEN
    science = scene.science_regions(ramp, references, dq)
    assert science[60, 90]
    assert science.sum() > 1


def test_without_the_instrument_model_the_step_fails(tmp_path: Path) -> None:
    references = make_references(tmp_path, "camera", "msa")
    with pytest.raises(Failed, match=r"camera, msa is N/A \(NRS_FIXEDSLIT\)"):
        scene.science_regions(ramp_of("NRS_FIXEDSLIT", tmp_path), references, np.zeros((64, 96), np.uint32))


def test_a_detector_without_slits_is_told_apart(tmp_path: Path) -> None:
    ramp = ramp_of("NRS_IFU", tmp_path, DETECTOR="NRS2", GRATING="G395M")
    with pytest.raises(scene.OffDetector, match="NRS2"):
        scene.science_regions(ramp, make_references(tmp_path), np.zeros((64, 96), np.uint32))
