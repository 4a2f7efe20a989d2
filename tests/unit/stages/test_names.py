"""JWST file names, read and made."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.stages.names import (
    PRODUCTS,
    TABLES,
    ExposureName,
    exposure_name,
    group_id,
    level3_name,
    level3_optics,
    parse,
    product_path,
    split_suffix,
)


def digits(width):
    return st.integers(0, 10**width - 1).map(lambda number: f"{number:0{width}d}")


EXPOSURES = st.builds(
    ExposureName,
    program=digits(5),
    observation=digits(3),
    visit=digits(3),
    group=digits(2),
    seq=digits(1),
    activity=st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=2),
    exposure=digits(5),
    detector=st.sampled_from(["nrca1", "nrcblong", "mirimage", "mirifulong", "nis", "nrs2", "guider1"]),
    suffix=st.sampled_from(sorted(PRODUCTS)),
    segment=st.none() | digits(3),
    asn_id=st.none() | st.sampled_from(["o012", "c1001", "a3001"]),
)


@given(EXPOSURES)
def test_a_name_taken_apart_and_put_together_is_the_same(name):
    assert parse(str(name)) == name


@given(EXPOSURES)
def test_header_and_name_say_the_same(name):
    header = {
        "PROGRAM": name.program,
        "OBSERVTN": name.observation,
        "VISIT": name.visit,
        "VISITGRP": name.group,
        "SEQ_ID": name.seq,
        "ACT_ID": name.activity.upper(),
        "EXPOSURE": str(int(name.exposure)),
        "DETECTOR": name.detector.upper(),
        "EXSEGNUM": int(name.segment or 1),
        "EXSEGTOT": 1000 if name.segment else 1,
    }

    made = exposure_name(header, name.suffix)

    assert made.root == name.root.replace("-seg000", "-seg001")
    assert group_id(header) == name.group_id


@given(EXPOSURES, st.sampled_from(sorted(PRODUCTS - TABLES)))
def test_a_product_replaces_the_suffix_only(name, suffix):
    path = product_path(Path("/night") / str(name), suffix)

    assert path.parent == Path("/night")
    assert parse(path.name).suffix == suffix
    assert parse(path.name).root == name.root


def test_an_exposure_name_has_its_documented_fields():
    name = parse("jw01366002001_04103_00001-seg002_nrs1_crfints.fits")

    assert (name.program, name.observation, name.visit) == ("01366", "002", "001")
    assert (name.group, name.seq, name.activity) == ("04", "1", "03")
    assert (name.exposure, name.segment, name.detector, name.suffix) == ("00001", "002", "nrs1", "crfints")


@pytest.mark.parametrize(
    "name",
    [
        "jw01019001001_gs-acq1_2022117003102_uncal.fits",
        "jw87600-a3001_t001_niriss_f480m-nrm_ami-oi.fits",
        "jw01234001001_02101_00001_nrca1.fits",
        "jw01234001001_02101_00001_nrca1_uncal.fits.part",
        "notes.txt",
    ],
)
def test_other_names_are_no_exposures(name):
    assert parse(name) is None


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("jw01_x_uncal.fits", ("jw01_x", "_", "uncal")),
        ("jw01_gs-id_1_image-uncal.fits", ("jw01_gs-id_1_image", "-", "uncal")),
        ("jw01_x_ami-oi.fits", ("jw01_x", "_", "ami-oi")),
        ("jw01_x_psf-ami-oi.fits", ("jw01_x_psf", "-", "ami-oi")),
        ("jw01_x_outlier_i2d.fits", ("jw01_x_outlier", "_", "i2d")),
        ("jw01_x_rate_cal.fits", ("jw01_x_rate", "_", "cal")),
        ("jw01_x_dark_current.fits", ("jw01_x", "_", "dark_current")),
        ("jw01_x_darkcurrentstep.fits", ("jw01_x", "_", "darkcurrentstep")),
        ("jw01_x_segm.fits", ("jw01_x_segm", "_", "")),
        ("jw01_x_CAL.fits", ("jw01_x_CAL", "_", "")),
        ("jw01234-o001_t001_nircam_clear-f200w", ("jw01234-o001_t001_nircam_clear-f200w", "_", "")),
        ("field_v1.2_cal", ("field_v1.2", "_", "cal")),
    ],
)
def test_one_known_suffix_is_cut_with_its_separator(name, parts):
    assert split_suffix(name) == parts


def test_products_of_stage_3_by_exposure_carry_the_association():
    path = product_path(Path("jw01234001001_02101_00001_nrca1_cal.fits"), "crf", "o012")

    assert path == Path("jw01234001001_02101_00001_nrca1_o012_crf.fits")


def test_guide_star_files_keep_their_hyphen():
    assert product_path(Path("jw01_gs-id_1_image-uncal.fits"), "cal") == Path("jw01_gs-id_1_image-cal.fits")


def test_catalogues_are_written_as_ecsv():
    assert product_path(Path("jw01234-o001_t001_nircam_clear-f200w"), "cat").suffix == ".ecsv"


def test_a_group_needs_all_its_keywords():
    assert group_id({"PROGRAM": "01234", "DETECTOR": "NRCA1"}) == ""


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (("76", "a3001", "t001", "NIRISS", "f480m-nrm", "FULL"), "jw00076-a3001_t001_niriss_f480m-nrm"),
        (
            ("01234", "o001", "t001", "NIRCAM", "clear-f200w", "SUB320"),
            "jw01234-o001_t001_nircam_clear-f200w-sub320",
        ),
    ],
)
def test_stage_3_names_follow_the_documentation(fields, name):
    assert level3_name(*fields) == name


def test_optical_elements_are_sorted_and_none_is_clear():
    assert level3_optics("NRM", "F480M") == "f480m-nrm"
    assert level3_optics("F200W", "CLEAR") == "clear-f200w"
    assert level3_optics("F770W", "") == "f770w"
    assert level3_optics() == "clear"
