"""Which groups of a ramp are fitted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import GroupDQ

NOT_PERSISTENCE = 0xFF ^ flags.PERSISTENCE  # which does not keep a group from being used


def select_groups(groupdq: GroupDQ, first: int | None, last: int | None) -> None:
    """Flag DO_NOT_USE before group `first` and after group `last`, in place; both ignored if first ≥ last.

    groupdq : (ngroups, ny, nx), or several such
    """
    ngroups = groupdq.shape[-3]
    begin = max(0, first or 0)
    end = ngroups - 1 if last is None else last
    if begin < end:
        groupdq[..., :begin, :, :] |= flags.DO_NOT_USE
        groupdq[..., end + 1 :, :, :] |= flags.DO_NOT_USE


def unusable_groups(groupdq: GroupDQ, suppress_one_group: bool) -> NDArray[np.bool_]:
    """Groups that no pixel can use, in any integration: (ngroups,).

    groupdq : (nints, ngroups, ny, nx)
    suppress_one_group : pixels whose only good group it is cannot use it
    """
    return np.array([_is_unusable(groupdq, g, suppress_one_group) for g in range(groupdq.shape[1])])


def _is_unusable(groupdq: GroupDQ, group: int, suppress_one_group: bool) -> bool:
    """Mostly the first rows tell."""
    for integration in groupdq:
        for y in range(groupdq.shape[2]):
            usable = integration[group, y] & flags.DO_NOT_USE == 0
            if usable.any():
                good = integration[:, y, usable] & NOT_PERSISTENCE == 0
                if not suppress_one_group or (np.count_nonzero(good, axis=0) != 1).any():
                    return False
    return True


def trim(unusable: NDArray[np.bool_]) -> range:
    """The groups without the unusable ones at the beginning, and without one at the end.

    For MIRI, whose first and last groups are unlike the others.
    Source: specification detector1 §3 ramp_fit.
    """
    usable = np.nonzero(~unusable)[0]
    if not usable.size:
        return range(0)
    return range(int(usable[0]), unusable.size - int(unusable[-1]))
