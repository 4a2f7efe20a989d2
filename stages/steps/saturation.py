"""Flag saturated groups, and those at the bottom of the analogue-to-digital range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, GroupDQ, PixelDQ, Ramp
from calwebbd.stages.kernels import by_rows
from calwebbd.stages.kernels.crossing import first_crossings, flag_from_first
from calwebbd.stages.readout import zero_frame
from calwebbd.stages.references import References
from calwebbd.stages.step import step

OUT_OF_REACH = 65536.0  # DN; the converter gives 65535 at most
First = NDArray[np.int16]


@dataclass(frozen=True)
class SaturationParams:
    n_pix_grow_sat: int = 1  #: pixels by which saturated regions grow
    use_readpatt: bool = True  #: look for saturation inside averaged groups


def usable_thresholds(threshold: Float, dq: PixelDQ) -> None:
    """Put thresholds that are unknown out of reach, in place: where NO_SAT_CHECK is set, or becomes set
    because they are NaN.

    threshold, dq : (ny, nx), DN
    """
    dq[np.isnan(threshold)] |= np.uint32(flags.NO_SAT_CHECK)
    threshold[(dq & flags.NO_SAT_CHECK) != 0] = OUT_OF_REACH


def flag_crossings(sci: Float, groupdq: GroupDQ, threshold: Float, grow: int) -> First:
    """Flag one integration, in place: SATURATED from the first group at or above the threshold on.

    sci, groupdq : (ngroups, ny, nx), DN
        Values of zero or less gain AD_FLOOR and DO_NOT_USE, in their own group only. A
        group SATURATED on input counts as one above the threshold (the reference pipeline
        grows but does not continue such flags; whatever sets them has continued them).
    threshold : (ny, nx), DN
    grow : pixels up to so many rows and columns away are flagged alike

    Returns the first saturated group of each pixel, neighbours considered; ngroups if none.
    Source: specification detector1 §3 saturation, 1.
    """
    ny, nx = threshold.shape
    first, grown = np.empty((ny, nx), np.int16), np.empty((ny, nx), np.int16)
    by_rows(first_crossings, ny, sci, groupdq, threshold, first)
    by_rows(flag_from_first, ny, grow, first, grown, groupdq)
    return grown


def flag_partial(
    sci: Float,
    groupdq: GroupDQ,
    threshold: Float,
    checked: NDArray[np.bool_],
    first: First,
    nframes: int,
    grow: int,
) -> None:
    """Flag DO_NOT_USE, in place, in groups whose last frames may have saturated.

    That is the group before the first saturated one, if its mean is as high as a steady ramp
    would have it that reaches the threshold in its last frame; its neighbours are flagged too.
    Frames are counted as if none were dropped between groups, as in the reference pipeline.

    checked : (ny, nx), False where there is no threshold; first : as `flag_crossings` returns it
    Source: specification detector1 §3 saturation, 2.
    """
    ngroups, ny, nx = sci.shape
    y, x = np.nonzero((first > 0) & (first < ngroups))
    before = first[y, x].astype(np.intp) - 1
    last_frame = (before + 1) * nframes
    dilution = np.where(checked[y, x], (last_frame - (nframes - 1) / 2) / last_frame, 1.0)
    partial = (sci[before, y, x] >= threshold[y, x] * dilution) & (
        groupdq[before, y, x] & flags.DO_NOT_USE == 0
    )
    y, x, before = y[partial], x[partial], before[partial]
    for near_y in range(-grow, grow + 1):
        for near_x in range(-grow, grow + 1):
            yy, xx = y + near_y, x + near_x
            inside = (yy >= 0) & (yy < ny) & (xx >= 0) & (xx < nx)
            groupdq[before[inside], yy[inside], xx[inside]] |= np.uint8(flags.DO_NOT_USE)


def flag_second_group(
    sci: Float, groupdq: GroupDQ, threshold: Float, bias: Float, first: First, nframes: int
) -> None:
    """Flag DO_NOT_USE, in place, in second groups that a sudden charge may have saturated at their end.

    Those are pixels that saturate in the third group, would not by the rate of the first,
    and rise more in the second than they could in one frame without saturating.

    bias : (ny, nx), DN; first : as `flag_crossings` returns it
    Source: specification detector1 §3 saturation, 3.
    """
    y, x = np.nonzero(first == 2)
    v0, v1, limit, pedestal = sci[0, y, x], sci[1, y, x], threshold[y, x], bias[y, x]
    mean_read = np.float64((nframes + 1) / 2)
    steady = (v0 - pedestal) / mean_read * (3 * nframes) + pedestal < limit
    sudden = v1 - v0 > (limit - v0) / np.float32(nframes)
    found = steady & sudden
    groupdq[1, y[found], x[found]] |= np.uint8(flags.DO_NOT_USE)


def blank_zero_frame(zeroframe: Float, threshold: Float, grow: int) -> None:
    """Set first frames to 0, in place, where they are saturated, or at the converter's floor.

    zeroframe : (nints, ny, nx), DN
    """
    for frame in zeroframe:
        groupdq = np.zeros((1, *frame.shape), np.uint8)
        flag_crossings(frame[np.newaxis], groupdq, threshold, grow)
        frame[groupdq[0] != 0] = 0.0


@step(keyword="S_SATURA", references=("saturation",), optional=("superbias",), params=SaturationParams)
def saturation(ramp: Ramp, references: References, params: SaturationParams) -> Ramp:
    """Flag saturated groups and their neighbours."""
    threshold, dq = references["saturation"].floats(), references["saturation"].dq()
    usable_thresholds(threshold, dq)
    checked = (dq & flags.NO_SAT_CHECK) == 0
    nframes, grow = ramp.header.integer("NFRAMES"), params.n_pix_grow_sat
    ngroups = ramp.sci.shape[1]
    second = params.use_readpatt and ngroups > 2 and nframes > 1  # of single frames it never finds any
    bias = (
        references["superbias"].floats() if second and "superbias" in references else np.zeros_like(threshold)
    )
    for sci, groupdq in ramp.integrations():
        first = flag_crossings(sci, groupdq, threshold, grow)
        if params.use_readpatt and nframes > 1:
            flag_partial(sci, groupdq, threshold, checked, first, nframes, grow)
        if second:
            flag_second_group(sci, groupdq, threshold, bias, first, nframes)
    zeroframe = zero_frame(ramp)
    if zeroframe is not None:
        blank_zero_frame(zeroframe, threshold, grow)
    ramp.pixeldq |= dq
    return ramp
