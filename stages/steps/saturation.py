"""Flag saturated groups, and those at the bottom of the analogue-to-digital range."""

from __future__ import annotations

from collections.abc import Iterator
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
from calwebbd.stages.superstripes import each_superstripe

OUT_OF_REACH = 65536.0  # DN; the converter gives 65535 at most
Index = NDArray[np.intp]
First = NDArray[np.int16]
Mask = NDArray[np.bool_]


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
    checked: Mask,
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
    for yy, xx, inside in _near(y, x, grow, (ny, nx)):
        groupdq[before[inside], yy, xx] |= np.uint8(flags.DO_NOT_USE)


def _near(y: Index, x: Index, grow: int, shape: tuple[int, int]) -> Iterator[tuple[Index, Index, Mask]]:
    """For each shift of up to `grow` rows and columns: where it takes pixels, and which stay in the image."""
    for near_y in range(-grow, grow + 1):
        for near_x in range(-grow, grow + 1):
            yy, xx = y + near_y, x + near_x
            inside = (yy >= 0) & (yy < shape[0]) & (xx >= 0) & (xx < shape[1])
            yield yy[inside], xx[inside], inside


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
    found = _sudden(sci[0, y, x], sci[1, y, x], threshold[y, x], bias[y, x], nframes)
    groupdq[1, y[found], x[found]] |= np.uint8(flags.DO_NOT_USE)


def saturate_second_group(
    sci: Float, groupdq: GroupDQ, threshold: Float, bias: Float, nframes: int, grow: int
) -> None:
    """`flag_second_group` of interleaved exposures: SATURATED, also in pixels that were so before, and
    in their neighbours.

    bias : (ny, nx), DN
    Source: specification detector1 §3 saturation, IRS2.
    """
    y, x = np.nonzero(sci[2] >= threshold)
    found = _sudden(sci[0, y, x], sci[1, y, x], threshold[y, x], bias[y, x], nframes)
    for yy, xx, _ in _near(y[found], x[found], grow, threshold.shape):
        groupdq[1, yy, xx] |= np.uint8(flags.SATURATED)


def _sudden(v0: Float, v1: Float, limit: Float, pedestal: Float, nframes: int) -> Mask:
    """Whether a rise in the second group is none that the first one's rate would have led to."""
    mean_read = np.float64((nframes + 1) / 2)
    steady = (v0 - pedestal) / mean_read * (3 * nframes) + pedestal < limit
    return np.asarray(steady & (v1 - v0 > (limit - v0) / np.float32(nframes)))


def blank_zero_frame(zeroframe: Float, threshold: Float, grow: int) -> None:
    """Set first frames to 0, in place, where they are saturated, or at the converter's floor.

    zeroframe : (nints, ny, nx), DN
    """
    for frame in zeroframe:
        groupdq = np.zeros((1, *frame.shape), np.uint8)
        flag_crossings(frame[np.newaxis], groupdq, threshold, grow)
        frame[groupdq[0] != 0] = 0.0


@step(keyword="S_SATURA", references=("saturation",), optional=("superbias",), params=SaturationParams)
@each_superstripe
def saturation(ramp: Ramp, references: References, params: SaturationParams) -> Ramp:
    """Flag saturated groups and their neighbours.

    In interleaved exposures, groups whose last frames may have saturated are not looked for.
    """
    reference = (references.within(ramp.subarray) if ramp.between else references)["saturation"]
    threshold, dq = reference.floats(), reference.dq()
    usable_thresholds(threshold, dq)
    checked = (dq & flags.NO_SAT_CHECK) == 0
    nframes, grow = ramp.header.integer("NFRAMES"), params.n_pix_grow_sat
    ngroups = ramp.sci.shape[1]
    second = params.use_readpatt and ngroups > 2 and nframes > 1  # of single frames it never finds any
    bias = _bias(ramp, references) if second and "superbias" in references else np.zeros_like(threshold)
    for sci, groupdq in ramp.integrations():
        first = flag_crossings(sci, groupdq, threshold, grow)
        if ramp.between:
            if second:
                saturate_second_group(sci, groupdq, threshold, bias, nframes, grow)
            continue
        if params.use_readpatt and nframes > 1:
            flag_partial(sci, groupdq, threshold, checked, first, nframes, grow)
        if second:
            flag_second_group(sci, groupdq, threshold, bias, first, nframes)
    zeroframe = zero_frame(ramp)
    if zeroframe is not None:
        blank_zero_frame(zeroframe, threshold, grow)
    ramp.pixeldq |= dq
    return ramp


def _bias(ramp: Ramp, references: References) -> Float:
    """Of the image."""
    bias = references["superbias"].floats()
    return ramp.between.split(bias)[0] if ramp.between else bias
