"""The lines that stripes are made of, and what of a reference file they get."""

from collections import Counter
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from ramps import make_ramp, make_stripes

from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.fits.arrays import read_array
from calwebbd.stages.references import Reference, References
from calwebbd.stages.stripes import Pattern, Stripes, window

SOSS = {  # columns are read from the right
    "SUBARRAY": "SUB204STRIPE_SOSS", "FASTAXIS": -2, "SLOWAXIS": -1, "SUBSTRT1": 2048, "SUBSTRT2": 1793,
    "MSTR_RD1": 4, "MSTR_SK1": 0, "MSTR_RD2": 204, "MSTR_SK2": 0, "MSTR_RPT": 1, "MSTR_ILV": 1,
    "SSTR_STP": 204, "SSTR_NST": 10,
}  # fmt: skip


def lines(length: int, superstripe: int = 0, **keywords: int | bool) -> list[int]:
    return Pattern(**keywords).replay(length, superstripe)[0].tolist()


def test_stripes_follow_each_other_with_gaps() -> None:
    assert lines(7, reads1=1, skips1=2, reads2=3, skips2=10) == [0, 3, 4, 5, 16, 17, 18]


def test_each_stripe_may_begin_with_the_reference_pixels_again() -> None:
    found, starlit = Pattern(reads1=1, skips1=5, reads2=2, skips2=3, repeat=True, interleave=True).replay(9)
    assert found.tolist() == [0, 6, 7, 0, 11, 12, 0, 16, 17]
    assert starlit.tolist() == [False, True, True] * 3


def test_without_interleaving_the_same_stripe_is_read_again() -> None:
    assert lines(6, reads1=1, skips1=2, reads2=2, repeat=True) == [0, 3, 4, 0, 3, 4]


def test_superstripes_lie_a_step_apart_and_are_as_high_if_nothing_else_is_said() -> None:
    assert lines(2, 3, step=2, number=8) == [6, 7]
    assert lines(4, 2, reads1=1, reads2=3, step=10, number=4) == [0, 21, 22, 23]


def test_the_spectra_of_the_dispersed_hartmann_sensor_are_125_lines_apart() -> None:
    dhs = Pattern(reads1=1, skips1=1526, reads2=40, skips2=85, repeat=True, interleave=True)
    found, starlit = dhs.replay(164)
    assert found[~starlit].tolist() == [0, 0, 0, 0]
    assert found[starlit][::40].tolist() == [1527, 1652, 1777, 1902]
    assert found.max() == 1941


@pytest.mark.parametrize("pattern", [Pattern(1, 0, 4, 0), Pattern(1, 0, 0, 0)])
def test_a_pattern_that_does_not_make_the_array_is_an_error(pattern: Pattern) -> None:
    with pytest.raises(InputError, match="array of 7 lines"):
        pattern.replay(7)


@given(st.builds(Pattern, *[st.integers(0, 4)] * 4, st.booleans(), st.booleans()), st.integers(1, 5))
def test_every_line_is_read_exactly_as_often_as_the_pattern_says(pattern: Pattern, stripes: int) -> None:
    if not pattern.reads2:
        return
    rounds = stripes if pattern.repeat else 1
    found, starlit = pattern.replay(rounds * pattern.reads1 + stripes * pattern.reads2)
    again = stripes if pattern.repeat and not pattern.interleave else 1
    distinct = stripes // again * pattern.reads2
    assert set(Counter(found[starlit].tolist()).values()) == {again}
    assert len(set(found[starlit].tolist())) == distinct
    assert Counter(found[~starlit].tolist()) == dict.fromkeys(range(pattern.reads1), rounds)
    assert found[starlit].min() == pattern.reads1 + pattern.skips1


def test_an_exposure_without_a_pattern_is_a_subarray() -> None:
    assert window(make_ramp(np.zeros((1, 1, 3, 2)))) == Subarray(100, 200, 2, 3)


def test_a_slow_axis_that_runs_backwards_counts_from_the_far_edge() -> None:
    ramp = make_stripes(np.zeros((10, 1, 1, 208)), superstripe=1, **SOSS)
    found = window(ramp)
    assert isinstance(found, Stripes)
    assert found.columns.tolist() == [*range(1636, 1840), 2044, 2045, 2046, 2047]
    assert found.rows.tolist() == [1792]
    assert found.starlit == (True,) * 204 + (False,) * 4


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        ({"SLOWAXIS": 2, "SUBSTRT2": 11}, 10),
        ({"SLOWAXIS": 2, "SUBSTRT2": 11, "SUBARRAY": "SUB4_DHS"}, 0),
        ({"SLOWAXIS": -2, "SUBSTRT2": 2040}, 2038),  # science rows 2038 and 2039: the 9th and 10th read
        ({"SLOWAXIS": -2, "SUBSTRT2": 1}, 2046),
    ],
)
def test_where_the_first_line_lies(changed: dict[str, str | int], first: int) -> None:
    ramp = make_stripes(np.zeros((1, 1, 2, 3)), MSTR_RD1=0, MSTR_RD2=2, **changed)
    assert window(ramp).rows.tolist() == [first, first + 1]


