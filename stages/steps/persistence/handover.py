"""The file by which exposures of a detector hand on the windows that are still open.

An ASDF file with an entry for each detector: `rows`, `cols` and `vals` of the pixels with
a window, zero-based and in seconds since 1970, `pers_time`, and `filename` of the exposure
that wrote it; the reference pipeline reads and writes the same. `subarray` is ours: x, y
(zero-based), nx and ny of the exposure.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Subarray

Seconds = NDArray[np.float64]


def read_windows(path: Path, detector: str, subarray: Subarray, lasting: int, until: Seconds) -> None:
    """Put the ends of a detector's windows into `until`, (ny, nx), in place; none if it has no entry.

    Raises InputError for a file that cannot be read, and for windows of another duration or
    subarray than this exposure's.
    """
    entry = _read(path).get(detector)
    if entry is None:
        return

    def wrong(what: str) -> InputError:
        return InputError(f"persistence_array_file {path}: {detector}: {what}")

    try:
        rows, cols, vals = (np.asarray(entry[name]) for name in ("rows", "cols", "vals"))
        made_for, where = entry["pers_time"], list(entry.get("subarray", _corners(subarray)))
    except (KeyError, TypeError, AttributeError) as error:
        raise wrong(f"it has no {error}") from None
    if made_for != lasting:
        raise wrong(f"pers_time is {made_for} s, but persistence_time {lasting} s")
    if where != _corners(subarray):
        raise wrong(f"subarray (x, y, nx, ny) is {where}, but the exposure's {_corners(subarray)}")
    if not rows.shape == cols.shape == vals.shape:
        raise wrong(f"rows, cols and vals have {rows.size}, {cols.size} and {vals.size} values")
    for name, places, size in (("rows", rows, subarray.ny), ("cols", cols, subarray.nx)):
        outside = places[(places < 0) | (places >= size)]
        if outside.size:
            raise wrong(f"{name} has {outside[0]}, but the exposure {size}")
    until[rows, cols] = vals


def write_windows(
    path: Path, detector: str, subarray: Subarray, lasting: int, until: Seconds, filename: str
) -> None:
    """Put a detector's entry into the file, which may have others; a reader sees it before or after."""
    import asdf  # takes a second, and few want it

    rows, cols = np.nonzero(until)
    entry = {
        "filename": Path(filename).name,
        "rows": rows,
        "cols": cols,
        "vals": until[rows, cols],
        "pers_time": lasting,
        "subarray": _corners(subarray),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with _sole_writer(path.parent):
        tree = _read(path) if path.exists() else {}
        partial = path.with_name(f".{path.name}.part")
        asdf.AsdfFile({**tree, detector: entry}).write_to(partial)
        os.replace(partial, path)


def _corners(subarray: Subarray) -> list[int]:
    return [subarray.x, subarray.y, subarray.nx, subarray.ny]


def _read(path: Path) -> dict[str, Any]:
    """The entries by detector, in memory."""
    import asdf

    try:
        with asdf.open(path, lazy_load=False, memmap=False) as file:
            return {k: v for k, v in file.tree.items() if k not in ("asdf_library", "history")}
    except FileNotFoundError:
        raise InputError(f"persistence_array_file {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise InputError(f"persistence_array_file {path} cannot be read: {error}") from error


@contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Detectors are calibrated side by side, and may share a file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
