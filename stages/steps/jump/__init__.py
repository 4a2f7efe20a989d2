"""Flag jumps: cosmic rays, and the snowballs and showers they make."""

from __future__ import annotations

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, PixelDQ, Ramp
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.steps.jump.detection import detect_jumps, unusable_groups
from calwebbd.stages.steps.jump.params import JumpParams
from calwebbd.stages.steps.jump.showers import Detector, flag_showers
from calwebbd.stages.steps.jump.snowballs import flag_snowballs


@step(keyword="S_JUMP", references=("gain", "readnoise"), params=JumpParams, whole=True)
def jump(ramp: Ramp, references: References, params: JumpParams) -> Ramp:
    """Flag groups in which the signal jumped."""
    if ramp.sci.shape[1] <= 2:
        raise Skip(f"{ramp.sci.shape[1]} groups are too few to tell a jump")
    gain = references["gain"].floats()
    readnoise = references["readnoise"].floats()
    flag_bad_gain(ramp.pixeldq, gain)
    nframes, group_time = ramp.header.integer("NFRAMES"), ramp.header.real("TGROUP")
    jumps = detect_jumps(ramp.sci, ramp.groupdq, gain, readnoise, nframes, group_time, params)
    events = flag_snowballs(ramp.groupdq, group_time, params) if params.expand_large_events else 0
    if params.find_showers:
        events = flag_showers(ramp, Detector(gain, readnoise, nframes), params)
    _record_rates(ramp, jumps, events, group_time)
    return ramp


def flag_bad_gain(pixeldq: PixelDQ, gain: Float) -> None:
    """Add NO_GAIN_VALUE and DO_NOT_USE where the gain is NaN or not positive, in place; both (ny, nx)."""
    pixeldq[~(gain > 0)] |= np.uint32(flags.NO_GAIN_VALUE | flags.DO_NOT_USE)


def _record_rates(ramp: Ramp, jumps: int, events: int, group_time: float) -> None:
    """PRIMECRS, jumps per 1000 s and pixel; EXTNCRS, extended events per 10⁶ s and pixel."""
    nints, ngroups, ny, nx = ramp.groupdq.shape
    differences = nints * (ngroups - 1) - int(unusable_groups(ramp.groupdq).sum())
    if differences >= 1:
        exposed = group_time * differences * (ny * nx)
        ramp.header["PRIMECRS"] = 1e3 * jumps / exposed
        ramp.header["EXTNCRS"] = 1e6 * events / exposed
