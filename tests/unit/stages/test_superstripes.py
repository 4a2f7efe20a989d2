"""Superstripes: each with its own references, then side by side."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from ramps import make_ramp, make_stripes

from calwebbd.stages import flags
from calwebbd.stages.collation import collate, collated_times, read_times
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Ramp
from calwebbd.stages.fits import read_ramp
from calwebbd.stages.fits.write import write
from calwebbd.stages.references import References
from calwebbd.stages.steps.dq_init import DQInitParams, dq_init
from calwebbd.stages.steps.refpix import refpix
from calwebbd.stages.steps.superbias import superbias
from calwebbd.stages.stripes import Stripes, window
from calwebbd.stages.superstripes import superstripes

TWO = {"SUBSTRT2": 1, "SSTR_STP": 2, "SSTR_NST": 2}  # rows 0 and 1, then rows 2 and 3
NAN = np.nan


def column(*values: float) -> np.ndarray:
    """One group of one column."""
    return np.array(values, np.float32).reshape(1, -1, 1)


def test_superstripes_come_side_by_side_and_integrations_after_each_other() -> None:
    ramp = make_stripes([column(1, 2), column(3, 4), column(5, 6), column(7, 8)], NINTS=4, **TWO)
    ramp.groupdq[1, 0, 0, 0] = flags.SATURATED
    ramp.pixeldq[1, 1, 0] = flags.HOT
    whole = collate(ramp)
    np.testing.assert_array_equal(whole.sci[..., 0], [[[1, 2, 3, 4]], [[5, 6, 7, 8]]])
    np.testing.assert_array_equal(whole.groupdq[..., 0], [[[0, 0, flags.SATURATED, 0]], [[0, 0, 0, 0]]])
    np.testing.assert_array_equal(whole.pixeldq[:, 0], [0, 0, 0, flags.HOT])
    assert not whole.by_superstripe
    assert whole.read_times is None


def test_lines_that_were_not_read_are_nan_and_so_are_those_of_reference_pixels() -> None:
    # reference row 0, then row 2; reference row 0, then row 4
    ramp = make_stripes(
        [column(9, 1), column(9, 2)],
        **{**TWO, "MSTR_RD1": 1, "MSTR_SK1": 1, "MSTR_RD2": 1},
    )
    whole = collate(ramp)
    np.testing.assert_array_equal(whole.sci[0, 0, :, 0], [1, NAN, 2])
    np.testing.assert_array_equal(whole.pixeldq[:, 0], [0, flags.REFERENCE_PIXEL, 0])
    assert whole.header["SUBSTRT2"] == 3


def test_some_subarrays_become_as_wide_as_the_detector() -> None:
    ramp = make_stripes(
        np.ones((2, 1, 1, 2)), SUBARRAY="SUB17STRIPE_SOSS", SLOWAXIS=-1, FASTAXIS=-2, SUBSTRT1=2048,
        SSTR_STP=2, SSTR_NST=2,
    )  # fmt: skip
    whole = collate(ramp)
    assert whole.sci.shape == (1, 1, 1, 2048)
    assert np.flatnonzero(np.isfinite(whole.sci[0, 0, 0])).tolist() == [2044, 2045, 2046, 2047]
    assert (whole.header["SUBSTRT1"], whole.header["SUBSIZE1"], whole.header["SUBSIZE2"]) == (1, 2048, 1)


@pytest.mark.parametrize(("slow", "start"), [(2, 1), (-2, 2048)])
def test_lines_read_twice_in_a_frame_make_two_groups_the_earlier_first(slow: int, start: int) -> None:
    first, second = (1, 2), (3, 4)  # of a stripe of two lines, in the order of read-out
    lines = [*first, *second][:: 1 if slow > 0 else -1]
    keywords = {"MSTR_RD2": 2, "MSTR_RPT": 1, "SLOWAXIS": slow, "SUBSTRT2": start, "SSTR_NST": 1}
    ramp = make_stripes([column(*lines)], zeroframe=[column(*lines)[0]], **keywords)
    whole = collate(ramp)
    order = slice(None, None, 1 if slow > 0 else -1)
    np.testing.assert_array_equal(whole.sci[0, :, order, 0], [first, second])
    assert whole.zeroframe is not None
    np.testing.assert_array_equal(whole.zeroframe[0, order, 0], first)
    assert whole.header["NGROUPS"] == 2
    assert whole.read_times is not None
    assert whole.read_times.shape == (2, 1)


def test_a_zero_frame_that_the_header_does_not_own_is_dropped() -> None:
    ramp = make_stripes([column(1, 2), column(3, 4)], zeroframe=[[[1], [2]], [[3], [4]]], **TWO)
    ramp.header["ZEROFRAM"] = False
    assert collate(ramp).zeroframe is None


def test_the_header_counts_whole_integrations_and_forgets_the_pattern() -> None:
    ramp = make_stripes([column(1, 2), column(3, 4)] * 3, NINTS=12, INTSTART=7, INTEND=12, **TWO)
    header = collate(ramp).header
    assert (header["NINTS"], header["INTSTART"], header["INTEND"]) == (6, 4, 6)
    assert (header["SUBSIZE2"], header["SUBSTRT2"], header["SUBSTRT1"]) == (4, 1, 101)
    assert not [key for key in header if key.startswith(("MSTR", "SSTR"))]
    assert "MSTR_RD1" in ramp.header


def test_integrations_that_are_not_complete_are_an_error() -> None:
    with pytest.raises(InputError, match="3 integrations are not of 2 superstripes"):
        collate(make_stripes([column(1, 2)] * 3, **TWO))


def test_an_integration_lasts_from_its_first_superstripe_to_its_last() -> None:
    clocks = [f"int_{when}_{clock}" for clock in ("MJD_UTC", "BJD_TDB") for when in ("start", "mid", "end")]
    rows = [(n, *(10.0 * n + k for k in (0, 1, 2)), *(10.0 * n + k for k in (5, 6, 7))) for n in range(1, 5)]
    times = np.array(rows, [("integration_number", "i4"), *((name, "f8") for name in clocks)])
    whole, stripes = collated_times(times, 3, 2)
    assert whole is not None
    assert stripes is not None
    assert whole.tolist() == [(3, 10, 16, 22, 15, 21, 27), (4, 30, 36, 42, 35, 41, 47)]
    assert stripes["integration_number"].tolist() == [3, 3, 4, 4]
    assert stripes["stripe_number"].tolist() == [1, 2, 1, 2]
    np.testing.assert_array_equal(stripes[clocks[4]], times[clocks[4]])
    assert collated_times(None, 1, 2) == (None, None)


def test_read_times_by_hand() -> None:
    """Two columns and 12 more pixels' times make lines of 140 us; 3 idle lines come with a reset."""
    ramp = make_stripes(np.zeros((1, 2, 4, 2)), NFRAMES=2, GROUPGAP=1, MSTR_RD1=1, MSTR_RD2=1)
    frame = 7 * 140e-6
    expected = [[5 * 140e-6, 5 * 140e-6 + frame], [7 * 140e-6, 7 * 140e-6 + frame]]
    after = 7 * 140e-6 + 2 * frame  # the second frame and the one that is dropped
    np.testing.assert_allclose(read_times(ramp, 2), [*expected, *(np.array(expected) + after)], rtol=1e-12)


