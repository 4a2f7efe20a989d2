"""The file by which exposures of a detector hand on the windows that are still open.

An ASDF file with an entry for each detector: `rows`, `cols` and `vals` of the pixels with
a window, zero-based and in seconds since 1970, `pers_time`, and `filename` of the exposure
that wrote it; the reference pipeline reads and writes the same. Two members are ours: `subarray`, the
x, y (zero-based), nx and ny to which rows and columns belong; and `elsewhere`, with rows, cols and vals
of the rest of the detector, which was not read but has been handed on to the exposure. Of an exposure
that reads stripes all windows are there, and `subarray` is None.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.readout import SIZE
from calwebbd.stages.stripes import Stripes

Seconds = NDArray[np.float64]
Places = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]  # rows, columns, values


def read_windows(
    path: Path, detector: str, subarray: Subarray, lasting: int, until: Seconds
) -> Seconds | None:
    """Put the ends of a detector's windows into `until`, (ny, nx), in place; none if it has no entry.

    Windows of another subarray are put where their pixels are. Returns those of the whole detector,
    (2048, 2048), if there are any beside those of the exposure. Windows that another `persistence_time`
    has made are given this one, in seconds.

    Raises InputError for a file that cannot be read or makes no sense.
    """
    entry = _read(path).get(detector)
    if entry is None:
        return None

    def wrong(what: str) -> InputError:
        return InputError(f"persistence_array_file {path}: {detector}: {what}")

    try:
        own, made_for = _places(entry), entry["pers_time"]
        where = entry.get("subarray", _corners(subarray))
        elsewhere = _places(entry["elsewhere"]) if "elsewhere" in entry else None
        within = None if where is None else Subarray(*map(int, where))
        longer = float(lasting - made_for)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise wrong(f"it has no {error}") from None
    if "subarray" not in entry or (elsewhere is None and where == _corners(subarray)):
        _put(own, until, wrong)
        until[until > 0] += longer
        return None
    whole = np.zeros((SIZE, SIZE))
    if within is not None:
        _put((own[0] + within.y, own[1] + within.x, own[2]), whole, wrong)
    if elsewhere is not None:
        _put(elsewhere, whole, wrong)
    whole[whole > 0] += longer
    until[:] = whole[np.ix_(subarray.rows, subarray.columns)]
    return whole


def write_windows(
    path: Path,
    detector: str,
    subarray: Subarray,
    lasting: int,
    until: Seconds,
    filename: str,
    whole: Seconds | None = None,
) -> None:
    """Put a detector's entry into the file, which may have others; a reader sees it before or after.

    whole : (2048, 2048), the windows of the whole detector that were handed to the exposure; those of its
        own pixels are replaced
    """
    import asdf  # takes a second, and few want it

    striped = isinstance(subarray, Stripes)
    entry = {"filename": Path(filename).name, "pers_time": lasting}
    entry |= _pixels(until) | {"subarray": None if striped else _corners(subarray)}
    if striped or whole is not None:
        rest = np.zeros((SIZE, SIZE)) if whole is None else whole.copy()
        place = np.ix_(subarray.rows, subarray.columns)
        rest[place] = 0.0
        if striped:
            np.maximum.at(rest, place, until)  # a line may have been read several times
        if rest.any():
            entry["elsewhere"] = _pixels(rest)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _sole_writer(path.parent):
        tree = _read(path) if path.exists() else {}
        partial = path.with_name(f".{path.name}.part")
        asdf.AsdfFile({**tree, detector: entry}).write_to(partial)
        os.replace(partial, path)


def any_open(path: Path) -> bool:
    """Whether there is a window in a file."""
    places = (place for entry in _read(path).values() for place in (entry, entry.get("elsewhere")) if place)
    return any(len(place["vals"]) for place in places)


def _pixels(until: Seconds) -> dict[str, Any]:
    rows, cols = np.nonzero(until)
    return {"rows": rows, "cols": cols, "vals": until[rows, cols]}


def _places(entry: Any) -> Places:
    rows, cols, vals = (np.asarray(entry[name]) for name in ("rows", "cols", "vals"))
    return rows, cols, vals


def _put(places: Places, until: Seconds, wrong: Callable[[str], InputError]) -> None:
    """Raises InputError for places that are not of these pixels."""
    rows, cols, vals = places
    if not rows.shape == cols.shape == vals.shape:
        raise wrong(f"rows, cols and vals have {rows.size}, {cols.size} and {vals.size} values")
    for name, found, size in (("rows", rows, until.shape[0]), ("cols", cols, until.shape[1])):
        outside = found[(found < 0) | (found >= size)]
        if outside.size:
            raise wrong(f"{name} has {outside[0]}, but the exposure {size}")
    until[rows, cols] = vals


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
