from pathlib import Path
from typing import Any

import asdf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import make_ramp, same_for_any_threads

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Ramp
from calwebbd.stages.flags import DO_NOT_USE, JUMP_DET, PERSISTENCE, SATURATED
from calwebbd.stages.step import Failed
from calwebbd.stages.steps.persistence import PersistenceParams, flag_windows, group_times, persistence
from calwebbd.stages.steps.persistence.handover import any_open

KEYWORDS = {"DETECTOR": "NRCA1", "TGROUP": 10.0, "EFFINTTM": 100.0, "EXPSTART": 40588.0}
START = 86400.0  # s since 1970, of MJD 40588


def ramp_of(saturated: Any, sci: Any = None, **keywords: Any) -> Ramp:
    """One pixel; `saturated` and sci are (nints, ngroups)."""
    saturated = np.array(saturated, bool)
    values = np.zeros(saturated.shape) if sci is None else np.array(sci)
    ramp = make_ramp(values[..., None, None], **{**KEYWORDS, **keywords})
    ramp.groupdq[..., 0, 0] = saturated * np.uint8(SATURATED)
    return ramp


def flagged(ramp: Ramp, **params: Any) -> list[list[int]]:
    """1 where PERSISTENCE is set."""
    ramp = persistence(ramp, **params)
    return (ramp.groupdq[..., 0, 0] & PERSISTENCE != 0).astype(int).tolist()


def test_the_first_saturated_group_opens_a_window_that_later_integrations_see() -> None:
    # saturated at 30 s; the window ends 85 s later, at 115 s: the first group of the next ends at 110 s
    ramp = ramp_of([[0, 0, 1, 1], [0, 0, 0, 0]])
    assert flagged(ramp, persistence_time=85) == [[0, 0, 1, 1], [1, 0, 0, 0]]


def test_a_window_holds_the_group_that_ends_with_it() -> None:
    assert flagged(ramp_of([[1, 1, 1, 1]]), persistence_time=20) == [[1, 1, 1, 0]]


def test_each_integration_has_its_first_saturated_group() -> None:
    ramp = ramp_of([[1, 1, 1, 1], [0, 1, 1, 1]])
    assert flagged(ramp, persistence_time=15) == [[1, 1, 0, 0], [0, 1, 1, 0]]


def test_a_high_sample_opens_a_window_where_none_is_open() -> None:
    ramp = ramp_of(np.zeros((1, 5)), sci=[[0, 60, 60, 0, 0]])
    assert flagged(ramp, persistence_time=15, dn_threshold=50.0) == [[0, 1, 1, 0, 0]]


def test_do_not_use_may_be_set_too_and_other_flags_stay() -> None:
    ramp = ramp_of([[0, 1, 1]])
    ramp.groupdq[0, 2] |= JUMP_DET
    ramp = persistence(ramp, persistence_time=100, persistence_dnu=True)
    both = PERSISTENCE | DO_NOT_USE | SATURATED
    assert ramp.groupdq.ravel().tolist() == [0, both, both | JUMP_DET]


def test_a_window_of_a_later_exposure_is_forgotten() -> None:
    until, groupdq = np.array([[131.0]]), np.zeros((1, 1, 1), np.uint8)
    flag_windows(np.zeros((1, 1, 1), np.float32), groupdq, np.array([30.0]), until,
                 PersistenceParams(persistence_time=100))  # fmt: skip
    assert until.tolist() == [[0.0]]
    assert not groupdq.any()


def test_integrations_begin_as_int_times_says_or_one_after_the_other() -> None:
    ramp = ramp_of(np.zeros((2, 3)))
    ramp.int_times = np.array([(40590.0,)], [("int_start_MJD_UTC", "f8")])  # type: ignore[assignment]
    times = [t.tolist() for t in group_times(ramp)]
    assert times == [[3 * START + t for t in (10, 20, 30)], [START + 100 + t for t in (10, 20, 30)]]


@given(arrays.arrays(np.uint8, (2, 4, 2, 2)), st.booleans())
def test_flags_are_only_added(before: np.ndarray, unusable: bool) -> None:
    ramp = make_ramp(np.zeros(before.shape), **KEYWORDS)
    ramp.groupdq[:] = before
    after = persistence(ramp, persistence_time=50, persistence_dnu=unusable).groupdq
    allowed = np.uint8(PERSISTENCE | DO_NOT_USE if unusable else PERSISTENCE)
    np.testing.assert_array_equal((after ^ before) & ~allowed, 0)
    np.testing.assert_array_equal(after & before, before)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    groupdq = (rng.random((2, 3, 80, 4)) < 0.1) * np.uint8(SATURATED)

    def work() -> tuple[np.ndarray, ...]:
        ramp = make_ramp(np.zeros(groupdq.shape), **KEYWORDS)
        ramp.groupdq[:] = groupdq
        return (persistence(ramp, persistence_time=15).groupdq,)

    same_for_any_threads(monkeypatch, work)


