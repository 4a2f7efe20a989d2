"""Flag the last group of MIRI integrations."""

from __future__ import annotations

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.exposure import Ramp
from calwebbd.stages.references import References
from calwebbd.stages.step import NoParams, Skip, step

LEAST_GROUPS = 3


@step(keyword="S_LASTFR")
def lastframe(ramp: Ramp, references: References, params: NoParams) -> Ramp:
    """Flag the last group, which the reset of neighbouring rows has upset.

    Source: specification detector1 §3 lastframe.
    """
    ngroups = ramp.sci.shape[1]
    if ngroups < LEAST_GROUPS:
        raise Skip(f"there are {ngroups} groups, fewer than {LEAST_GROUPS}")
    for _, groupdq in ramp.integrations():
        groupdq[-1] |= np.uint8(flags.DO_NOT_USE)
    return ramp
