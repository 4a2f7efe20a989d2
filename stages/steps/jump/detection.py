"""Find jumps by the differences between successive groups of each pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags, kernels, scratch
from calwebbd.stages.exposure import Float, GroupDQ
from calwebbd.stages.kernels import jumps, spreading
from calwebbd.stages.scratch import Cube, in_bands, in_parts, zeros
from calwebbd.stages.steps.jump.params import JumpParams

LEAST_GROUPS = 3  # usable ones, for a median of differences to mean anything
NOT_SEARCHED = -99  # the count of jumps where there are fewer
UNKNOWN = np.empty((0, 0))  # medians of differences that are not at hand


def detect_jumps(
    sci: Float,
    groupdq: GroupDQ,
    gain: Float,
    readnoise: Float,
    nframes: int,
    group_time: float,
    params: JumpParams,
) -> int:
    """Flag JUMP_DET where a group differs from the one before by more than noise allows, in place.

    sci, groupdq : (nints, ngroups, ny, nx), DN, in memory or on disk; samples with SATURATED or
        DO_NOT_USE are not used, nor ever flagged
    gain : (ny, nx), e-/DN; readnoise : (ny, nx), DN, of the difference of two frames
    group_time : s

    Returns how many jumps there are before neighbours and later groups are flagged;
    -99 if there are too few usable groups to look for any.
    Source: specification detector1 §3 jump; Anderson & Gordon 2011, doi:10.1086/662593.
    """
    nints, ngroups, ny, nx = sci.shape
    marks = zeros((nints, ngroups, ny, -(-nx // 8)), np.uint8, on_disk=isinstance(sci, Cube))
    limits, lasts = np.zeros(2), np.zeros(2, np.int64)
    count, known = NOT_SEARCHED, UNKNOWN
    search = searching(groupdq, params)
    if search is not None:
        least, most = params.min_jump_to_flag_neighbors, params.max_jump_to_flag_neighbors
        if not params.flag_4_neighbors:
            least = np.inf
        counts = np.zeros(ny, np.int64)
        known = np.empty((ny, nx)) if search.finds_medians else UNKNOWN

        def mark(rows: slice, values: Float, bits: GroupDQ, marked: NDArray[np.uint8]) -> None:
            marked[:], counts[rows] = 0, 0
            ramp = (values, bits, gain[rows], readnoise[rows], float(nframes))
            spread = (least, most, known[rows], marked, counts[rows])
            kernels.by_rows(spreading.mark_spreading, values.shape[2], *ramp, *spread)

        for rows, values, bits, marked in in_bands(sci, change=(groupdq, marks)):
            search.flag(values, bits, gain[rows], readnoise[rows], float(nframes), known[rows])
            mark(rows, values, bits, marked)
        if search.clips and _unflag_whole_groups(groupdq):
            for rows, values, bits, marked in in_bands(sci, groupdq, change=(marks,)):
                mark(rows, values, bits, marked)
        count = int(counts.sum())
        limits, lasts = _aftermath(gain, group_time, params)
    for rows, *values, bits in in_bands(*((sci,) if lasts.any() else ()), change=(groupdq,)):
        around = with_neighbours(marks, rows)
        samples = values[0] if values else np.empty((0, 0, 0, 0), np.float32)
        ramp = (samples, bits, gain[rows], known[rows])
        kernels.by_rows(spreading.spread, bits.shape[2], *ramp, around, limits, lasts)
    return count


def with_neighbours(marks: Any, rows: slice) -> NDArray[np.uint8]:
    """These rows and the ones below and above them; zeros beyond the edges. marks : (..., ny, n)."""
    ny = marks.shape[-2]
    first, last = max(0, rows.start - 1), min(ny, rows.stop + 1)
    part = marks.read_rows(first, last) if isinstance(marks, Cube) else marks[..., first:last, :]
    missing = (1 - (rows.start - first), 1 - (last - rows.stop))
    return np.pad(part, ((0, 0), (0, 0), missing, (0, 0)))


@dataclass(frozen=True)
class Search:
    """How the jumps themselves are found, in some rows of all integrations.

    clips : by what a pixel does in all integrations, else by the ramps of each
    limit : sigma; by the number of differences where they are rejected one by one
    """

    clips: bool
    kernel: Callable[..., None]
    limit: Any
    by_group: bool = False

    @property
    def finds_medians(self) -> bool:
        """Whether it needs the median difference of each pixel."""
        return self.kernel is jumps.reject_at_once

    def flag(
        self,
        sci: Float,
        groupdq: GroupDQ,
        gain: Float,
        readnoise: Float,
        nframes: float,
        medians: NDArray[np.float64],
    ) -> None:
        """Flag them. medians : (ny, nx), e-, filled if they have to be found for it."""
        noise = (self.limit, self.by_group) if self.clips else (readnoise, nframes, self.limit)
        found = (medians,) if self.finds_medians else ()
        kernels.by_rows(self.kernel, sci.shape[2], sci, groupdq, gain, *noise, *found)


def searching(groupdq: GroupDQ, params: JumpParams) -> Search | None:
    """The method that the number of groups allows; None if it allows none."""
    nints, ngroups = groupdq.shape[:2]
    unusable = unusable_groups(groupdq)
    usable = ngroups - int(unusable.max())
    sets = nints if params.only_use_ints else nints * ngroups - int(unusable.sum())
    limit = params.rejection_threshold
    if sets >= params.minimum_sigclip_groups:
        return Search(True, jumps.clip_integrations, limit, params.only_use_ints)
    if usable < LEAST_GROUPS:
        return None
    if usable - 1 >= params.min_diffs_single_pass:
        return Search(False, jumps.reject_at_once, limit)
    return Search(False, jumps.reject_iteratively, thresholds(params))


def thresholds(params: JumpParams) -> NDArray[np.float64]:
    """Sigma by the number of differences: 0, 1, 2, 3, 4 or more. (Three groups have two of them.)"""
    return np.array(
        [
            np.inf,
            np.inf,
            params.three_group_rejection_threshold,
            params.four_group_rejection_threshold,
            params.rejection_threshold,
        ]
    )


def unusable_groups(groupdq: GroupDQ) -> NDArray[np.int64]:
    """How many groups of each integration are DO_NOT_USE in every pixel."""
    number: NDArray[np.int64] = whole_groups(groupdq, flags.DO_NOT_USE).sum(axis=1)
    return number


def whole_groups(groupdq: GroupDQ, bits: int) -> NDArray[np.bool_]:
    """Groups of which every pixel has one of the bits, (nints, ngroups); mostly the first row tells."""
    found: NDArray[np.bool_] = (scratch.rows(groupdq, 0, 1) & bits != 0).all(axis=(2, 3))
    for i in np.flatnonzero(found.any(axis=1)):
        planes = scratch.plane(groupdq, int(i))
        found[i] = [some and bool((g & bits).all()) for some, g in zip(found[i], planes, strict=True)]
    return found


def _unflag_whole_groups(groupdq: GroupDQ) -> bool:
    """Where a whole group was clipped the exposure changed, not single pixels: clear pure jumps, if any."""
    whole = whole_groups(groupdq, flags.JUMP_DET | flags.DO_NOT_USE)
    if not whole.any():
        return False
    for groups, (part,) in zip(whole, in_parts(groupdq, each=1), strict=True):
        for g in np.flatnonzero(groups):
            part[0, g][part[0, g] == flags.JUMP_DET] = 0
    return True


def _aftermath(
    gain: Float, group_time: float, params: JumpParams
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Least jump, e-, and number of later groups it affects, for each of the two settings."""
    lasts = [int(t // group_time) for t in (params.after_jump_flag_time1, params.after_jump_flag_time2)]
    if not any(lasts):
        return np.zeros(2), np.zeros(2, np.int64)
    typical = np.nanmedian(gain)
    electrons = [np.float32(dn) * typical for dn in (params.after_jump_flag_dn1, params.after_jump_flag_dn2)]
    return np.array(electrons, np.float64), np.array(lasts, np.int64)
