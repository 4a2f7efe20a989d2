from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import make_ramp, same_for_any_threads, write_reference

from calwebbd.stages.exposure import Ramp
from calwebbd.stages.flags import OTHER_BAD_PIXEL
from calwebbd.stages.steps.reset import reset, subtract_decay

DECAY = np.array([[5, 3, 1], [4, 2, 0]], np.float32)[:, :, None, None]  # two integrations of three groups
groups = arrays.arrays(np.float32, (3, 2, 2), elements=st.floats(-1e4, 1e4, width=32))


def run(folder: Path, ramp: Ramp, decay: np.ndarray = DECAY, covered: int = 3) -> list[list[float]]:
    known = {"NINTS": len(decay), "NGROUPS": covered}
    references = write_reference(folder, "reset", ramp, sci=decay, dq=OTHER_BAD_PIXEL, **known)
    reset(ramp, references)
    assert ramp.pixeldq[0, 0] == OTHER_BAD_PIXEL
    values: list[list[float]] = ramp.sci[:, :, 0, 0].tolist()
    return values


def test_each_integration_has_its_own_decay_and_later_ones_the_last(tmp_path: Path) -> None:
    assert run(tmp_path, make_ramp(np.full((3, 3, 1, 1), 10))) == [[5, 7, 9], [6, 8, 10], [6, 8, 10]]


def test_groups_beyond_the_decay_are_left_alone(tmp_path: Path) -> None:
    assert run(tmp_path, make_ramp(np.full((1, 4, 1, 1), 10))) == [[5, 7, 9, 10]]


def test_the_reference_says_how_many_of_its_groups_count(tmp_path: Path) -> None:
    assert run(tmp_path, make_ramp(np.full((2, 3, 1, 1), 10)), covered=1) == [[5, 10, 10], [6, 10, 10]]


def test_short_integrations_take_the_first_groups_of_the_decay(tmp_path: Path) -> None:
    assert run(tmp_path, make_ramp(np.full((2, 1, 1, 1), 10))) == [[5], [6]]


def test_a_later_segment_knows_which_integration_it_begins_with(tmp_path: Path) -> None:
    assert run(tmp_path, make_ramp(np.full((1, 3, 1, 1), 10), INTSTART=2)) == [[6, 8, 10]]


def test_nan_counts_as_no_decay() -> None:
    sci = np.full((1, 1, 1, 2), 10, np.float32)
    subtract_decay(sci, np.array([[[np.nan, 1]]], np.float32))
    assert sci.tolist() == [[[[10, 9]]]]


@given(groups, groups)
def test_a_decay_that_was_added_is_removed(sci: np.ndarray, decay: np.ndarray) -> None:
    observed = sci + decay
    subtract_decay(observed, decay)
    np.testing.assert_allclose(observed, sci, atol=4e-3)
    assert observed.dtype == np.float32


def test_threads_change_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    sci, decay = (rng.normal(size=(2, 6, 40, 5)).astype(np.float32) for _ in range(2))
    monkeypatch.setattr("calwebbd.stages.steps.reset.AT_ONCE", 2 * 40 * 5 * 4)
    ramp = make_ramp(sci)
    references = write_reference(tmp_path, "reset", ramp, sci=decay, NINTS=2, NGROUPS=6)

    def work() -> tuple[np.ndarray]:
        ramp.sci = sci.copy()
        return (reset(ramp, references).sci,)

    same_for_any_threads(monkeypatch, work)
    np.testing.assert_array_equal(ramp.sci, sci - decay)
