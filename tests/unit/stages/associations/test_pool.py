"""Pools: read from tables, made from headers."""

from pathlib import Path

import pytest
from header_only import expose

from calwebbd.stages.associations.classify import by_integration, cal_name, rate_name, role
from calwebbd.stages.associations.pool import Candidate, candidates, pool_of, read_pool, row_of, value
from calwebbd.stages.errors import InputError

HEADER = {"OBSERVTN": "007", "EXP_TYPE": "NRC_IMAGE", "BKGDTARG": True, "TSOVISIT": False}


def pool_file(folder: Path, text: str) -> Path:
    path = folder / "pool.csv"
    path.write_text(text)
    return path


def test_a_table_is_read_in_lower_case_without_its_comments(tmp_path):
    pool = read_pool(pool_file(tmp_path, "# A pool\n\nFILENAME| EXP_TYPE\nA_uncal.fits | NRC_IMAGE\n"))

    assert pool.name == "pool.csv"
    assert pool.rows == ({"filename": "a_uncal.fits", "exp_type": "nrc_image"},)


@pytest.mark.parametrize("said", ["", "NULL", "--", "F", "false", "N/A"])
def test_what_says_nothing_is_absent(said, tmp_path):
    (row,) = read_pool(pool_file(tmp_path, f"FILENAME|BAND|FILTER\na|{said}|F200W\n")).rows

    assert value(row, "band") == ""
    assert value(row, "band", "filter") == "f200w"
    assert value(row, "no_such_column") == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A|B\n1|2\n", "has no column filename"),
        ("", "has no column filename"),
        ("FILENAME|B\na|1\na\n", "row 2 has 1 fields, the pool has 2 columns"),
    ],
)
def test_what_is_no_pool_is_refused(text, reason, tmp_path):
    with pytest.raises(InputError, match=reason):
        read_pool(pool_file(tmp_path, text))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"asn_candidate": "[('o001', 'observation'), ('c1000', 'mosaic')]"},
            [("o001", "observation"), ("c1000", "mosaic")],
        ),
        ({"asn_candidate": "null", "obs_num": "1"}, []),
        ({"asn_candidate": "1000"}, []),
        ({"obs_num": "1"}, [("o001", "observation")]),
        ({}, []),
    ],
)
def test_candidates_are_listed_or_the_observation(row, expected):
    assert candidates(row) == [Candidate(*one) for one in expected]


def test_a_header_tells_what_it_can():
    row = row_of(HEADER, "jw01234007001_02101_00001_nrca1", "3")

    assert row["filename"] == "jw01234007001_02101_00001_nrca1_uncal.fits"
    assert (row["obs_num"], row["targetid"], row["pntgtype"]) == ("007", "3", "science")
    assert (row["bkgdtarg"], row["tsovisit"], row["is_psf"]) == ("t", "f", "f")
    assert candidates(row) == [("o007", "observation")]


def test_targets_are_numbered_as_they_first_appear_by_file_name(tmp_path):
    files = [expose(tmp_path, f"jw{n}_nrca1_uncal.fits", TARGNAME=t) for n, t in enumerate("BABC")]
    expected = [(f"jw{n}_nrca1_uncal.fits", t) for n, t in enumerate("1213")]

    for order in (files, files[::-1]):
        assert [(row["filename"], row["targetid"]) for row in pool_of(order).rows] == expected


def test_an_exposure_is_one_row_whatever_its_products(tmp_path):
    files = [expose(tmp_path, f"jw1_nrca1_{suffix}.fits") for suffix in ("uncal", "rate", "cal")]

    assert len(pool_of(files).rows) == 1


def test_a_file_that_cannot_be_read_is_named():
    with pytest.raises(InputError, match=r"^none_uncal\.fits: cannot be read"):
        pool_of([Path("none_uncal.fits")])


IMAGE = {"exp_type": "nrc_image", "pntgtype": "science", "filename": "a_uncal.fits"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "science"),
        ({"exp_type": "nrc_tacq"}, "target_acquisition"),
        ({"exp_type": "nrs_verify"}, "science"),
        ({"exp_type": "nrs_lamp"}, "engineering"),
        ({"exp_type": "mir_darkimg"}, "dark"),
        ({"pntgtype": "target_acquisition"}, "target_acquisition"),
        ({"bkgdtarg": "t"}, "background"),
        ({"bkgdtarg": "t", "is_imprt": "t"}, "imprint"),
        ({"bkgdtarg": "t", "is_psf": "t"}, "psf"),
        ({"exp_type": "nrc_tacq", "bkgdtarg": "t"}, "target_acquisition"),
    ],
)
def test_the_part_of_an_exposure(changes, expected):
    assert role({**IMAGE, **changes}) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"tsovisit": "t"}, True),
        ({"tsovisit": "t", "exp_type": "nrc_tacq"}, False),
        ({"exp_type": "nrc_tsimage"}, True),
        ({"exp_type": "nrc_tsimage", "pntgtype": "target_acquisition"}, False),
        ({"exp_type": "nis_ami"}, True),
        ({"exp_type": "nrc_coron", "subarray": "full", "pupil": "maskrnd", "detector": "nrca2"}, True),
        ({"exp_type": "nrc_coron", "subarray": "full", "pupil": "maskrnd", "detector": "nrca1"}, False),
        ({"exp_type": "nrc_coron", "subarray": "sub320", "pupil": "maskrnd", "detector": "nrca1"}, True),
    ],
)
def test_where_integrations_matter(changes, expected):
    assert by_integration({**IMAGE, **changes}) is expected


def test_members_are_named_for_their_part():
    assert rate_name(IMAGE, ints=False) == "a_rate.fits"
    assert cal_name(IMAGE, ints=True, part="science") == "a_calints.fits"
    assert cal_name(IMAGE, ints=False, part="background") == "a_x1d.fits"
    assert cal_name({**IMAGE, "exp_type": "nrc_dark"}, ints=False, part="dark") == "a_rate.fits"
    assert rate_name({**IMAGE, "filename": "mine.fits"}, ints=False) == "mine.fits"