def hand_over(folder: Path, **keywords: Any) -> str:
    """The file left by an exposure whose only pixel saturates 40 s after its start, for 100 s."""
    path = folder / "windows.asdf"
    persistence(ramp_of([[0, 0, 0, 1]], **keywords), persistence_time=100, save_persistence=str(path))
    return str(path)


def test_windows_are_handed_from_exposure_to_exposure(tmp_path: Path) -> None:
    path = hand_over(tmp_path)
    ramp = ramp_of([[0, 0, 0]], EXPSTART=40588.0 + 115 / 86400)
    assert flagged(ramp, persistence_time=100, persistence_array_file=path) == [[1, 1, 0]]


def test_the_file_is_the_reference_pipelines(tmp_path: Path) -> None:
    with asdf.open(hand_over(tmp_path)) as file:
        entry = file["NRCA1"]
        assert (entry["rows"].tolist(), entry["cols"].tolist()) == ([0], [0])
        assert entry["vals"].tolist() == [START + 140]
        assert entry["pers_time"] == 100


def test_detectors_share_a_file_and_one_without_an_entry_has_no_windows(tmp_path: Path) -> None:
    path = hand_over(tmp_path)
    assert flagged(
        ramp_of([[0, 0, 0]], DETECTOR="NRCA2"),
        persistence_time=100,
        persistence_array_file=path,
        save_persistence=path,
    ) == [[0, 0, 0]]
    with asdf.open(path) as file:
        assert file["NRCA1"]["rows"].size == 1
        assert file["NRCA2"]["rows"].size == 0
    assert [each.name for each in tmp_path.iterdir()] == ["windows.asdf"]


def test_the_file_always_ends_in_asdf(tmp_path: Path) -> None:
    persistence(
        ramp_of([[1, 1]]), persistence_time=100, save_persistence=str(tmp_path / "new" / "windows.txt")
    )
    assert (tmp_path / "new" / "windows.asdf").exists()


def refusal(path: str, **keywords: Any) -> str:
    ramp = ramp_of([[0, 0, 0]], **{k: v for k, v in keywords.items() if k.isupper()})
    with pytest.raises(InputError) as caught:
        persistence(ramp, persistence_time=keywords.get("time", 100), persistence_array_file=path)
    return str(caught.value)


def test_a_file_that_is_missing_or_none_is_refused(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "no.asdf")).endswith("no.asdf does not exist")
    (tmp_path / "bad.asdf").write_text("not this")
    assert "bad.asdf cannot be read" in refusal(str(tmp_path / "bad.asdf"))


def test_windows_of_another_duration_become_as_long_as_this_exposures(tmp_path: Path) -> None:
    path = hand_over(tmp_path)  # saturated at 40 s
    groups = ramp_of([[0, 0, 0, 0]], EXPSTART=40588.0 + 55 / 86400)  # which end at 65, 75, … s
    assert flagged(groups, persistence_time=40, persistence_array_file=path) == [[1, 1, 0, 0]]
    assert flagged(groups, persistence_time=60, persistence_array_file=path) == [[1, 1, 1, 1]]


def field(x: int, y: int, nx: int, ny: int, at: tuple[int, int] | None = None, after: float = 0.0) -> Ramp:
    """One integration of one group, `after` seconds; the detector pixel `at` is saturated."""
    corner = {"SUBSTRT1": x + 1, "SUBSTRT2": y + 1}
    start = 40588.0 + after / 86400
    ramp = make_ramp(np.zeros((1, 1, ny, nx)), **{**KEYWORDS, **corner, "EXPSTART": start})
    if at is not None:
        ramp.groupdq[0, 0, at[1] - y, at[0] - x] = SATURATED
    return ramp


def lit(ramp: Ramp, before: Path, after: Path) -> list[list[int]]:
    """Array pixels, as x and y, that are flagged."""
    ramp = persistence(
        ramp, persistence_time=100, persistence_array_file=str(before), save_persistence=str(after)
    )
    return np.argwhere(ramp.groupdq[0, 0] & PERSISTENCE)[:, ::-1].tolist()


