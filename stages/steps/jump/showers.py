"""Showers: faint sprays of secondary particles (MIRI), each pixel of which stays below the threshold."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, GroupDQ, PixelDQ, Ramp
from calwebbd.stages.kernels import by_rows, in_threads, rings
from calwebbd.stages.kernels.differences import median_differences
from calwebbd.stages.scratch import in_bands, in_parts
from calwebbd.stages.steps.jump.detection import unusable_groups
from calwebbd.stages.steps.jump.params import JumpParams
from calwebbd.stages.steps.jump.regions import Drawing, find_ellipses

LEAST_DIFFERENCES = 10  # in the whole exposure
CLIP = 5.0  # sigma, over integrations
LARGEST_CHANGE = 6.0  # e-/s
BAD = flags.DO_NOT_USE | flags.SATURATED
ANY = BAD | flags.JUMP_DET


@dataclass(frozen=True)
class Detector:
    """gain : (ny, nx), e-/DN; readnoise : (ny, nx), DN, of the difference of two frames."""

    gain: Float
    readnoise: Float
    nframes: int


@dataclass(frozen=True)
class Typical:
    """Median and noise of the differences between groups, e-: (ny, nx) each, or one for every difference."""

    median: Float
    noise: Float

    def of(self, k: int) -> tuple[Float, Float]:
        """Those of difference k."""
        return (self.median, self.noise) if self.median.ndim == 2 else (self.median[k], self.noise[k])


def flag_showers(ramp: Ramp, detector: Detector, params: JumpParams) -> int:
    """Flag JUMP_DET in showers and for a time after them, in place; how many showers there are.

    A shower is a region in which the means of the differences around each pixel, in units of
    their noise, exceed the threshold. Samples that are DO_NOT_USE, SATURATED, or JUMP_DET alone
    are left out. Where flags change the mean rate of a pixel too much all of them are taken back.

    The largest change is 6 e-/s whatever `max_shower_amplitude` says, as in the reference pipeline.
    Source: specification detector1 §3 jump, showers.
    """
    nints, ngroups = ramp.groupdq.shape[:2]
    if nints * (ngroups - 1) - int(unusable_groups(ramp.groupdq).sum()) < LEAST_DIFFERENCES:
        return 0
    typical = typical_differences(ramp.sci, ramp.groupdq, detector, params)
    group_time = ramp.header.real("TGROUP")
    return sum(
        flag_integration(sci, groupdq, ramp.pixeldq, detector.gain, typical, group_time, params)
        for sci, ((groupdq,),) in zip(ramp.sci, in_parts(ramp.groupdq, each=1), strict=True)
    )


def typical_differences(sci: Float, groupdq: GroupDQ, detector: Detector, params: JumpParams) -> Typical:
    """What the differences of each pixel are like: all of them, or each over many integrations.

    sci, groupdq : (nints, ngroups, ny, nx), DN
    """
    nints, ngroups, ny, nx = sci.shape
    gain = detector.gain
    clipped = nints >= params.minimum_sigclip_groups
    shape = (ngroups - 1, ny, nx) if clipped else (ny, nx)
    typical = Typical(np.empty(shape, np.float32), np.empty(shape, np.float32))

    def clip(start: int, stop: int, rows: slice, sci: Float, groupdq: GroupDQ) -> None:
        for y in range(start, stop):
            row = rows.start + y
            values = differences(sci[:, :, y], groupdq[:, :, y], gain[row])
            typical.median[:, row], typical.noise[:, row] = _clipped(values)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # of NaN, which pixels may be full of
        warnings.simplefilter("ignore", RuntimeWarning)
        for rows, values, bits in in_bands(sci, groupdq):
            if clipped:
                by_rows(clip, values.shape[2], rows, values, bits)
            else:
                by_rows(median_differences, values.shape[2], values, bits, gain[rows], typical.median[rows])
    if not clipped:
        variance = (detector.readnoise * gain) ** 2 / np.float32(detector.nframes)
        np.sqrt(np.abs(typical.median) + variance, out=typical.noise)
    return typical


def differences(sci: Float, groupdq: GroupDQ, gain: Float) -> Float:
    """Differences between groups of each integration, e-; NaN where a sample is not used.

    sci, groupdq : (nints, ngroups, nx)
    """
    electrons = sci * gain
    electrons[(groupdq & BAD != 0) | (groupdq == flags.JUMP_DET)] = np.nan
    return np.diff(electrons, axis=1)


def _clipped(values: Float) -> tuple[Float, Float]:
    """Median and standard deviation along the first axis, of what sigma clipping leaves."""
    from astropy.stats import sigma_clipped_stats  # takes a third of a second to import

    _, median, deviation = sigma_clipped_stats(values, sigma=CLIP, axis=0)
    return median, deviation


def flag_integration(
    sci: Float,
    groupdq: GroupDQ,
    pixeldq: PixelDQ,
    gain: Float,
    typical: Typical,
    group_time: float,
    params: JumpParams,
) -> int:
    """Flag the showers of one integration, in place; how many there are.

    sci, groupdq : (ngroups, ny, nx), DN
    """
    reference = pixeldq == flags.REFERENCE_PIXEL
    unusable = (pixeldq & ANY != 0) | reference

    def search(g: int) -> list[Drawing]:
        pair = slice(g - 1, g + 1)
        return find_showers(sci[pair], groupdq[pair], unusable, gain, *typical.of(g - 1), params)

    found = in_threads([partial(search, g) for g in range(1, len(sci))])
    inside = np.zeros(unusable.shape, bool)
    for rows, columns, shower in (drawing for drawings in found for drawing in drawings):
        inside[rows, columns] |= shower
    y, x = np.nonzero(inside & ~reference)
    before = groupdq[:, y, x]
    last = int(params.time_masked_after_shower // group_time)
    for g, drawings in enumerate(found, start=1):
        for drawing in drawings:
            _draw(groupdq[g : g + last + 1], drawing, reference)
    after, electrons = groupdq[:, y, x], sci[:, y, x] * gain[y, x]
    change = np.abs(mean_difference(electrons, before) - mean_difference(electrons, after))
    groupdq[:, y, x] = np.where(change <= np.float32(LARGEST_CHANGE * group_time), after, before)
    return sum(len(drawings) for drawings in found)


def find_showers(
    sci: Float,
    groupdq: GroupDQ,
    unusable: NDArray[np.bool_],
    gain: Float,
    median: Float,
    noise: Float,
    params: JumpParams,
) -> list[Drawing]:
    """Enlarged ellipses of the regions where the difference between two groups is too great.

    sci, groupdq : (2, ny, nx), DN; the later group's flags, JUMP_DET too, and `unusable` ones
        leave pixels out
    """
    shape = unusable.shape
    extended = np.empty(shape, np.uint8)
    ring = ring_of(params.extend_inner_radius, params.extend_outer_radius)
    rings.exceeding(sci, groupdq, unusable, gain, median, noise, ring, params.extend_snr_threshold, extended)
    showers = find_ellipses(extended, 1, params.extend_min_area)
    factor, largest = params.extend_ellipse_expand_ratio, params.max_extended_radius
    return [showers.draw(k, *showers.enlarged(k, factor, largest), shape) for k in range(len(showers))]


def ring_of(inner: float, width: float) -> NDArray[np.bool_]:
    """Pixels between two radii, both included, of a square about the central one.

    The reference pipeline, too, takes what is called the outer radius for the width.
    """
    reach = int(inner + width)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    square = x**2 + y**2
    return np.asarray((square >= inner**2) & (square <= (inner + width) ** 2))


def _draw(groupdq: GroupDQ, drawing: Drawing, reference: NDArray[np.bool_]) -> None:
    """Flag JUMP_DET in these groups, in place, until a pixel is SATURATED; not in reference pixels."""
    rows, columns, shower = drawing
    shower = shower & ~reference[rows, columns]
    for group in groupdq:
        window = group[rows, columns]
        shower &= window & flags.SATURATED == 0
        window |= shower * np.uint8(flags.JUMP_DET)


def mean_difference(electrons: Float, groupdq: GroupDQ) -> Float:
    """Mean difference between groups without DO_NOT_USE, SATURATED or JUMP_DET; NaN where there is none.

    electrons, groupdq : (ngroups, npixels); sums in single precision, group by group
    """
    total, count = np.zeros(electrons.shape[1:], np.float32), np.zeros(electrons.shape[1:], np.float32)
    good = groupdq & ANY == 0
    for g in range(1, len(electrons)):
        difference = electrons[g] - electrons[g - 1]
        used = good[g] & good[g - 1] & ~np.isnan(difference)
        total += np.where(used, difference, np.float32(0))
        count += used
    with np.errstate(invalid="ignore"):
        return total / count
