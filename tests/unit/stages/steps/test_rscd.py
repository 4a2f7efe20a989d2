from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import make_ramp

from calwebbd.stages.exposure import Ramp
from calwebbd.stages.flags import DO_NOT_USE, FLUX_ESTIMATED, SATURATED
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.rscd import Skips, affordable, flag_decay, rscd

ROWS = [("FULL", "SLOWR1", 9, 9), ("FULL", "FASTR1", 1, 3), ("SLITLESSPRISM", "FASTR1", -1, 2)]


def ramp_of(nints: int, ngroups: int, **keywords: object) -> Ramp:
    found = {"SUBARRAY": "FULL", "READPATT": "FASTR1", "NINTS": nints} | keywords
    return make_ramp(np.zeros((nints, ngroups, 1, 2)), **found)


def references(folder: Path, ramp: Ramp) -> References:
    columns = [("subarray", "S17"), ("readpatt", "S12"), ("group_skip1", "i4"), ("group_skip", "i4")]
    table = fits.BinTableHDU(np.array(ROWS, columns), name="RSCD_GROUP_SKIP")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(folder / "rscd.fits")
    return References({"rscd": folder / "rscd.fits"}, ramp.subarray)


def flagged(ramp: Ramp) -> list[int]:
    """Number of flagged groups at the beginning of each integration, in its first pixel."""
    bad = (ramp.groupdq[:, :, 0, 0] & DO_NOT_USE) != 0
    numbers: list[int] = bad.sum(axis=1).tolist()
    assert all(row[:n].all() for row, n in zip(bad, numbers, strict=True))
    return numbers


def test_the_first_integration_loses_other_groups_than_later_ones(tmp_path: Path) -> None:
    ramp = ramp_of(3, 8)
    rscd(ramp, references(tmp_path, ramp))
    assert flagged(ramp) == [1, 3, 3]
    assert (ramp.header["INT1SKIP"], ramp.header["INT1BORS"], ramp.header["INT1UGP1"]) == (1, 0, 0)
    assert (ramp.header["INT2SKIP"], ramp.header["INT2BORS"], ramp.header["INT2UGP1"]) == (3, 0, 0)


def test_a_later_segment_has_no_first_integration(tmp_path: Path) -> None:
    ramp = ramp_of(2, 8, INTSTART=5, NINTS=6)
    rscd(ramp, references(tmp_path, ramp))
    assert flagged(ramp) == [3, 3]
    assert "INT1SKIP" not in ramp.header


def test_the_old_name_of_the_slitless_subarray_and_references_without_first_integration(
    tmp_path: Path,
) -> None:
    ramp = ramp_of(2, 8, SUBARRAY="SUBPRISM")
    rscd(ramp, references(tmp_path, ramp))
    assert flagged(ramp) == [1, 2]


@pytest.mark.parametrize(
    ("ramp", "reason"),
    [
        (ramp_of(1, 2), "there are 2 groups"),
        (ramp_of(1, 8, SUBARRAY="SUB64"), "no row for SUBARRAY SUB64 and READPATT FASTR1"),
    ],
)
def test_short_integrations_and_unknown_read_outs_are_left_alone(
    tmp_path: Path, ramp: Ramp, reason: str
) -> None:
    with pytest.raises(Skip, match=reason):
        rscd(ramp, references(tmp_path, ramp))
    assert not ramp.groupdq.any()


@pytest.mark.parametrize(("ngroups", "left"), [(3, 0), (4, 1), (5, 1), (6, 3), (7, 4), (20, 9)])
def test_three_groups_are_left_and_of_few_one_is_flagged(ngroups: int, left: int) -> None:
    assert affordable(Skips(9, 9), ngroups) == Skips(left, left)


@pytest.mark.parametrize(
    ("saturated_from", "skipped"),
    [(8, 4), (6, 4), (5, 3), (4, 2), (3, 1), (2, 0), (1, 0), (0, 4)],
)
def test_two_groups_remain_before_saturation_where_there_are_so_many(
    saturated_from: int, skipped: int
) -> None:
    groupdq = np.zeros((8, 1, 1), np.uint8)
    groupdq[saturated_from:] = SATURATED
    assert flag_decay(groupdq, 4).item() == skipped
    assert ((groupdq & DO_NOT_USE) != 0).sum() == skipped


def test_pixels_that_keep_more_groups_are_flagged_and_counted(tmp_path: Path) -> None:
    ramp = ramp_of(3, 8)
    ramp.groupdq[1, 4:, 0, 0] = SATURATED
    ramp.groupdq[2, 1:, 0, 0] = SATURATED
    rscd(ramp, references(tmp_path, ramp))
    assert flagged(ramp) == [1, 2, 0]
    assert ramp.pixeldq.tolist() == [[FLUX_ESTIMATED, 0]]
    assert [ramp.header[k] for k in ("INT1BORS", "INT2BORS", "INT2UGP1")] == [0, 1, 1]


@given(arrays.arrays(np.uint8, (7, 2, 2)), st.integers(0, 4))
def test_flags_are_added_never_lost(groupdq: np.ndarray, skip: int) -> None:
    before = groupdq.copy()
    flag_decay(groupdq, skip)
    assert (groupdq | before == groupdq).all()
    assert ((groupdq ^ before) & ~np.uint8(DO_NOT_USE) == 0).all()
