from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import make_ramp, same_for_any_threads, write_reference

from calwebbd.stages.exposure import Ramp
from calwebbd.stages.fits.write import write
from calwebbd.stages.flags import HOT, UNRELIABLE_DARK, WARM
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.dark_current import (
    DarkCurrentParams,
    Frames,
    averaged,
    dark_current,
    extended,
    subtract_dark,
    without_nan,
)

SINGLE = {"NFRAMES": 1, "GROUPGAP": 0}


def planes(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None, None]


def run(
    ramp: Ramp, folder: Path, *, wanted: float | None = None, output: str | None = None, **arrays: object
) -> Ramp:
    references = write_reference(folder, "dark", ramp, **{**SINGLE, **arrays})  # type: ignore[arg-type]
    result: Ramp = dark_current.function(ramp, references, DarkCurrentParams(output, wanted))
    return result


def test_frames_between_groups_are_counted_but_none_after_the_last() -> None:
    assert Frames(ngroups=3, nframes=4, groupgap=1).total == 14


def test_groups_are_means_of_their_own_frames() -> None:
    dark = planes(1, 2, 100, 3, 4)
    group = averaged(dark.__getitem__, Frames(2, 2, 1))
    assert (group(0).item(), group(1).item()) == (1.5, 3.5)
    assert group(0).dtype == np.float32
    assert dark.ravel().tolist() == [1, 2, 100, 3, 4]


def test_a_dark_goes_on_along_its_last_two_planes() -> None:
    plane = extended(planes(0, 1, 3).__getitem__, 3)
    assert [plane(k).item() for k in range(5)] == [0, 1, 3, 5, 7]
    assert plane(4).dtype == np.float64


def test_nan_counts_as_no_dark() -> None:
    assert without_nan(planes(np.nan, 2).__getitem__)(0).item() == 0


def test_each_group_loses_its_own_plane(tmp_path: Path) -> None:
    ramp = run(make_ramp(np.full((2, 2, 1, 1), 10)), tmp_path, sci=planes(1, 3, 9), dq=UNRELIABLE_DARK)
    assert ramp.sci[:, :, 0, 0].tolist() == [[9, 7], [9, 7]]
    assert ramp.pixeldq[0, 0] == UNRELIABLE_DARK


def test_a_short_dark_is_continued(tmp_path: Path) -> None:
    ramp = run(make_ramp(np.full((1, 4, 1, 1), 10)), tmp_path, sci=planes(1, 3))
    assert ramp.sci.ravel().tolist() == [9, 7, 5, 3]


def test_a_dark_of_single_frames_is_averaged_like_the_exposure(tmp_path: Path) -> None:
    ramp = run(
        make_ramp(np.full((1, 2, 1, 1), 10), NFRAMES=2, GROUPGAP=1), tmp_path, sci=planes(1, 2, 9, 4, 5)
    )
    assert ramp.sci.ravel().tolist() == [8.5, 5.5]


@pytest.mark.parametrize("coarse", [{"NFRAMES": 2}, {"GROUPGAP": 3}])
def test_a_coarser_dark_is_not_subtracted(tmp_path: Path, coarse: dict[str, int]) -> None:
    ramp = make_ramp(np.full((1, 2, 1, 1), 10))
    with pytest.raises(Skip, match="greater"):
        run(ramp, tmp_path, sci=planes(1, 2), AVDRKCUR=0.5, **coarse)
    assert (ramp.sci == 10).all()
    assert ramp.average_dark_current == 0.5


def test_the_average_is_the_one_asked_for_or_the_map_or_the_keyword(tmp_path: Path) -> None:
    def average(name: str, wanted: float | None = None, **arrays: object) -> object:
        folder = tmp_path / name
        folder.mkdir()
        ramp = run(make_ramp(np.ones((1, 1, 1, 2))), folder, sci=np.zeros((1, 1, 2)), wanted=wanted, **arrays)
        return np.asarray(ramp.average_dark_current).tolist()

    assert average("none") == 0
    assert average("keyword", AVDRKCUR=0.5) == 0.5
    assert average("map", AVDRKCUR=0.5, avdrkcur=[[1, 2]]) == [[1, 2]]
    assert average("empty map", AVDRKCUR=0.5, avdrkcur=[[0, 0]]) == 0.5
    assert average("wrong map", AVDRKCUR=0.5, avdrkcur=[[1, 2, 3]]) == 0
    assert average("wanted", 0.25, AVDRKCUR=0.5) == 0.25


