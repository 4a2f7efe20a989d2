"""Headers of several exposures become one, and a table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.stages.blend import OUTSIDE, WITHIN, blend
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header

NAMES = {"DATE-OBS": str, "EXPSTART": float, "EXPMID": float, "EXPEND": float, "NGROUPS": int}


@pytest.mark.parametrize(
    ("keyword", "values", "blended"),
    [
        ("DETECTOR", ("NRCA1", "NRCA1"), "NRCA1"),
        ("DETECTOR", ("NRCA1", "NRCB1"), "MULTIPLE"),
        ("MODULE", ("A", "B"), "MULTIPLE"),
        ("PUPIL", ("CLEAR", "F162M"), "CLEAR"),
        ("EXSEGNUM", (2, 1), 2),
        ("DATE-OBS", ("2024-01-02", "2024-01-01"), "2024-01-01"),
        ("TIME-OBS", ("00:10:00", "23:50:00"), "00:10:00"),
        ("DATE-END", ("2024-01-02T00:10:00", "2024-01-01T23:59:00"), "2024-01-02T00:10:00"),
        ("EXPSTART", (60000.5, 60000.25), 60000.25),
        ("EXPMID", (60000.0, 60001.0), 60000.5),
        ("MJD-AVG", (60000.0, 60001.0), 60000.5),
        ("EXPEND", (60000.5, 60000.75), 60000.75),
        ("EFFEXPTM", (10.0, 32.0), 42.0),
        ("TELAPSE", (11.0, 33.0), 44.0),
        ("INTSTART", (5, 1), 1),
        ("INTEND", (4, 8), 8),
        ("FWPOSTOL", (WITHIN, OUTSIDE), OUTSIDE),
        ("FWPOSTOL", (WITHIN, WITHIN), WITHIN),
    ],
)
def test_each_keyword_follows_its_rule(keyword: str, values: tuple[str, str], blended: object) -> None:
    header, _ = blend([Header({keyword: value}) for value in values])
    assert header[keyword] == blended
    assert type(header[keyword]) is type(blended)


def test_an_exposure_without_a_keyword_does_not_count() -> None:
    header, table = blend([Header(TARGNAME="M 31"), Header(EFFEXPTM=10.0), Header(EFFEXPTM=5.0)])
    assert header["EFFEXPTM"] == 15.0
    np.testing.assert_array_equal(table["EFFEXPTM"], [np.nan, 10.0, 5.0])
    np.testing.assert_array_equal(table["TARGNAME"], ["M 31", "nan", "nan"])


def test_the_table_has_a_row_for_each_exposure_and_no_empty_column() -> None:
    headers = [Header(FILENAME=f"{n}.fits", NGROUPS=n, TSOVISIT=False, NOTHING="kept") for n in (3, 4)]
    header, table = blend(headers)
    assert header["NOTHING"] == "kept"
    assert set(table.dtype.names or ()) == {"FILENAME", "NGROUPS", "TSOVISIT"}
    assert table["FILENAME"].tolist() == ["3.fits", "4.fits"]
    assert table.dtype["NGROUPS"] == np.int64
    assert table.dtype["TSOVISIT"] == np.bool_


def test_a_column_of_the_primary_header_has_what_the_sci_header_hides() -> None:
    _, table = blend(
        [Header({"FILTER": "of SCI", "V2_REF": 2.0}, shadowed={"FILTER": "F200W", "V2_REF": 1.0})]
    )
    assert table["FILTER"].tolist() == ["F200W"]
    assert table["V2_REF"].tolist() == [2.0]


def test_nothing_cannot_be_blended() -> None:
    with pytest.raises(InputError, match="no exposure"):
        blend([])


@given(
    st.lists(st.fixed_dictionaries({}, optional={k: st.from_type(t) for k, t in NAMES.items()}), min_size=1)
)
def test_headers_stay_as_they_are_and_rows_keep_their_order(contents: list[dict[str, object]]) -> None:
    headers = [Header(each) for each in contents]
    _, table = blend(headers)
    assert headers == contents
    assert len(table) == len(headers)


@given(
    st.fixed_dictionaries({"DETECTOR": st.text(), "EXPSTART": st.floats(0, 1e5), "INTEND": st.integers(1, 9)})
)
def test_a_header_blended_with_itself_is_itself(content: dict[str, object]) -> None:
    header, _ = blend([Header(content)] * 3)
    assert header == content
