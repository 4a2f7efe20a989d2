"""Start the flags of an exposure from the mask of known bad pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import GroupDQ, PixelDQ, Ramp
from calwebbd.stages.fits.arrays import open_fits, read_array
from calwebbd.stages.products import GuideStar
from calwebbd.stages.references import References
from calwebbd.stages.step import step
from calwebbd.stages.superstripes import each_superstripe


@dataclass(frozen=True)
class DQInitParams:
    user_supplied_dq: str | None = None  #: file whose DQ is merged with the mask


def apply_mask(groupdq: GroupDQ, pixeldq: PixelDQ, mask: PixelDQ) -> None:
    """Add the mask's flags to the pixels, and DO_NOT_USE to each of their groups, in place.

    groupdq : (..., ny, nx)
    pixeldq, mask : (ny, nx)
    Source: specification detector1 §3 dq_init.
    """
    pixeldq |= mask
    groupdq |= (mask & flags.DO_NOT_USE).astype(np.uint8)


@step(keyword="S_DQINIT", references=("mask",), params=DQInitParams)
@each_superstripe
def dq_init(exposure: Ramp | GuideStar, references: References, params: DQInitParams) -> Ramp | GuideStar:
    """Flag known bad pixels. Guide stars have no flags of groups."""
    mask = references["mask"].dq()
    if params.user_supplied_dq:
        superstripe = exposure.superstripe if isinstance(exposure, Ramp) else 0
        mask |= _user_flags(Path(params.user_supplied_dq), mask.shape, superstripe)
    if isinstance(exposure, GuideStar):
        exposure.dq |= mask
    else:
        if exposure.between:
            mask, others = exposure.between.split(mask)
            apply_mask(exposure.between.flagged, exposure.between.pixeldq, others)
        apply_mask(exposure.groupdq, exposure.pixeldq, mask)
    return exposure


def _user_flags(path: Path, shape: tuple[int, ...], superstripe: int) -> PixelDQ:
    """The file's DQ, (ny, nx), or a plane for each superstripe."""
    with open_fits(path) as hdus:
        array = read_array(path, hdus["DQ"]).astype(np.uint32)
    if array.ndim == 3 and superstripe < len(array):
        array = array[superstripe]
    if array.shape != shape:
        raise InputError(f"user_supplied_dq {path.name} is {array.shape}, the exposure {shape}")
    return array
