"""Flag groups in which pixels hold so much charge that some of it moves to their neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, GroupDQ, Ramp
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step

LEAST_GROUPS = 3


@dataclass(frozen=True)
class ChargeMigrationParams:
    signal_threshold: float = 25000.0  #: DN, above which charge migrates


def flag_migration(sci: Float, groupdq: GroupDQ, threshold: float) -> None:
    """Flag CHARGELOSS and DO_NOT_USE, in place, from the first group above the threshold on.

    sci, groupdq : (ngroups, ny, nx), DN; one integration
        NaN is not above it. A sample with DO_NOT_USE and no other flag does not count.

    The four pixels around such a one are flagged like it.
    Source: specification detector1 §3 charge_migration.
    """
    migrated = np.zeros(sci.shape[1:], bool)
    for values, bits in zip(sci, groupdq, strict=True):
        above = (values > threshold) & (bits != flags.DO_NOT_USE)
        if above.any():
            _add_with_neighbours(above, migrated)
        bits |= migrated * np.uint8(flags.CHARGELOSS | flags.DO_NOT_USE)


def _add_with_neighbours(pixels: NDArray[np.bool_], to: NDArray[np.bool_]) -> None:
    to |= pixels
    to[1:] |= pixels[:-1]
    to[:-1] |= pixels[1:]
    to[:, 1:] |= pixels[:, :-1]
    to[:, :-1] |= pixels[:, 1:]


@step(keyword="S_CHGMIG", params=ChargeMigrationParams, skip=True)
def charge_migration(ramp: Ramp, references: References, params: ChargeMigrationParams) -> Ramp:
    """Flag groups from which charge has migrated to neighbouring pixels."""
    ngroups = ramp.sci.shape[1]
    if ngroups < LEAST_GROUPS:
        raise Skip(f"{ngroups} groups are too few to do without some")
    for sci, groupdq in ramp.integrations():
        flag_migration(sci, groupdq, params.signal_threshold)
    return ramp
