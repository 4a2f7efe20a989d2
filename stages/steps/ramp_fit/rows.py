"""Ramps too long for memory, a few rows of all integrations at a time; others in one piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float, GroupDQ, PixelDQ, Ramp
from calwebbd.stages.scratch import Cube, cube, in_bands

Arrays = tuple[NDArray[Any], ...]


class Band(NamedTuple):
    """Rows of a ramp and of the references for its fit."""

    sci: Float
    groupdq: GroupDQ
    pixeldq: PixelDQ
    gain: Float
    readnoise: Float
    dark: Float | float
    zeroframe: Float | None


def bands(ramp: Ramp, gain: Float, readnoise: Float) -> Iterator[tuple[slice, Band]]:
    """Bands of a ramp, with the numbers of their rows; only its pixeldq may be changed."""
    dark = ramp.average_dark_current
    cubes = [cube for cube in (ramp.sci, ramp.groupdq, ramp.zeroframe) if cube is not None]
    for here, sci, groupdq, *zeroframe in in_bands(*cubes):
        yield (
            here,
            Band(
                sci,
                groupdq,
                ramp.pixeldq[here],
                gain[here],
                readnoise[here],
                dark if np.ndim(dark) == 0 else np.asarray(dark)[here],
                zeroframe[0] if zeroframe else None,
            ),
        )


def group_flags(ramp: Ramp) -> Iterator[GroupDQ]:
    """The groupdq of each band."""
    return (groupdq for _, groupdq in in_bands(ramp.groupdq))


def assemble(parts: Iterator[tuple[slice, Arrays]], ny: int) -> list[Any]:
    """Arrays of `ny` rows from their bands; on disk if there are several bands, and of several planes."""
    whole: list[Any] = []
    for here, arrays in parts:
        if here == slice(0, ny):
            return list(arrays)
        if not whole:
            whole = [
                cube((*a.shape[:-2], ny, a.shape[-1]), a.dtype, on_disk=a.ndim > 2 and a.size > 0)
                for a in arrays
            ]
        for array, part in zip(whole, arrays, strict=True):
            if isinstance(array, Cube):
                array.write_rows(here.start, part)
            else:
                array[..., here, :] = part
    return whole
