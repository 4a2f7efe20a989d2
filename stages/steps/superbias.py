"""Subtract the detector's bias pattern."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.exposure import Float, Ramp
from calwebbd.stages.kernels import by_rows
from calwebbd.stages.readout import zero_frame
from calwebbd.stages.references import References
from calwebbd.stages.step import NoParams, step
from calwebbd.stages.superstripes import each_superstripe


def subtract_bias(sci: Float, bias: Float) -> None:
    """Subtract the bias from each plane, in place.

    sci : (..., ny, nx), DN
    bias : (ny, nx), DN; NaN counts as 0
    Source: specification detector1 §3 superbias.
    """

    def subtract(start: int, stop: int) -> None:
        rows = bias[start:stop]
        sci[..., start:stop, :] -= np.where(np.isnan(rows), np.float32(0), rows)

    by_rows(subtract, len(bias))


@step(keyword="S_SUPERB", references=("superbias",))
@each_superstripe
def superbias(ramp: Ramp, references: References, params: NoParams) -> Ramp:
    """Subtract the bias pattern from all groups."""
    reference = references["superbias"]
    bias = reference.floats()
    if ramp.between:
        bias, beside = ramp.between.split(bias)
        ramp.between.changes.append(lambda samples, which: subtract_bias(samples, beside[which]))
    subtract_bias(ramp.sci, bias)
    zeroframe = zero_frame(ramp)
    if zeroframe is not None:
        bad = zeroframe == 0
        subtract_bias(zeroframe, bias)
        zeroframe[bad] = 0.0
    dq = reference.dq()
    if ramp.between:
        dq, others = ramp.between.split(dq)
        ramp.between.pixeldq |= others
    ramp.pixeldq |= dq
    return ramp
