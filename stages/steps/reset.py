"""Subtract what the reset leaves in the first groups of MIRI integrations."""

from __future__ import annotations

from functools import partial

import numpy as np

from calwebbd.stages.exposure import Float, Ramp
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.readout import first_integration
from calwebbd.stages.references import Reference, References
from calwebbd.stages.step import NoParams, step


def subtract_decay(sci: Float, decay: Float) -> None:
    """Subtract the decay from the groups of one integration that it covers, in place.

    sci : (ngroups, ny, nx), DN
    decay : as sci, DN, of any number of groups; NaN counts as 0
    Source: specification detector1 §3 reset.
    """

    def subtract(group: Float, after: Float) -> None:
        group -= np.where(np.isnan(after), np.float32(0), after)

    in_threads([partial(subtract, *pair) for pair in zip(sci, decay, strict=False)])


@step(keyword="S_RESET", references=("reset",))
def reset(ramp: Ramp, references: References, params: NoParams) -> Ramp:
    """Subtract the decay after the reset, of this integration or the last one known."""
    reference = references["reset"]
    decay, of = np.empty(0, np.float32), 0
    for number, (sci, _) in enumerate(ramp.integrations(), first_integration(ramp)):
        wanted = min(number, reference.header.integer("NINTS"))
        if wanted != of:
            decay, of = _decay(reference, wanted, len(sci)), wanted
        subtract_decay(sci, decay)
    ramp.pixeldq |= reference.dq()
    return ramp


def _decay(reference: Reference, integration: int, ngroups: int) -> Float:
    """As many of an integration's groups as there are, and are to be corrected."""
    first = (integration - 1) * reference.shape()[1]
    covered = min(ngroups, reference.header.integer("NGROUPS"))
    return reference.floats(planes=slice(first, first + covered))