patterns = st.fixed_dictionaries(
    {
        "MSTR_RD1": st.integers(0, 2), "MSTR_SK1": st.integers(0, 2), "MSTR_RPT": st.integers(0, 1),
        "SSTR_NST": st.integers(1, 3), "FASTAXIS": st.sampled_from([1, -1]),
        "SLOWAXIS": st.sampled_from([2, -2]),
    }
)  # fmt: skip


@given(patterns, st.integers(1, 3), st.integers(1, 2), st.booleans(), st.integers(0, 2**32 - 1))
def test_cutting_the_collated_ramp_gives_back_the_superstripes(
    pattern: dict[str, int], size: int, nints: int, across: bool, seed: int
) -> None:
    fast, slow = pattern["FASTAXIS"], pattern["SLOWAXIS"]
    if across:
        fast, slow = 2 * fast, slow // 2
    keywords = {**pattern, "FASTAXIS": fast, "SLOWAXIS": slow, "SSTR_STP": size, "MSTR_RD2": size}
    keywords["SUBSTRT1" if across else "SUBSTRT2"] = 1 if slow > 0 else 2048
    length = pattern["MSTR_RD1"] + size
    shape = (nints * pattern["SSTR_NST"], 2, *((2, length) if across else (length, 2)))
    ramp = make_stripes(np.random.default_rng(seed).normal(size=shape), **keywords)
    whole = collate(ramp)
    first = whole.header.integer("SUBSTRT1" if across else "SUBSTRT2") - 1
    for part in superstripes(ramp):
        stripes = window(part)
        assert isinstance(stripes, Stripes)
        starlit = np.array(stripes.starlit)
        lines = np.array(stripes.lines)[starlit] - first
        old, new = (a.swapaxes(-1, -2) if across else a for a in (part.sci, whole.sci))
        np.testing.assert_array_equal(new[..., lines, :], old[..., starlit, :])


def references(folder: Path, kind: str, ramp: Ramp, rows: Any, dq: Any = 0) -> References:
    """A reference of the detector's first rows, at the columns of the ramp; the same in each column."""
    nx = ramp.sci.shape[-1]
    header = fits.Header({"SUBSTRT1": ramp.subarray.x + 1, "SUBSTRT2": 1})
    sci = np.repeat(np.array(rows, np.float32)[:, None], nx, axis=1)
    flagged = np.broadcast_to(np.array(dq, np.uint32).reshape(-1, 1), sci.shape)
    hdus = [fits.PrimaryHDU(header=header), fits.ImageHDU(sci, name="SCI"), fits.ImageHDU(flagged, name="DQ")]
    path = folder / f"{kind}.fits"
    fits.HDUList(hdus).writeto(path)
    return References({kind: path}, window(ramp))