def test_windows_are_handed_from_subarray_to_subarray_by_pixels_of_the_detector(tmp_path: Path) -> None:
    """The second exposure reads only one of the two pixels that have windows; the third reads both."""
    files = [tmp_path / f"{n}.asdf" for n in range(4)]
    persistence(field(0, 0, 64, 64, at=(30, 20)), persistence_time=100, save_persistence=str(files[0]))
    assert lit(field(10, 10, 16, 16, at=(12, 14), after=20), files[0], files[1]) == [[2, 4]]
    with asdf.open(files[1]) as file:
        entry = file["NRCA1"]
        assert (entry["rows"].tolist(), entry["cols"].tolist()) == ([4], [2])
        assert (entry["elsewhere"]["rows"].tolist(), entry["elsewhere"]["cols"].tolist()) == ([20], [30])
    assert lit(field(8, 8, 32, 32, after=40), files[1], files[2]) == [[4, 6], [22, 12]]
    assert lit(field(0, 0, 64, 64, after=105), files[2], files[3]) == [
        [12, 14]
    ]  # the other is over, at 110 s
    with asdf.open(files[3]) as file:
        assert "elsewhere" not in file["NRCA1"]


def test_what_is_elsewhere_is_over_in_time_too(tmp_path: Path) -> None:
    first, second = tmp_path / "1.asdf", tmp_path / "2.asdf"
    persistence(field(0, 0, 64, 64, at=(30, 20)), persistence_time=100, save_persistence=str(first))
    assert any_open(first)
    assert lit(field(0, 0, 8, 8, after=300), first, second) == []
    assert not any_open(second)


def test_stripes_hand_on_by_the_lines_that_they_have_read(tmp_path: Path) -> None:
    """Lines 0 and 1 are reference pixels, then 4 and 5 of a stripe, by the pattern."""
    pattern = {"MSTR_RD1": 2, "MSTR_SK1": 2, "MSTR_RD2": 2, "MSTR_SK2": 0, "FASTAXIS": 1, "SLOWAXIS": 2}
    first, second, third = (tmp_path / f"{n}.asdf" for n in range(3))
    persistence(field(0, 0, 8, 16, at=(3, 5)), persistence_time=100, save_persistence=str(first))
    ramp = field(0, 0, 8, 4, after=20)
    ramp.header.update(pattern)
    assert lit(ramp, first, second) == [[3, 3]]
    assert lit(field(0, 0, 8, 16, after=40), second, third) == [[3, 5]]


def test_segments_begin_as_their_own_rows_of_int_times_say() -> None:
    ramp = ramp_of(np.zeros((1, 1)), INTSTART=2)
    names = [("integration_number", "i4"), ("int_start_MJD_UTC", "f8")]
    ramp.int_times = np.array([(1, 40588.0), (2, 40589.0)], names)  # type: ignore[assignment]
    assert [t.tolist() for t in group_times(ramp)] == [[2 * START + 10]]
    ramp.int_times = ramp.int_times[1:]  # type: ignore[index]
    assert [t.tolist() for t in group_times(ramp)] == [[2 * START + 10]]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"rows": [0], "cols": [0], "vals": [1.0]}, "it has no 'pers_time'"),
        ({"rows": [0, 0], "cols": [0], "vals": [1.0], "pers_time": 100}, "have 2, 1 and 1 values"),
        ({"rows": [0], "cols": [7], "vals": [1.0], "pers_time": 100}, "cols has 7, but the exposure 1"),
        (3, "NRCA1: it has no"),
    ],
)
def test_entries_that_make_no_sense_are_refused(tmp_path: Path, entry: Any, message: str) -> None:
    path = tmp_path / "windows.asdf"
    if isinstance(entry, dict):
        entry = {k: np.array(v) if isinstance(v, list) else v for k, v in entry.items()}
    asdf.AsdfFile({"NRCA1": entry}).write_to(path)
    assert message in refusal(str(path))


@pytest.mark.parametrize("seconds", [None, 0, -5])
def test_the_time_must_be_given(seconds: int | None) -> None:
    with pytest.raises(Failed, match="persistence_time"):
        persistence(ramp_of([[0, 0, 0]]), persistence_time=seconds)


def test_it_is_off_unless_asked_for() -> None:
    assert persistence.skip
    assert persistence.keyword == "S_PERSIS"
