"""Arrays too large for memory: kept in a file without a name, read and written a part at a time.

Plain reads and writes, not a mapping: mapped pages would count as memory of the
process, and cost more to come by than their data to copy.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from calwebbd.stages import pages
from calwebbd.stages.memory import AT_ONCE as AT_ONCE
from calwebbd.stages.threads import in_threads

PIECE = 8 << 20  # bytes that a thread copies at once
SAMPLE = 6  # bytes: value and flags, and a little
MOST = 1024  # pieces of memory that the system reads into, or writes, at once
FILES = 4  # that have the planes of a cube by turns: threads that write to one file wait for each other

_folder: list[Path] = []  # where cubes are kept, the innermost last


@contextmanager
def folder(path: Path) -> Iterator[None]:
    """Keep cubes in this folder, which should be on a disk, not in memory, as long as the context lasts."""
    _folder.append(path)
    try:
        yield
    finally:
        _folder.pop()


class Cube:
    """An array on disk, worked on a few of its first axis, a few rows, or a window at a time.

    shape : (n, ..., ny, nx)
    source : fills an array with the planes from ``start`` on until they have been written; without
        one they are zero
    band : rows of all images of a plane that lie together in the file
    It vanishes with the object, or with the process.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        source: Callable[[int, NDArray[Any]], None] | None = None,
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.band = _rows_together(shape)
        self._source = source
        self._written = np.full(shape[0], source is None)
        self._folder = _folder[-1] if _folder else None
        self._files: list[int] = []
        self._making = Lock()

    def _place(self, n: int) -> tuple[int, int]:
        """Where plane `n` begins: file, and bytes. Whichever thread is first makes them."""
        planes = len(self) if self.ndim > 2 else 1
        size = self.nbytes // planes
        count = min(FILES, planes)
        with self._making:
            while len(self._files) < count:
                file, name = tempfile.mkstemp(dir=self._folder)
                os.unlink(name)
                weakref.finalize(self, os.close, file)
                os.ftruncate(file, size * -(-planes // count))
                self._files.append(file)
        return self._files[n % count], n // count * size

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """The planes of the first axis, to be read; each comes in the memory of the one before."""
        room = self.room(1, of=len(self))
        return (self.read(n, n + 1, room)[0] for n in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it, in memory."""
        return self.read(0, len(self)).astype(dtype or self.dtype, copy=False)

    def room(self, count: int, *, of: int) -> NDArray[Any]:
        """Memory to read `count` of `of` planes, or rows of all planes, into, again and again."""
        return pages.empty((prod(self.shape) // of * count,), self.dtype)

    def read(self, start: int, stop: int, room: NDArray[Any] | None = None) -> NDArray[Any]:
        """Planes ``start:stop`` of the first axis, as an array of their own, or in this room."""
        out = self._array((stop - start, *self.shape[1:]), room)
        if self._source and not self._written[start:stop].any():
            self._source(start, out)
        else:
            self._settle(start, stop)
            self._move(os.preadv, out, *self._from(start))
        return out

    def write(self, start: int, planes: NDArray[Any]) -> None:
        """Put planes back from `start` on."""
        self._move(os.pwritev, np.ascontiguousarray(planes, self.dtype), *self._from(start))
        self._written[start : start + len(planes)] = True

    def read_rows(self, start: int, stop: int, room: NDArray[Any] | None = None) -> NDArray[Any]:
        """Rows ``start:stop`` of every plane: (n, ..., stop - start, nx)."""
        return self.read_window(slice(start, stop), slice(0, self.shape[-1]), room)

    def write_rows(self, start: int, rows: NDArray[Any]) -> None:
        """Put rows of every plane back from `start` on."""
        self.write_window(start, 0, rows)

    def read_window(self, rows: slice, columns: slice, room: NDArray[Any] | None = None) -> NDArray[Any]:
        """Some columns of some rows of every plane: (n, ..., rows, columns)."""
        self._settle(0, len(self))
        size = rows.stop - rows.start, columns.stop - columns.start
        out = self._array((*self.shape[:-2], *size), room)
        self._move(os.preadv, out, 0, rows.start, columns.start)
        return out

    def write_window(self, top: int, left: int, window: NDArray[Any]) -> None:
        """Put a window of every plane back, its first pixel at row `top` and column `left`."""
        self._settle(0, len(self))
        self._move(os.pwritev, np.ascontiguousarray(window, self.dtype), 0, top, left)

    def _from(self, start: int) -> tuple[int, int]:
        """First plane and row of what begins at `start` of the first axis: of one image, its rows."""
        return (start, 0) if self.ndim > 2 else (0, start)

    def _array(self, shape: tuple[int, ...], room: NDArray[Any] | None) -> NDArray[Any]:
        return pages.empty(shape, self.dtype) if room is None else room[: prod(shape)].reshape(shape)

    def _settle(self, start: int, stop: int) -> None:
        """Write what has only been in the source, as much at once as there may be in memory."""
        many = at_once(len(self), self)
        for first in range(start, stop, many):
            last = min(first + many, stop)
            missing = first + np.flatnonzero(~self._written[first:last])
            for run in np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1):
                if self._source and run.size:
                    planes = np.empty((run.size, *self.shape[1:]), self.dtype)
                    self._source(int(run[0]), planes)
                    self.write(int(run[0]), planes)

    def _move(
        self, call: Callable[..., int], window: NDArray[Any], first: int = 0, top: int = 0, left: int = 0
    ) -> None:
        """Move a window of as many planes as it has, from the files or into them."""
        ny, nx = self.shape[-2:]
        height, width = window.shape[-2:]
        images = prod(self.shape[1:-2])  # of a plane
        size = self.dtype.itemsize
        line, row = nx * size, width * size
        memory = window.reshape(-1).view(np.uint8).data

        def one(n: int) -> None:
            file, begin = self._place(first + n)
            pieces = range(n * images * height * row, (n + 1) * images * height * row, height * row)
            for start in range(top - top % self.band, top + height, self.band):
                stop = min(start + self.band, ny)
                low, high = max(start, top), min(stop, top + height)
                views = [memory[p + (low - top) * row : p + (high - top) * row] for p in pieces]
                offset = begin + images * start * line
                if (low, high, width) == (start, stop, nx):
                    _transfer(call, file, offset, views)
                    continue
                for image, view in enumerate(views):
                    pixel = offset + (image * (stop - start) + low - start) * line + left * size
                    run = len(view) if width == nx else row
                    for k in range(0, len(view), run):
                        _transfer(call, file, pixel + k // row * line, [view[k : k + run]])

        if window.size:
            _each(one, len(window) if self.ndim > 2 else 1, window.nbytes)


def _rows_together(shape: tuple[int, ...]) -> int:
    """Rows of a band, such that those of samples and flags of a ramp are as many as may be in memory."""
    row = prod(shape[:-2]) * shape[-1] * SAMPLE
    return max(1, min(shape[-2], AT_ONCE // row)) if len(shape) > 3 and row else shape[-2]


def _each(one: Callable[[int], None], count: int, nbytes: int) -> None:
    """Call it with each number, in threads, as many at a time as have a PIECE of all these bytes."""
    many = max(1, PIECE * count // max(nbytes, 1))

    def some(start: int, stop: int) -> None:
        for n in range(start, stop):
            one(n)

    in_threads([partial(some, n, min(n + many, count)) for n in range(0, count, many)])


def _transfer(call: Callable[..., int], descriptor: int, offset: int, views: list[memoryview]) -> None:
    """Move what lies together in the file, from `offset` on, from memory or into it."""
    while views:
        done = call(descriptor, views[:MOST], offset)
        if not done:
            raise OSError("the scratch file ends too early")
        offset += done
        moved = 0
        while moved < len(views) and len(views[moved]) <= done:
            done -= len(views[moved])
            moved += 1
        views = views[moved:]
        if done:
            views[0] = views[0][done:]


def cube(shape: tuple[int, ...], dtype: DTypeLike, *, on_disk: bool) -> Any:
    """An array in memory, its values undefined, or a cube on disk."""
    return Cube(shape, dtype) if on_disk else np.empty(shape, dtype)


def zeros(shape: tuple[int, ...], dtype: DTypeLike, *, on_disk: bool) -> Any:
    return Cube(shape, dtype) if on_disk else np.zeros(shape, dtype)


def plane(array: Any, n: int) -> NDArray[Any]:
    """One plane of the first axis, to be read only."""
    found: NDArray[Any] = array.read(n, n + 1)[0] if isinstance(array, Cube) else array[n]
    return found


def rows(array: Any, start: int, stop: int) -> NDArray[Any]:
    """Rows of every plane, to be read only."""
    found: NDArray[Any] = (
        array.read_rows(start, stop) if isinstance(array, Cube) else array[..., start:stop, :]
    )
    return found


def put(array: NDArray[Any] | Cube) -> Cube:
    """The array on disk."""
    if isinstance(array, Cube):
        return array
    stored = Cube(array.shape, array.dtype)
    stored.write(0, array)
    return stored


def in_parts(*arrays: Any, each: int | None = None) -> Iterator[tuple[NDArray[Any], ...]]:
    """Some planes of the first axis of each array at a time, to be changed in place.

    each : how many; None for all of arrays in memory, and of cubes as many as `AT_ONCE` allows
    What becomes of them is kept when the next are asked for, which may come in the same memory.
    """
    count = len(arrays[0])
    each = each or at_once(count, *arrays)
    rooms = _rooms(arrays, min(each, count), count)
    for start in range(0, count, each):
        stop = min(start + each, count)
        parts = tuple(
            a.read(start, stop, room) if isinstance(a, Cube) else a[start:stop]
            for a, room in zip(arrays, rooms, strict=True)
        )
        yield parts
        for array, part in zip(arrays, parts, strict=True):
            if isinstance(array, Cube):
                array.write(start, part)


def in_bands(*arrays: Any, change: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """Some rows of every plane at a time: their numbers, and these rows of each array.

    arrays : to be read; change : arrays that may be changed in place, which is kept when the
        next rows are asked for
    All rows at once of arrays in memory, of cubes as many as `AT_ONCE` allows.
    """
    every = (*arrays, *change)
    ny = every[0].shape[-2]
    each = min([at_once(ny, *every), *(array.band for array in every if isinstance(array, Cube))])
    rooms = _rooms(every, each, ny)
    for start in range(0, ny, each):
        rows = slice(start, min(start + each, ny))
        bands = tuple(
            a.read_rows(start, rows.stop, room) if isinstance(a, Cube) else a[..., rows, :]
            for a, room in zip(every, rooms, strict=True)
        )
        yield rows, *bands
        for array, band in zip(every[len(arrays) :], bands[len(arrays) :], strict=True):
            if isinstance(array, Cube):
                array.write_rows(start, band)


def _rooms(arrays: Iterable[Any], count: int, of: int) -> list[NDArray[Any] | None]:
    return [a.room(count, of=of) if isinstance(a, Cube) else None for a in arrays]


@contextmanager
def window(arrays: Mapping[str, Any], rows: slice, columns: slice) -> Iterator[dict[str, NDArray[Any]]]:
    """A window of each array (..., ny, nx), to be changed in place, which is kept at the end.

    Of arrays in memory the rows have all their columns, as they lie together.
    """
    found = {
        name: a.read_window(rows, columns) if isinstance(a, Cube) else a[..., rows, :]
        for name, a in arrays.items()
    }
    yield found
    for name, array in arrays.items():
        if isinstance(array, Cube):
            array.write_window(rows.start, columns.start, found[name])


def at_once(count: int, *arrays: Any) -> int:
    """Of so many planes or rows, how many of the arrays may be in memory together; all, if all are there."""
    stored = sum(array.nbytes for array in arrays if isinstance(array, Cube))
    return max(1, AT_ONCE * count // stored) if stored > AT_ONCE else max(1, count)
