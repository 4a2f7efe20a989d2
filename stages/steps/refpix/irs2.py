"""Reference pixels of NIRSpec's interleaved read-out (IRS2), from an exposure's samples to its image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Ramp
from calwebbd.stages.irs2 import FULL, Layout, by_sample, pixel_rows, without_samples
from calwebbd.stages.references import Reference, References
from calwebbd.stages.steps.refpix.amplifiers import RefPixParams
from calwebbd.stages.steps.refpix.correlated import Correction, of_real
from calwebbd.stages.steps.refpix.interleaved import (
    BAD,
    find_bad,
    flagged_samples,
    plan,
    replace_bad,
    subtract_means,
)


def correct_interleaved(
    ramp: Ramp, references: References, params: RefPixParams, layout: Layout = FULL
) -> Ramp:
    """Correct an interleaved exposure, and take out what is not of its image.

    Raises ReferenceMissing where there is no ``refpix`` reference (the reference pipeline goes on, and
    fails in the next step).
    Source: specification detector1 §3 refpix, IRS2.
    """
    if "refpix" not in references:
        raise ReferenceMissing(f"there is no refpix reference for {ramp.header.text('READPATT')}")
    dq = by_sample(ramp.pixeldq, ramp.header)
    known = flagged_samples(dq)
    bad = known.copy()
    for sci, _ in ramp.integrations():
        bad |= find_bad(by_sample(sci, ramp.header), known, params.ovr_corr_mitigation_ftr, layout)
    dq[bad] |= np.uint32(BAD)
    correction = _correction(references["refpix"], params, layout)
    replacements = plan(bad, _listed(references["refpix"]), layout)
    for sci, _ in ramp.integrations():
        samples = by_sample(sci, ramp.header)
        if params.irs2_mean_subtraction:
            subtract_means(samples, (dq & flags.DO_NOT_USE) != 0, params, layout)
        replace_bad(samples, replacements)
        correction.correct(samples)
    if not params.preserve_irs2_refpix:
        rows = pixel_rows(ramp.header, layout)
        ramp.sci, ramp.groupdq = without_samples(ramp.sci, rows), without_samples(ramp.groupdq, rows)
        ramp.pixeldq = ramp.pixeldq[rows]
    return ramp


def _correction(reference: Reference, params: RefPixParams, layout: Layout) -> Correction:
    """Weights are complex: real and imaginary parts alternate."""
    length = 2 * layout.slots * layout.lines
    weights = {}
    for name, column in reference.columns("IRS2"):
        if len(column) != length:
            raise ReferenceMissing(f"{reference.path.name} has {len(column)} weights, not {length}")
        weights[name] = of_real(column.astype(np.float32, copy=False).view(np.complex64), layout)
    alpha, beta = ([weights[f"{kind}_{k}"] for k in range(4)] for kind in ("alpha", "beta"))
    return Correction(layout, alpha, beta, keep=params.preserve_irs2_refpix)


def _listed(reference: Reference) -> list[Sequence[int]]:
    """OUTPUT, ODD_EVEN and MASK of each row of the DQ table."""
    if not reference.has("DQ"):
        return []
    table = reference.table("DQ")
    return [(int(row["OUTPUT"]), int(row["ODD_EVEN"]), int(row["MASK"])) for row in table]
