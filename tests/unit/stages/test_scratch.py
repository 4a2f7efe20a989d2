"""Cubes on disk: what is written is read, in whatever pieces."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from calwebbd.stages import scratch
from calwebbd.stages.scratch import Cube, in_bands, in_parts
from calwebbd.stages.threads import in_threads

SHAPE = (5, 3, 7, 4)
VALUES = np.arange(5 * 3 * 7 * 4, dtype=np.float32).reshape(SHAPE)


def filled() -> Cube:
    """Bands of two rows, the last of one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch, "AT_ONCE", 2 * 5 * 3 * 4 * scratch.SAMPLE)
        cube = Cube(SHAPE, np.float32)
    assert cube.band == 2
    cube.write(0, VALUES)
    return cube


def test_a_new_cube_is_zero_and_has_its_shape() -> None:
    cube = Cube((2, 3), np.uint8)
    assert (len(cube), cube.ndim, cube.nbytes) == (2, 2, 6)
    assert not np.asarray(cube).any()


@given(st.integers(0, 4), st.integers(1, 5))
def test_planes_come_back_as_they_were_written(start: int, count: int) -> None:
    stop = min(start + count, 5)
    assert np.array_equal(filled().read(start, stop), VALUES[start:stop])


@given(st.integers(0, 6), st.integers(1, 7))
def test_rows_of_all_planes_come_back_as_they_were_written(start: int, count: int) -> None:
    stop = min(start + count, 7)
    cube = filled()
    rows = cube.read_rows(start, stop)
    assert np.array_equal(rows, VALUES[..., start:stop, :])
    cube.write_rows(start, -rows)
    expected = VALUES.copy()
    expected[..., start:stop, :] *= -1
    assert np.array_equal(np.asarray(cube), expected)


def test_planes_come_from_the_source_until_they_are_written() -> None:
    def fill(start: int, out: NDArray[Any]) -> None:
        out[:] = VALUES[start : start + len(out)]

    cube = Cube(SHAPE, np.float32, fill)
    cube.write(1, np.zeros((2, 3, 7, 4)))
    expected = VALUES.copy()
    expected[1:3] = 0
    assert np.array_equal(cube.read(0, 5), expected)
    assert np.array_equal(cube.read_rows(2, 4), expected[..., 2:4, :])


@pytest.mark.parametrize("stored", [True, False])
def test_changes_of_parts_are_kept(stored: bool) -> None:
    array = filled() if stored else VALUES.copy()
    sizes = []
    for (part,) in in_parts(array, each=2):
        sizes.append(len(part))
        part += 1
    assert sizes == [2, 2, 1]
    assert np.array_equal(np.asarray(array), VALUES + 1)


def test_arrays_in_memory_are_worked_on_as_a_whole() -> None:
    ((rows, band, other),) = in_bands(VALUES, change=(VALUES,))
    assert rows == slice(0, 7)
    assert np.shares_memory(band, VALUES)
    assert np.shares_memory(other, VALUES)
    assert [len(part) for (part,) in in_parts(VALUES)] == [5]


def test_bands_of_cubes_cover_their_rows_once_and_changes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "AT_ONCE", 1400)
    read, changed = filled(), filled()
    seen = []
    for rows, band, other in in_bands(read, change=(changed,)):
        seen.append(rows)
        other += band
    assert seen == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 7)]
    assert np.array_equal(np.asarray(changed), 2 * VALUES)
    assert np.array_equal(np.asarray(read), VALUES)


def test_cubes_leave_no_file(tmp_path: Path) -> None:
    with scratch.folder(tmp_path):
        cube = filled()
    assert np.asarray(cube).sum() == VALUES.sum()
    assert not list(tmp_path.iterdir())


@given(st.integers(0, 6), st.integers(1, 7), st.integers(0, 3), st.integers(1, 4))
def test_windows_come_back_as_they_were_written(top: int, height: int, left: int, width: int) -> None:
    rows, columns = slice(top, min(top + height, 7)), slice(left, min(left + width, 4))
    cube, expected = filled(), VALUES.copy()
    part = cube.read_window(rows, columns)
    assert np.array_equal(part, VALUES[..., rows, columns])
    cube.write_window(rows.start, columns.start, -part)
    expected[..., rows, columns] *= -1
    assert np.array_equal(np.asarray(cube), expected)


def test_a_window_is_kept_at_the_end_in_memory_and_on_disk() -> None:
    memory, disk = VALUES.copy(), filled()
    for array in (memory, disk):
        with scratch.window({"a": array}, slice(2, 4), slice(0, 4)) as found:
            found["a"][:] = 7
    assert np.array_equal(np.asarray(disk), memory)
    assert (memory[..., 2:4, :] == 7).all()


def test_a_file_is_made_once_by_however_many_threads() -> None:
    cube = Cube((64, 2, 2), np.float32)
    in_threads([partial(cube.write, n, np.full((1, 2, 2), n, np.float32)) for n in range(64)])
    assert np.array_equal(np.asarray(cube)[:, 0, 0], np.arange(64))


def test_a_read_that_is_cut_short_goes_on_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    cube, read, pieces = filled(), os.preadv, set()

    def short(descriptor: int, views: list[memoryview], offset: int) -> int:
        pieces.add(len(views))
        return read(descriptor, [views[0][:13]], offset)

    monkeypatch.setattr(os, "preadv", short)
    monkeypatch.setattr(scratch, "MOST", 2)
    assert np.array_equal(cube.read(0, 5), VALUES)
    assert pieces == {1, 2}
