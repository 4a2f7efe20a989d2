"""What steps may save beside their result, and the walk through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from calwebbd.stages.exposure import Exposure, Ramp
from calwebbd.stages.scratch import Cube, in_parts, zeros


def empty_cube(ramp: Ramp, wanted: bool) -> Any:
    """Zeros of the shape of the ramp, on disk if it is; None if they are not wanted."""
    return zeros(ramp.sci.shape, np.float32, on_disk=ramp.stored) if wanted else None


def one_by_one(*arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Each integration of the arrays, to be changed in place; None where there is no array."""
    there = [array for array in arrays if array is not None]
    for parts in in_parts(*there, each=1):
        found = iter(parts)
        yield tuple(None if array is None else next(found)[0] for array in arrays)


def save(ramp: Ramp, **arrays: Any) -> None:
    """Put arrays that are there beside the ramp, by the suffix of their product."""
    for suffix, array in arrays.items():
        if array is not None:
            sci: Any = array if isinstance(array, Cube) else array.astype(np.float32, copy=False)
            ramp.byproducts[suffix] = Exposure(ramp.header.copy(), sci)