@pytest.mark.parametrize("output", ["kept", "kept.fits"])
def test_the_dark_can_be_kept_as_it_was_subtracted(tmp_path: Path, output: str) -> None:
    ramp = make_ramp(np.full((1, 2, 1, 1), 10), NFRAMES=2, GROUPGAP=1)
    run(ramp, tmp_path, sci=planes(1, 2, 9, 4, 5), output=output)
    with fits.open(write(ramp.byproducts["kept.fits"], tmp_path / "kept.fits")) as hdus:
        assert hdus["SCI"].data.ravel().tolist() == [1.5, 4.5]
        assert [hdus[0].header[k] for k in ("NGROUPS", "NFRAMES", "GROUPGAP")] == [2, 2, 1]


cubes = arrays.arrays(np.float32, (2, 3, 2, 2), elements=st.floats(-1e4, 1e4, width=32))


@given(cubes)
def test_no_dark_changes_nothing(sci: np.ndarray) -> None:
    before = sci.copy()
    subtract_dark(sci, lambda _: np.zeros((2, 2), np.float32))
    assert sci.dtype == np.float32
    np.testing.assert_array_equal(sci, before)


@given(cubes)
def test_integrations_are_independent(sci: np.ndarray) -> None:
    alone = sci[1:].copy()
    for cube in (sci, alone):
        subtract_dark(cube, lambda j: np.full((2, 2), j, np.float32))
    np.testing.assert_array_equal(sci[1:], alone)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    sci = np.random.default_rng(5).normal(size=(2, 9, 3, 4)).astype(np.float32)

    def work() -> tuple[np.ndarray]:
        copy = sci.copy()
        subtract_dark(copy, lambda j: np.full((3, 4), j / 3))
        return (copy,)

    same_for_any_threads(monkeypatch, work)


BY_INTEGRATION = np.array([[1, 3], [2, 6]], np.float32)[:, :, None, None]


def test_each_integration_has_its_own_dark_and_later_ones_the_last(tmp_path: Path) -> None:
    ramp = run(make_ramp(np.full((3, 2, 1, 1), 10)), tmp_path, sci=BY_INTEGRATION)
    assert ramp.sci[:, :, 0, 0].tolist() == [[9, 7], [8, 4], [8, 4]]


def test_one_integration_has_the_first_dark(tmp_path: Path) -> None:
    ramp = run(make_ramp(np.full((1, 2, 1, 1), 10)), tmp_path, sci=BY_INTEGRATION)
    assert ramp.sci[:, :, 0, 0].tolist() == [[9, 7]]


def test_a_later_segment_has_the_dark_of_its_number(tmp_path: Path) -> None:
    three = np.concatenate([BY_INTEGRATION, [[[[5]], [[5]]]]])
    ramp = run(make_ramp(np.full((3, 2, 1, 1), 10), INTSTART=2), tmp_path, sci=three)
    assert ramp.sci[:, :, 0, 0].tolist() == [[8, 4], [5, 5], [5, 5]]


def test_the_darks_of_all_integrations_are_continued_and_written(tmp_path: Path) -> None:
    ramp = make_ramp(np.full((2, 3, 1, 1), 10))
    ramp = run(ramp, tmp_path, sci=BY_INTEGRATION, dq=[[[[HOT]]], [[[WARM]]]], output="made.fits")
    assert ramp.pixeldq[0, 0] == HOT | WARM
    assert ramp.sci[:, :, 0, 0].tolist() == [[9, 7, 5], [8, 4, 0]]
    made = write(ramp.byproducts["made.fits"], tmp_path / "made.fits")
    assert fits.getdata(made)[:, :, 0, 0].tolist() == [[1, 3, 5], [2, 6, 10]]
