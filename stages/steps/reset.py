"""Subtract what the reset leaves in the first groups of MIRI integrations."""

from __future__ import annotations

from functools import partial

import numpy as np

from calwebbd.stages.exposure import Float, Ramp
from calwebbd.stages.fits.arrays import AT_ONCE
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.readout import first_integration
from calwebbd.stages.references import Reference, References
from calwebbd.stages.step import NoParams, step
from calwebbd.stages.steps.dark_current import darks_of


def subtract_decay(sci: Float, decay: Float) -> None:
    """Subtract the decay from some groups of all integrations, in place.

    sci : (nints, ngroups, ny, nx), DN
    decay : (ngroups, ny, nx), DN; NaN counts as 0
    Source: specification detector1 §3 reset.
    """
    sci -= np.where(np.isnan(decay), np.float32(0), decay)


@step(keyword="S_RESET", references=("reset",))
def reset(ramp: Ramp, references: References, params: NoParams) -> Ramp:
    """Subtract the decay after the reset, of this integration or the last one known."""
    reference = references["reset"]
    known = reference.header.integer("NINTS")
    covered = min(ramp.sci.shape[1], reference.header.integer("NGROUPS"))
    with reference.held():
        for part, k in darks_of(first_integration(ramp), len(ramp.sci), known):
            _subtract(ramp.sci[part, :covered], reference, k)
    ramp.pixeldq |= reference.dq()
    return ramp


def _subtract(sci: Float, reference: Reference, k: int) -> None:
    """Subtract what the reference has for its k-th integration, some groups at a time."""
    _, covered, ny, nx = sci.shape
    first = k * reference.shape()[1]

    def subtract(start: int, stop: int) -> None:
        subtract_decay(sci[:, start:stop], reference.floats(planes=slice(first + start, first + stop)))

    each = max(1, AT_ONCE // (ny * nx * sci.itemsize))
    in_threads([partial(subtract, g, min(g + each, covered)) for g in range(0, covered, each)])
