"""What the optional product of the fit by segments holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags, kernels
from calwebbd.stages.exposure import Float, GroupDQ
from calwebbd.stages.steps.ramp_fit.groups import NOT_PERSISTENCE

#: planes of the optional product, those of segments in the order in which the kernel writes them
SEGMENT_PLANES = (
    *("sci", "sigslope", "var_poisson", "var_rnoise", "yint", "sigyint", "weights"),
    *("pedestal", "crmag"),
)


def count_segments(
    groupdq: GroupDQ, groups: range, suppress_one_group: bool, zeroframe: Float | None = None
) -> int:
    """Segments of the ramp that has most of them; lone groups all count where there is nothing longer.

    groupdq : (nints, ngroups, ny, nx); groups : those fitted
    zeroframe : (nints, ny, nx), which makes the first group good where no other is, unless it is 0
    Source: specification detector1 §3 ramp_fit.
    """
    most = np.zeros(groupdq.shape[2], np.int64)
    kernels.by_rows(_count_rows, most.size, groupdq, groups, suppress_one_group, zeroframe, most)
    return int(most.max())


def _count_rows(
    start: int,
    stop: int,
    groupdq: GroupDQ,
    groups: range,
    suppress: bool,
    zeroframe: Float | None,
    most: NDArray[np.int64],
) -> None:
    for i, integration in enumerate(groupdq):
        marks = integration[groups.start : groups.stop, start:stop] & NOT_PERSISTENCE
        lone = np.count_nonzero(marks == 0, axis=0) == 1
        if groups.start:  # what was trimmed leaves no jump behind
            marks[0] &= 0xFF ^ flags.JUMP_DET
        if zeroframe is not None:
            none = (integration[groups.start : groups.stop, start:stop] != 0).all(axis=0)
            marks[0][none & (zeroframe[i, start:stop] != 0)] = 0
        good, before, after, jump = marks == 0, *np.zeros((3, *marks.shape), bool)
        before[1:], after[:-1] = good[:-1], good[1:]
        jump[1:] = marks[:-1] == flags.JUMP_DET
        begins = good & ~before
        longer = begins & (after | jump)
        number = np.where(longer.any(axis=0), longer.sum(axis=0), begins.sum(axis=0))
        number[(marks[0] & flags.SATURATED != 0) | (lone & suppress)] = 0
        most[start:stop] = np.maximum(most[start:stop], number.max(axis=1))


def count_jumps(groupdq: GroupDQ, groups: range) -> int:
    """Jumps of the ramp that has most of them."""
    most = 0
    for integration in groupdq:
        number = np.zeros(groupdq.shape[2:], np.int64)
        for g in groups[1:]:
            number += integration[g] & flags.JUMP_DET != 0
        most = max(most, int(number.max()))
    return most


def jump_sizes(sci: Float, groupdq: GroupDQ, groups: range, most: int) -> Float:
    """Differences to the group before at each jump, in order: (nints, most, ny, nx), DN.

    0 where there are fewer jumps; NaN beside a SATURATED group.
    """
    nints, _, ny, nx = sci.shape
    sizes = np.zeros((nints, most, ny, nx), np.float32)
    for i in range(nints):
        number = np.zeros((ny, nx), np.int64)
        for g in groups[1:]:
            jump = groupdq[i, g] & flags.JUMP_DET != 0
            y, x = np.nonzero(jump)
            saturated = (groupdq[i, g, y, x] | groupdq[i, g - 1, y, x]) & flags.SATURATED != 0
            size = sci[i, g, y, x] - sci[i, g - 1, y, x]
            sizes[i, number[y, x], y, x] = np.where(saturated, np.float32(np.nan), size)
            number += jump
    return sizes
