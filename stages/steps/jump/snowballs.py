"""Snowballs: large round jumps, most with a saturated core, whose outskirts stay below the threshold."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import GroupDQ
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.scratch import in_parts
from calwebbd.stages.steps.jump.params import JumpParams
from calwebbd.stages.steps.jump.regions import Drawing, Ellipses, find_ellipses

NONE = Ellipses(*np.zeros((5, 0)))


def flag_snowballs(groupdq: GroupDQ, group_time: float, params: JumpParams) -> int:
    """Enlarge the flags of snowballs and of their cores, in place; how many snowballs there are.

    groupdq : (nints, ngroups, ny, nx), in memory or on disk
        JUMP_DET grows in the group of the event, SATURATED from there to the end of the
        integration; where a core was, the next integration gets JUMP_DET for a while.
    group_time : s
    Source: specification detector1 §3 jump, snowballs; Regan, JWST-STScI-008545.
    """
    events = 0
    last = min(int(params.snowball_time_masked_next_int // group_time), groupdq.shape[1])
    before: list[Drawing] = []
    for (part,) in in_parts(groupdq):
        found = in_threads([partial(_in_integration, integration, params) for integration in part])
        for integration, (count, cores) in zip(part, found, strict=True):
            for rows, columns, inside in before if params.mask_snowball_core_next_int else ():
                integration[1:last, rows, columns] |= inside * np.uint8(flags.JUMP_DET)
            events, before = events + count, cores
    return events


def _in_integration(groupdq: GroupDQ, params: JumpParams) -> tuple[int, list[Drawing]]:
    """Flag the snowballs of one integration; their number, and the cores as they were."""
    events = 0
    cores: list[Drawing] = []
    saturated = _newly_saturated(groupdq, 1, params) if params.sat_required_snowball else NONE
    for g in range(1, len(groupdq)):
        snowballs = find_ellipses(groupdq[g], flags.JUMP_DET, params.min_jump_area)
        if params.sat_required_snowball:
            following = _newly_saturated(groupdq, g + 1, params)
            snowballs = snowballs[_near_edge(snowballs, groupdq.shape[1], params.edge_size)
                                  | snowballs.contain_any(saturated.x, saturated.y)
                                  | snowballs.contain_any(following.x, following.y)]  # fmt: skip
            grown = _extend_cores(groupdq[g:], saturated, params)
            saturated = _newly_saturated(groupdq, g + 1, params) if grown else following
            cores += grown
        events += len(snowballs)
        _extend_jumps(groupdq[g], snowballs, params)
    return events, cores


def _newly_saturated(groupdq: GroupDQ, g: int, params: JumpParams) -> Ellipses:
    """Regions saturated in group g and not before; none after the last group."""
    if g >= len(groupdq):
        return NONE
    return find_ellipses(groupdq[g], flags.SATURATED, params.min_sat_area, before=groupdq[g - 1])


def _near_edge(ellipses: Ellipses, ny: int, edge: int) -> NDArray[np.bool_]:
    """True where the core may lie off the detector; as in the reference, ny serves for both axes."""
    high = max(0, ny - edge)
    x, y = ellipses.x, ellipses.y
    return np.asarray((x < edge) | (y < edge) | (x > high) | (y > high))


def _extend_cores(groupdq: GroupDQ, saturated: Ellipses, params: JumpParams) -> list[Drawing]:
    """Enlarge the larger saturated regions in all these groups; the regions before that."""
    shape = groupdq.shape[-2:]
    cores = []
    for k in np.flatnonzero(saturated.minor > params.min_sat_radius_extend):
        minor, major = (
            min(axis + 2 * params.sat_expand, 2 * params.max_extended_radius)
            for axis in (float(saturated.minor[k]), float(saturated.major[k]))
        )
        rows, columns, inside = saturated.draw(k, minor, major, shape)
        groupdq[:, rows, columns][:, inside] = flags.SATURATED
        cores.append(saturated.draw(k, float(saturated.minor[k]), float(saturated.major[k]), shape))
    return cores


def _extend_jumps(groupdq: GroupDQ, snowballs: Ellipses, params: JumpParams) -> None:
    """Flag JUMP_DET in the enlarged ellipses where not SATURATED."""
    for k in range(len(snowballs)):
        minor, major = snowballs.enlarged(k, params.expand_factor, params.max_extended_radius)
        rows, columns, inside = snowballs.draw(k, minor, major, groupdq.shape)
        window = groupdq[rows, columns]
        window[inside & (window & flags.SATURATED == 0)] |= flags.JUMP_DET