def test_stripes_beyond_the_detector_are_an_error() -> None:
    with pytest.raises(InputError, match="reach lines 2047 to 2048"):
        window(make_stripes(np.zeros((1, 1, 2, 3)), MSTR_RD1=0, MSTR_RD2=2, SUBSTRT2=2048))


def reference_of(folder: Path, array: np.ndarray, **keywords: int) -> Path:
    path = folder / "jwst_nircam_gain_0001.fits"
    hdus = [fits.PrimaryHDU(header=fits.Header(keywords)), fits.ImageHDU(array, name="SCI")]
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def test_a_reference_gives_the_rows_that_were_read(tmp_path: Path) -> None:
    whole = np.arange(20 * 5, dtype=np.float32).reshape(20, 5)
    path = reference_of(tmp_path, whole, SUBSTRT1=101, SUBSTRT2=1)
    ramp = make_stripes(
        np.zeros((1, 1, 5, 3)), SUBSTRT1=102, SUBSTRT2=1, MSTR_RD1=1, MSTR_SK1=5, MSTR_RD2=2, MSTR_SK2=8
    )
    rows = [0, 6, 7, 16, 17]
    np.testing.assert_array_equal(Reference("gain", path, window(ramp)).floats(), whole[rows, 1:4])
    np.testing.assert_array_equal(References({"gain": path}, window(ramp))["gain"].floats(), whole[rows, 1:4])


def test_lines_between_stripes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = reference_of(tmp_path, np.zeros((20, 5), np.float32), SUBSTRT1=101, SUBSTRT2=1)
    ramp = make_stripes(
        np.zeros((1, 1, 5, 3)), SUBSTRT1=102, SUBSTRT2=1, MSTR_RD1=1, MSTR_SK1=5, MSTR_RD2=2, MSTR_SK2=8
    )
    read = Mock(wraps=read_array)
    monkeypatch.setattr("calwebbd.stages.references.read_array", read)
    Reference("gain", path, window(ramp)).floats()
    assert [call.kwargs["rows"] for call in read.mock_calls] == [slice(0, 1), slice(6, 8), slice(16, 18)]


def test_a_reference_gives_the_columns_that_were_read(tmp_path: Path) -> None:
    whole = np.arange(2 * 2048, dtype=np.float32).reshape(2, 2048)
    path = reference_of(tmp_path, whole, SUBSTRT1=1, SUBSTRT2=1793)
    ramp = make_stripes(np.zeros((10, 1, 1, 208)), superstripe=9, **SOSS)
    np.testing.assert_array_equal(
        Reference("gain", path, window(ramp)).floats()[0], [*range(4, 208), 2044, 2045, 2046, 2047]
    )


def test_a_reference_made_for_the_stripes_is_used_as_it_is_but_not_for_a_superstripe(tmp_path: Path) -> None:
    made = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = reference_of(tmp_path, made, SUBSTRT1=1, SUBSTRT2=1)
    keywords = {"SUBSTRT1": 1, "SUBSTRT2": 1, "MSTR_RD1": 1, "MSTR_SK1": 5, "MSTR_RD2": 1}
    stripes = window(make_stripes(np.zeros((1, 1, 2, 3)), **keywords))
    np.testing.assert_array_equal(Reference("gain", path, stripes).floats(), made)
    one = window(make_stripes(np.zeros((2, 1, 2, 3)), superstripe=0, SSTR_STP=1, SSTR_NST=2, **keywords))
    with pytest.raises(ReferenceMissing, match="not the subarray"):
        Reference("gain", path, one).floats()


def test_a_reference_that_lacks_a_line_is_refused(tmp_path: Path) -> None:
    path = reference_of(tmp_path, np.zeros((6, 3), np.float32), SUBSTRT1=101, SUBSTRT2=1)
    ramp = make_stripes(np.zeros((1, 1, 2, 3)), SUBSTRT2=1, MSTR_RD1=1, MSTR_SK1=5, MSTR_RD2=1)
    with pytest.raises(ReferenceMissing, match="not the subarray"):
        Reference("gain", path, window(ramp)).floats()


def test_superstripes_that_take_turns_share_no_reference(tmp_path: Path) -> None:
    path = reference_of(tmp_path, np.zeros((10, 3), np.float32))
    ramp = make_stripes(np.zeros((2, 1, 2, 3)), SSTR_STP=2, SSTR_NST=2)
    with pytest.raises(InputError, match="refpix"):
        Reference("gain", path, window(ramp)).floats()
