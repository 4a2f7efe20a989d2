from typing import Any

import numpy as np
import pytest
from ramps import make_ramp

from calwebbd.stages.exposure import Ramp
from calwebbd.stages.flags import DO_NOT_USE, FLUX_ESTIMATED, JUMP_DET, SATURATED
from calwebbd.stages.step import Skip, Step
from calwebbd.stages.steps.firstframe import firstframe
from calwebbd.stages.steps.lastframe import lastframe


def ramp_of(ngroups: int, nints: int = 2) -> Ramp:
    return make_ramp(np.zeros((nints, ngroups, 1, 2)))


def test_the_first_group_is_flagged_and_earlier_flags_stay() -> None:
    ramp = ramp_of(4)
    ramp.groupdq[0, 0] = JUMP_DET
    firstframe(ramp)
    assert (ramp.groupdq[0, 0] == JUMP_DET | DO_NOT_USE).all()
    assert (ramp.groupdq[1, 0] == DO_NOT_USE).all()
    assert not ramp.groupdq[:, 1:].any()


def test_a_pixel_saturated_in_its_third_group_keeps_the_first_and_says_so() -> None:
    ramp = ramp_of(4)
    ramp.groupdq[1, 2:, 0, 0] = SATURATED
    firstframe(ramp)
    assert ramp.groupdq[:, 0, 0].tolist() == [[DO_NOT_USE, DO_NOT_USE], [0, DO_NOT_USE]]
    assert ramp.pixeldq.tolist() == [[FLUX_ESTIMATED, 0]]


def test_bright_pixels_lose_the_first_group_too_if_so_asked() -> None:
    ramp = ramp_of(4)
    ramp.groupdq[:, 2:] = SATURATED
    firstframe(ramp, bright_use_group1=False)
    assert (ramp.groupdq[:, 0] == DO_NOT_USE).all()
    assert not ramp.pixeldq.any()


def test_the_last_group_is_flagged() -> None:
    ramp = ramp_of(3)
    lastframe(ramp)
    assert (ramp.groupdq[:, -1] == DO_NOT_USE).all()
    assert not ramp.groupdq[:, :-1].any()


@pytest.mark.parametrize(("step", "ngroups"), [(firstframe, 3), (lastframe, 2)])
def test_short_integrations_are_left_alone(step: Step, ngroups: int) -> None:
    ramp: Any = ramp_of(ngroups)
    with pytest.raises(Skip, match=f"there are {ngroups} groups"):
        step(ramp)
    assert not ramp.groupdq.any()
