"""Flag the groups of MIRI integrations that the reset switch charge decay has upset."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import GroupDQ, Header, Ramp, Table
from calwebbd.stages.readout import first_integration
from calwebbd.stages.references import References
from calwebbd.stages.scratch import in_parts
from calwebbd.stages.step import NoParams, Skip, step

LEAST_GROUPS = 3  # the last group is not used, and a slope takes two
FEW_GROUPS = 5


class Skips(NamedTuple):
    """Groups to flag at the beginning of the exposure's first integration, and of later ones."""

    first: int
    later: int


def tabulated(table: Table, header: Header) -> Skips | None:
    """The reference's numbers for a subarray and read pattern; None if it has none.

    A negative number stands in references that do not know the first integration: 1 is taken.
    """
    subarray, readpatt = header.text("SUBARRAY"), header.text("READPATT")
    wanted = ("SLITLESSPRISM" if subarray == "SUBPRISM" else subarray, readpatt)
    for row in table:
        if wanted == (_text(row["subarray"]), _text(row["readpatt"])):
            first = int(row["group_skip1"])
            return Skips(1 if first < 0 else first, int(row["group_skip"]))
    return None


def _text(value: bytes | str) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()


def affordable(skips: Skips, ngroups: int) -> Skips:
    """As many groups to flag as leave three to use: one, where there are no more than five.

    Source: specification detector1 §3 rscd.
    """
    if ngroups <= FEW_GROUPS:
        skips = Skips(1, 1)
    most = max(0, ngroups - LEAST_GROUPS)
    return Skips(min(skips.first, most), min(skips.later, most))


def flag_decay(groupdq: GroupDQ, skip: int) -> NDArray[np.int16]:
    """Flag the first groups of one integration DO_NOT_USE, in place, and fewer where it saturates.

    groupdq : (ngroups, ny, nx), more than `skip` + 1 groups
    A pixel keeps as many more groups as it has SATURATED ones among those that would
    be flagged and the two after them, so that two remain before saturation, if it can; one
    that is SATURATED in its first group keeps none.

    Returns how many groups were flagged in each pixel, (ny, nx).
    """
    saturated = (groupdq[: skip + 2] & flags.SATURATED) != 0
    lowered = saturated[1:].sum(axis=0, dtype=np.int16)
    lowered[saturated[0]] = 0
    skipped: NDArray[np.int16] = np.maximum(np.int16(skip) - lowered, np.int16(0))
    for g in range(skip):
        groupdq[g] |= np.where(g < skipped, np.uint8(flags.DO_NOT_USE), np.uint8(0))
    return skipped


@step(keyword="S_RSCD", references=("rscd",), whole=True)  # pixels are counted over all integrations
def rscd(ramp: Ramp, references: References, params: NoParams) -> Ramp:
    """Flag the first groups, as many as the reference says for the first and for later integrations."""
    ngroups = ramp.sci.shape[1]
    if ngroups < LEAST_GROUPS:
        raise Skip(f"there are {ngroups} groups, fewer than {LEAST_GROUPS}")
    skips = tabulated(references["rscd"].table(), ramp.header)
    if skips is None:
        subarray, readpatt = ramp.header.text("SUBARRAY"), ramp.header.text("READPATT")
        raise Skip(f"the reference has no row for SUBARRAY {subarray} and READPATT {readpatt}")
    skips = affordable(skips, ngroups)
    here = first_integration(ramp)
    lowered, none = (np.zeros((2, *ramp.pixeldq.shape), np.bool_) for _ in range(2))
    for number, (groupdq,) in enumerate(in_parts(ramp.groupdq, each=1), here):
        later = int(number > 1)
        skipped = flag_decay(groupdq[0], skips[later])
        lowered[later] |= skipped < skips[later]
        none[later] |= (skipped == 0) & (skips[later] > 0)
    ramp.pixeldq[lowered.any(axis=0)] |= np.uint32(flags.FLUX_ESTIMATED)
    for later, which in enumerate(("INT1", "INT2")):
        if here == 1 if not later else ramp.header.integer("NINTS") > 1:
            ramp.header[f"{which}SKIP"] = skips[later]
            ramp.header[f"{which}BORS"] = int(lowered[later].sum())
            ramp.header[f"{which}UGP1"] = int(none[later].sum())
    return ramp
