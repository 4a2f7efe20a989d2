"""Remove drifts of the read-out, seen in pixels that are read but gather no light."""

from __future__ import annotations

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.collation import collate
from calwebbd.stages.exposure import Float, PixelDQ, Ramp
from calwebbd.stages.irs2 import is_interleaved
from calwebbd.stages.readout import (
    BORDER,
    MIRI_COLUMNS,
    MIRI_ROWS,
    SIZE,
    corner,
    is_miri,
    to_detector,
    zero_frame,
)
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.steps.refpix.amplifiers import (
    AMPLIFIERS,
    RefPixParams,
    correct_four_amplifiers,
    correct_one_amplifier,
)
from calwebbd.stages.steps.refpix.irs2 import correct_interleaved
from calwebbd.stages.steps.refpix.miri import correct_by_columns
from calwebbd.stages.steps.refpix.sirs import SideKernels, side_kernels
from calwebbd.stages.steps.refpix.stripes import correct_stripes
from calwebbd.stages.stripes import Pattern
from calwebbd.stages.superstripes import superstripes

EDGELESS = ("SUB512", "SUB512S", "SUB32")  # of NIRSpec: first and last columns serve as reference pixels


@step(keyword="S_REFPIX", optional=("sirskernel", "refpix"), params=RefPixParams, whole=is_interleaved)
def refpix(ramp: Ramp, references: References, params: RefPixParams) -> Ramp:
    """Subtract what the reference pixels show; put superstripes side by side."""
    if is_miri(ramp.header):
        return _miri(ramp, params)
    if ramp.between:
        return correct_interleaved(ramp, ramp.between, references, params)
    if Pattern.of(ramp.header):
        return _stripes(ramp, params)
    sub = ramp.subarray
    if not (0 <= sub.x <= SIZE - sub.nx and 0 <= sub.y <= SIZE - sub.ny):
        raise Skip(f"the subarray, at {sub.x}, {sub.y}, of {sub.nx} x {sub.ny}, is not within the detector")
    kernels = None
    if (
        params.refpix_algorithm == "sirs"
        and "FULL" in ramp.header.text("SUBARRAY")
        and "sirskernel" in references
    ):
        tree = references["sirskernel"].tree()
        kernels = side_kernels(tree, ramp.header.text("DETECTOR"), params.gaussmooth, params.halfwidth)
    planes = ramp.sci.reshape(-1, sub.ny, sub.nx)
    _correct(ramp, planes, kernels, params, first=ramp.first == 0)
    zeroframe = zero_frame(ramp)
    if zeroframe is not None:
        zero = zeroframe == 0
        _correct(ramp, zeroframe, kernels, params, first=False)
        zeroframe[zero] = 0.0
    return ramp


def _stripes(ramp: Ramp, params: RefPixParams) -> Ramp:
    first = corner(ramp)[1]
    for part in superstripes(ramp):
        dq = to_detector(part.pixeldq, ramp.header)
        usable = (dq & (flags.REFERENCE_PIXEL | flags.DO_NOT_USE)) == flags.REFERENCE_PIXEL
        for sci, _ in part.integrations():
            correct_stripes(to_detector(sci, ramp.header), usable, first, params)
        zeroframe = zero_frame(part)
        if zeroframe is not None:
            zero = zeroframe == 0
            correct_stripes(to_detector(zeroframe, ramp.header), usable, first, params)
            zeroframe[zero] = 0.0
    return collate(ramp) if ramp.by_superstripe else ramp


def _miri(ramp: Ramp, params: RefPixParams) -> Ramp:
    if ramp.sci.shape[-2:] != (MIRI_ROWS, MIRI_COLUMNS):
        raise Skip(f"subarrays of MIRI are not corrected, and this is {ramp.header.text('SUBARRAY')}")
    bad = (ramp.pixeldq & flags.DO_NOT_USE) != 0
    for sci, _ in ramp.integrations():
        correct_by_columns(sci, bad, params)
    return ramp


def _correct(
    ramp: Ramp, planes: Float, kernels: SideKernels | None, params: RefPixParams, *, first: bool
) -> None:
    planes, dq = to_detector(planes, ramp.header), to_detector(_flags(ramp), ramp.header)
    bad, at = (dq & flags.DO_NOT_USE) != 0, corner(ramp)
    whole = planes.shape[-2:] == (SIZE, SIZE)
    if whole or ramp.header.integer("NOUTPUTS", 1) == AMPLIFIERS:
        correct_four_amplifiers(planes, bad, at, params, kernels, first=first)
    else:
        correct_one_amplifier(planes, ((dq & flags.REFERENCE_PIXEL) != 0) & ~bad, at[1] % 2, params)


def _flags(ramp: Ramp) -> PixelDQ:
    """PIXELDQ, with REFERENCE_PIXEL at both ends of subarrays that have none."""
    if ramp.header.text("SUBARRAY") not in EDGELESS:
        return ramp.pixeldq
    dq = ramp.pixeldq.copy()
    dq[:, :BORDER] |= np.uint32(flags.REFERENCE_PIXEL)
    dq[:, -BORDER:] |= np.uint32(flags.REFERENCE_PIXEL)
    return dq
