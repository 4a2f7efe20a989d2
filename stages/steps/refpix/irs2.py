"""Reference pixels of NIRSpec's interleaved read-out (IRS2), from an exposure's samples to its image.

All is done one output after the other, in each group by itself. Means over groups and spectra of
the reference output wait on disk meanwhile, so that there is little in memory beside the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from calwebbd.stages import flags, scratch
from calwebbd.stages.between import Between
from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Float, Ramp
from calwebbd.stages.irs2 import FULL, OUTPUTS, Layout, by_sample
from calwebbd.stages.references import Reference, References
from calwebbd.stages.steps.refpix.amplifiers import RefPixParams
from calwebbd.stages.steps.refpix.correlated import Correction, Double, Spectra, Weights, of_real
from calwebbd.stages.steps.refpix.interleaved import (
    BAD,
    Mask,
    Replacement,
    Totals,
    by_output,
    find_bad,
    flagged_samples,
    plan,
    replace_bad,
    subtract_means,
)
from calwebbd.stages.steps.refpix.samples import Samples
from calwebbd.stages.threads import in_threads


def correct_interleaved(
    ramp: Ramp, between: Between, references: References, params: RefPixParams, layout: Layout = FULL
) -> Ramp:
    """Correct the image of an interleaved exposure, and what is beside it, or take that away.

    Raises ReferenceMissing where there is no ``refpix`` reference (the reference pipeline goes on, and
    fails in the next step).
    Source: specification detector1 §3 refpix, IRS2.
    """
    if "refpix" not in references:
        raise ReferenceMissing(f"there is no refpix reference for {ramp.header.text('READPATT')}")
    reference, keep = references["refpix"], params.preserve_irs2_refpix
    nints, ngroups, _, nx = ramp.sci.shape
    beside = scratch.Cube((nints * ngroups, len(between.rows), nx), np.float32) if keep else None
    samples = partial(Samples, between=between, header=ramp.header, layout=layout)
    bad, unusable = _bad(ramp, between, samples, params, layout)
    work = _Work(
        Correction(layout, keep=keep),
        partial(_weights, reference, layout=layout),
        by_output(plan(bad, _listed(reference), layout), layout),
        unusable,
        params,
    )
    for n, (sci, _) in enumerate(ramp.integrations()):
        kept = np.empty((ngroups, len(between.rows), nx), np.float32) if keep else None
        work.correct(samples(sci, first=n * ngroups, beside=kept))
        if beside and kept is not None:
            beside.write(n * ngroups, kept)
    if beside:
        between.become(beside)
    else:
        ramp.between = None
    return ramp


def _bad(
    ramp: Ramp, between: Between, samples: Callable[..., Samples], params: RefPixParams, layout: Layout
) -> tuple[Mask, Mask | None]:
    """Samples that are bad, and flags them; what is not to be used, (sample, line), if that is asked for."""
    dq = between.merge(ramp.pixeldq, between.pixeldq)
    view = by_sample(dq, ramp.header)
    known = flagged_samples(view)
    bad = known.copy()
    for n, (sci, _) in enumerate(ramp.integrations()):
        found = samples(sci, first=n * len(sci))
        totals = in_threads([partial(_totals, found, group) for group in range(found.ngroups)])
        bad |= find_bad(sum(totals[1:], start=totals[0]), known, params.ovr_corr_mitigation_ftr, layout)
    view[bad] |= np.uint32(BAD)
    ramp.pixeldq, between.pixeldq = between.split(dq)
    return bad, (view & flags.DO_NOT_USE) != 0 if params.irs2_mean_subtraction else None


def _totals(samples: Samples, group: int) -> Totals:
    return Totals.of(samples.reference_pixels(group))


@dataclass(frozen=True)
class _Work:
    """What is the same for all integrations.

    weights : those of an output
    replacements : of each output's bad samples
    unusable : (sample, line), for the subtraction of means, if it is asked for
    """

    correction: Correction
    weights: Callable[[int], Weights]
    replacements: Sequence[Sequence[Replacement]]
    unusable: Mask | None
    params: RefPixParams

    def correct(self, samples: Samples) -> None:
        """Correct one integration, in place."""
        layout, groups = self.correction.layout, range(samples.ngroups)
        means = scratch.Cube((OUTPUTS, layout.block, layout.lines), np.float64)
        spectra = scratch.Cube((len(groups), layout.slots, layout.lines // 2 + 1), np.complex64)
        in_threads([partial(self._average, samples, output, means) for output in range(OUTPUTS)])
        mean = scratch.plane(means, 0)
        in_threads([partial(self._reference, samples, group, mean, spectra) for group in groups])
        for output in range(1, OUTPUTS):
            mean, weights = scratch.plane(means, output), self.weights(output)
            one = partial(self._output, samples, output, mean, weights, spectra)
            in_threads([partial(one, group) for group in groups])

    def _block(self, samples: Samples, group: int, output: int) -> Float:
        """With what takes the place of bad samples."""
        block, size = samples.block(group, output), self.correction.layout.block
        if self.unusable is not None:
            bad = self.unusable[output * size : (output + 1) * size]
            subtract_means(block, bad, self.params, self.correction.layout)
        replace_bad(block, self.replacements[output])
        return block

    def _average(self, samples: Samples, output: int, means: scratch.Cube) -> None:
        total = np.zeros(means.shape[1:])
        for group in range(samples.ngroups):
            total += self._block(samples, group, output)
        total /= samples.ngroups
        means.write(output, total[None])

    def _reference(self, samples: Samples, group: int, mean: Double, spectra: scratch.Cube) -> None:
        block = self._block(samples, group, 0)
        spectra.write(group, self.correction.reference(block, mean)[None])
        samples.put(group, 0, block)

    def _output(
        self,
        samples: Samples,
        output: int,
        mean: Double,
        weights: Weights,
        spectra: scratch.Cube,
        group: int,
    ) -> None:
        block = self._block(samples, group, output)
        self.correction.correct(output, block, mean, weights, scratch.plane(spectra, group))
        samples.put(group, output, block)


def _weights(reference: Reference, output: int, layout: Layout) -> Weights:
    """Those of an output; they are complex: real and imaginary parts alternate."""

    def of(kind: str) -> Spectra:
        column = reference.column(f"{kind}_{output - 1}", "IRS2")
        if len(column) != 2 * layout.slots * layout.lines:
            wanted = 2 * layout.slots * layout.lines
            raise ReferenceMissing(f"{reference.path.name} has {len(column)} weights, not {wanted}")
        return of_real(column.astype(np.float32, copy=False).view(np.complex64), layout)

    return Weights(of("alpha"), of("beta"))


def _listed(reference: Reference) -> list[Sequence[int]]:
    """OUTPUT, ODD_EVEN and MASK of each row of the DQ table."""
    if not reference.has("DQ"):
        return []
    table = reference.table("DQ")
    return [(int(row["OUTPUT"]), int(row["ODD_EVEN"]), int(row["MASK"])) for row in table]
