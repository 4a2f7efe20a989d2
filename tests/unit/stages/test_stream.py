"""Ramps on disk: steps see a few integrations at a time, and the result is the same."""

from typing import Any

import numpy as np
import pytest
from ramps import make_ramp, make_stripes

from calwebbd.stages import scratch
from calwebbd.stages.collation import collate
from calwebbd.stages.exposure import Ramp
from calwebbd.stages.scratch import Cube
from calwebbd.stages.step import step
from calwebbd.stages.stream import in_parts, together

SHAPE = (5, 2, 3, 4)


@step(keyword="S_A")
def streamed(ramp: Ramp, references: Any, params: Any) -> Ramp:
    """Takes what it gets."""
    return ramp


@step(keyword="S_B", whole=True)
def whole(ramp: Ramp, references: Any, params: Any) -> Ramp:
    """Needs all."""
    return ramp


@pytest.fixture
def ramp(monkeypatch: pytest.MonkeyPatch) -> Ramp:
    """Five integrations on disk, two of which may be in memory."""
    monkeypatch.setattr(scratch, "AT_ONCE", 2 * 2 * 3 * 4 * 4)
    made = make_ramp(np.arange(120.0).reshape(SHAPE))
    for name in ("sci", "groupdq"):
        cube = Cube(SHAPE, getattr(made, name).dtype)
        cube.write(0, getattr(made, name))
        setattr(made, name, cube)
    return made


def test_steps_that_may_see_parts_go_together(ramp: Ramp) -> None:
    steps = (streamed, streamed, whole, streamed)
    assert list(together(steps, ramp, apart=False)) == [[streamed, streamed], [whole], [streamed]]
    assert list(together(steps, ramp, apart=True)) == [[streamed], [streamed], [whole], [streamed]]


def test_every_integration_is_seen_once_with_its_number(ramp: Ramp) -> None:
    seen = []

    def double(part: Ramp) -> Ramp:
        seen.append((part.first, len(part.sci)))
        part.sci *= 2
        return part

    done = in_parts(double, ramp)
    assert seen == [(0, 2), (2, 2), (4, 1)]
    assert done.stored
    assert done.first == 0
    assert np.array_equal(np.asarray(done.sci), 2 * np.arange(120.0).reshape(SHAPE))


def test_flags_of_pixels_are_those_of_all_parts_but_each_begins_anew(ramp: Ramp) -> None:
    def mark(part: Ramp) -> Ramp:
        assert not part.pixeldq.any()
        part.pixeldq[0, part.first % 4] |= 1
        return part

    assert in_parts(mark, ramp).pixeldq[0].tolist() == [1, 0, 1, 0]


def test_a_step_may_change_the_shape(ramp: Ramp) -> None:
    def crop(part: Ramp) -> Ramp:
        part.sci, part.groupdq = part.sci[..., 1:, :], part.groupdq[..., 1:, :]
        part.pixeldq = part.pixeldq[1:]
        return part

    done = in_parts(crop, ramp)
    assert done.sci.shape == done.groupdq.shape == (5, 2, 2, 4)
    assert np.array_equal(np.asarray(done.sci), np.arange(120.0).reshape(SHAPE)[..., 1:, :])


def test_integrations_are_walked_through_in_order_and_changes_kept(ramp: Ramp) -> None:
    for n, (sci, groupdq) in enumerate(ramp.integrations()):
        sci += n
        groupdq |= n
    assert np.asarray(ramp.groupdq)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    expected = np.arange(120.0).reshape(SHAPE) + np.arange(5.0).reshape(5, 1, 1, 1)
    assert np.array_equal(np.asarray(ramp.sci), expected)


def test_superstripes_of_an_integration_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = {"SUBSTRT2": 1, "SSTR_STP": 2, "SSTR_NST": 2}
    rows = np.array([[0], [100]], np.float32)
    stripes = [np.full((3, 2, 4), n, np.float32) + rows for n in range(8)]
    expected = collate(make_stripes(stripes, NINTS=8, **pattern))
    ramp = make_stripes(stripes, NINTS=8, **pattern)
    monkeypatch.setattr(scratch, "AT_ONCE", 3 * ramp.sci[0].nbytes)
    ramp.sci, ramp.groupdq = scratch.put(ramp.sci), scratch.put(ramp.groupdq)
    seen = []

    def side_by_side(part: Ramp) -> Ramp:
        seen.append((part.first, len(part.sci)))
        whole = collate(part)
        seen.append((whole.first, len(whole.sci)))
        return whole

    done = in_parts(side_by_side, ramp)
    assert seen == [(0, 2), (0, 1), (2, 2), (1, 1), (4, 2), (2, 1), (6, 2), (3, 1)]
    assert done.stored
    for name in ("sci", "groupdq", "pixeldq"):
        np.testing.assert_array_equal(np.asarray(getattr(done, name)), getattr(expected, name))
    assert done.header["NINTS"] == expected.header["NINTS"] == 4