def test_each_superstripe_gets_its_part_of_a_reference(tmp_path: Path) -> None:
    ramp = make_stripes([column(10, 20), column(30, 40)] * 2, **TWO)
    superbias(ramp, references(tmp_path, "superbias", ramp, [1, 2, 3, 4], [0, 0, 0, flags.HOT]))
    np.testing.assert_array_equal(ramp.sci[..., 0], [[[9, 18]], [[27, 36]]] * 2)
    np.testing.assert_array_equal(ramp.pixeldq[..., 0], [[0, 0], [0, flags.HOT]])


def test_the_mask_goes_to_the_groups_of_its_superstripe(tmp_path: Path) -> None:
    ramp = make_stripes([column(1, 2), column(3, 4)] * 2, **TWO)
    mask = references(tmp_path, "mask", ramp, [0] * 4, [0, flags.DO_NOT_USE, 0, 0])
    dq_init(ramp, mask)
    np.testing.assert_array_equal(ramp.groupdq[..., 0], [[[0, 1]], [[0, 0]]] * 2)
    np.testing.assert_array_equal(ramp.pixeldq[..., 0], [[0, 1], [0, 0]])


def test_the_users_flags_may_have_a_plane_for_each_superstripe(tmp_path: Path) -> None:
    ramp = make_stripes([column(1, 2), column(3, 4)], **TWO)
    planes = np.array([[[0], [0]], [[flags.DEAD], [0]]], np.uint32)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(planes, name="DQ")]).writeto(tmp_path / "user.fits")
    mask = references(tmp_path, "mask", ramp, [0] * 4)
    dq_init.function(ramp, mask, DQInitParams(user_supplied_dq=str(tmp_path / "user.fits")))
    np.testing.assert_array_equal(ramp.pixeldq[..., 0], [[0, 0], [flags.DEAD, 0]])


def with_reference_rows(bad: int) -> Ramp:
    """Two superstripes of a uniform source, 7 DN, on drifts of 100 and 200 DN, each with two reference
    rows; one reference pixel of the second, of 10000 DN, is bad."""
    keywords = {"SUBSTRT1": 1, "SUBSTRT2": 1, "SSTR_STP": 1, "SSTR_NST": 2, "MSTR_RD1": 2, "MSTR_RD2": 1}
    ramp = make_stripes(np.zeros((2, 1, 3, 4)), **keywords)
    ramp.sci[:, :, 2] = 7
    ramp.sci += np.array([100, 200], np.float32).reshape(2, 1, 1, 1)
    ramp.pixeldq[:, :2] = flags.REFERENCE_PIXEL
    ramp.sci[1, 0, 0, 3] = 10000
    ramp.pixeldq[1, 0, 3] |= bad
    return ramp


def test_drifts_of_each_superstripe_are_seen_in_its_own_good_reference_pixels() -> None:
    whole = refpix(with_reference_rows(flags.DO_NOT_USE))
    np.testing.assert_array_equal(whole.sci[0, 0], np.full((2, 4), 7))


def test_a_superstripe_is_read_and_written_as_the_official_model_has_it(tmp_path: Path) -> None:
    ramp = make_stripes([column(1, 2), column(3, 4)], NINTS=2, SUBARRAY="SUB320", **TWO)
    ramp.pixeldq[1, 0, 0] = 5
    path = write(ramp, tmp_path / "jw_superbias.fits")
    assert fits.getheader(path)["DATAMODL"] == "SuperstripeRampModel"
    back = read_ramp(path)
    np.testing.assert_array_equal(back.pixeldq, ramp.pixeldq)
    assert back.by_superstripe


def test_read_times_and_times_of_superstripes_survive_a_file(tmp_path: Path) -> None:
    keywords = {"MSTR_RD2": 2, "MSTR_RPT": 1, "SUBSTRT2": 1, "SSTR_NST": 1, "NINTS": 1}
    ramp = make_stripes([column(1, 2, 3, 4)], SUBARRAY="SUB320", **keywords)
    clocks = [f"int_{when}_{clock}" for clock in ("MJD_UTC", "BJD_TDB") for when in ("start", "mid", "end")]
    ramp.int_times = np.ones(1, [("integration_number", "i4"), *((name, "f8") for name in clocks)])
    whole = collate(ramp)
    path = write(whole, tmp_path / "jw_refpix.fits")
    assert fits.getheader(path)["DATAMODL"] == "RampModel"
    back = read_ramp(path)
    assert back.read_times is not None
    np.testing.assert_array_equal(back.read_times, whole.read_times)
    assert back.int_times_stripe is not None
    assert back.int_times_stripe["stripe_number"].tolist() == [1]


def test_raw_superstripes_have_flags_for_each(tmp_path: Path) -> None:
    ramp = make_ramp(np.zeros((4, 1, 2, 3)), SSTR_NST=2)
    path = tmp_path / "jw_uncal.fits"
    hdus = [fits.PrimaryHDU(header=fits.Header(dict(ramp.header))), fits.ImageHDU(ramp.sci, name="SCI")]
    fits.HDUList(hdus).writeto(path)
    assert read_ramp(path).pixeldq.shape == (2, 2, 3)
