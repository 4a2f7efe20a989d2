"""Flag the first group of MIRI integrations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import GroupDQ, Ramp
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step

LEAST_GROUPS = 4


@dataclass(frozen=True)
class FirstFrameParams:
    bright_use_group1: bool = True  #: keep it in pixels that are saturated in the third group


def flag_first_group(groupdq: GroupDQ, keep_bright: bool) -> NDArray[np.bool_]:
    """Flag the first group of one integration DO_NOT_USE, in place.

    groupdq : (ngroups, ny, nx), at least three groups
    keep_bright : leave it alone where the third group is SATURATED

    Returns the pixels, (ny, nx), that kept it.
    Source: specification detector1 §3 firstframe.
    """
    kept: NDArray[np.bool_] = keep_bright & ((groupdq[2] & flags.SATURATED) != 0)
    groupdq[0] |= np.where(kept, np.uint8(0), np.uint8(flags.DO_NOT_USE))
    return kept


@step(keyword="S_FRSTFR", params=FirstFrameParams, skip=True)
def firstframe(ramp: Ramp, references: References, params: FirstFrameParams) -> Ramp:
    """Flag the first group, which the reset has upset, except in bright pixels.

    Superseded by rscd, which flags it too; it is off unless asked for.
    """
    ngroups = ramp.sci.shape[1]
    if ngroups < LEAST_GROUPS:
        raise Skip(f"there are {ngroups} groups, fewer than {LEAST_GROUPS}")
    for _, groupdq in ramp.integrations():
        kept = flag_first_group(groupdq, params.bright_use_group1)
        ramp.pixeldq[kept] |= np.uint32(flags.FLUX_ESTIMATED)
    return ramp
