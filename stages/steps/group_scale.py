"""Undo the on-board division of frame sums where that was not by the number of frames."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.exposure import Float, Ramp
from calwebbd.stages.references import References
from calwebbd.stages.step import NoParams, Skip, step


def rescale_groups(sci: Float, nframes: int, divisor: int) -> None:
    """Multiply groups by divisor / nframes, in place.

    sci : any shape, DN; the ratio is rounded to float32 before it is used
    Source: specification detector1 §3 group_scale.
    """
    sci *= np.float32(divisor / nframes)


@step(keyword="S_GRPSCL")
def group_scale(ramp: Ramp, references: References, params: NoParams) -> Ramp:
    """Rescale groups whose frames were averaged by bit shift."""
    if "NFRAMES" not in ramp.header:
        raise Skip("NFRAMES is not given")
    nframes = ramp.header.integer("NFRAMES")
    divisor = ramp.header.integer("FRMDIVSR", 0)
    if not divisor:
        raise Skip("FRMDIVSR is not given")
    if divisor == nframes:
        raise Skip(f"frames were divided by their number, {nframes}")
    rescale_groups(ramp.sci, nframes, divisor)
    if ramp.between:
        ramp.between.changes.append(lambda samples, _: rescale_groups(samples, nframes, divisor))
    return ramp
