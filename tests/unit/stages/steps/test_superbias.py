from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import make_ramp, same_for_any_threads, write_reference

from calwebbd.stages.flags import UNRELIABLE_BIAS
from calwebbd.stages.step import NoParams
from calwebbd.stages.steps.superbias import subtract_bias, superbias

cubes = arrays.arrays(np.float32, (2, 3, 2, 2), elements=st.floats(-1e4, 1e4, width=32))


def test_the_bias_is_subtracted_from_every_group_and_nan_counts_as_zero() -> None:
    sci = np.full((2, 3, 1, 2), 10, np.float32)
    subtract_bias(sci, np.array([[3, np.nan]], np.float32))
    assert (sci[..., 0] == 7).all()
    assert (sci[..., 1] == 10).all()


def test_bad_first_frames_stay_zero_and_flags_are_added(tmp_path: Path) -> None:
    ramp = make_ramp([[[[10.0, 10]]]], zeroframe=[[[0, 5]]])
    ramp.pixeldq[:] = 1
    references = write_reference(tmp_path, "superbias", ramp, sci=[[4, 2]], dq=UNRELIABLE_BIAS)
    result = superbias.function(ramp, references, NoParams())
    assert result.sci.tolist() == [[[[6, 8]]]]
    assert result.zeroframe.tolist() == [[[0, 3]]]
    assert (result.pixeldq == (1 | UNRELIABLE_BIAS)).all()


@given(cubes)
def test_no_bias_changes_nothing(sci: np.ndarray) -> None:
    before = sci.copy()
    subtract_bias(sci, np.zeros((2, 2), np.float32))
    assert sci.dtype == np.float32
    np.testing.assert_array_equal(sci, before)


@given(cubes)
def test_integrations_are_independent(sci: np.ndarray) -> None:
    bias = np.array([[1, 2], [3, 4]], np.float32)
    alone = sci[1:].copy()
    subtract_bias(sci, bias)
    subtract_bias(alone, bias)
    np.testing.assert_array_equal(sci[1:], alone)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    sci, bias = (
        rng.normal(size=(2, 3, 100, 5)).astype(np.float32),
        rng.normal(size=(100, 5)).astype(np.float32),
    )

    def work() -> tuple[np.ndarray]:
        copy = sci.copy()
        subtract_bias(copy, bias)
        return (copy,)

    same_for_any_threads(monkeypatch, work)
