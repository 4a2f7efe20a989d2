"""Parts of exposures, and exposures on disk, as tests compare them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from calwebbd.stages.exposure import Exposure, Ramp
from calwebbd.stages.scratch import Cube


def every(exposure: Any) -> tuple[Any, ...]:
    """Steps after ramp_fit take two exposures, others one."""
    return exposure if isinstance(exposure, tuple) else (exposure,)


def first(exposure: Any) -> Any:
    return every(exposure)[0]


def planes(exposure: Exposure) -> Iterator[tuple[str, Any]]:
    """Names and values of an exposure's images and cubes."""
    for each in fields(exposure):
        value = getattr(exposure, each.name)
        if isinstance(value, np.ndarray | Cube) and value.ndim > 1:
            yield each.name, value


def arrays(exposure: Any) -> dict[str, np.ndarray]:
    """All of them by name, in memory; of a second exposure, rateints, with its name."""
    named = zip(("", "rateints."), every(exposure), strict=False)
    return {f"{of}{name}": np.asarray(value) for of, each in named for name, value in planes(each)}


def changed(exposure: Any, change: Callable[[str, Any], Any], **others: Any) -> Any:
    """The exposure, or exposures, with arrays that `change` makes of their names and values."""
    made = tuple(
        replace(each, header=each.header.copy(), **{k: change(k, v) for k, v in planes(each)}, **others)
        for each in every(exposure)
    )
    return made if isinstance(exposure, tuple) else made[0]


def alone(exposure: Any, i: int) -> Any:
    """One of its integrations, with the number that it has."""

    def one(name: str, array: np.ndarray) -> np.ndarray:
        return array[i : i + 1].copy() if has_integrations(exposure, array) else array.copy()

    if not isinstance(exposure, Ramp):
        return changed(exposure, one)
    between = exposure.between and exposure.between.part(i * exposure.sci.shape[1])
    return changed(exposure, one, first=i, between=between)


def has_integrations(exposure: Any, array: np.ndarray) -> bool:
    return array.ndim > 2 and len(array) == len(every(exposure)[-1].sci)


def cut(exposure: Any, rows: slice, columns: slice) -> Any:
    """A part of the subarray, read as a subarray of its own."""
    part = changed(exposure, lambda name, array: array[..., rows, columns].copy())
    for each in every(part):
        each.header["SUBSTRT1"] += columns.start
        each.header["SUBSTRT2"] += rows.start
    return part


def on_disk(exposure: Any) -> Any:
    """The same, with what has integrations on disk."""

    def stored(name: str, array: np.ndarray) -> Any:
        if not has_integrations(exposure, array):
            return array
        cube = Cube(array.shape, array.dtype)
        cube.write(0, array)
        return cube

    return changed(exposure, stored)
