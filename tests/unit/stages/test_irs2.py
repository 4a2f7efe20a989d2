"""Which samples of an interleaved read-out are pixels, and when they are read."""

from pathlib import Path

import numpy as np
import pytest
from ramps import make_ramp

from calwebbd.stages import scratch
from calwebbd.stages.exposure import Header, Subarray
from calwebbd.stages.irs2 import (
    FULL,
    Layout,
    by_sample,
    image_of,
    is_interleaved,
    pixel_rows,
    without_samples,
)

NRS1 = Header(FASTAXIS=2, SLOWAXIS=1)
NRS2 = Header(FASTAXIS=-2, SLOWAXIS=-1)
SMALL = Layout(cells=2, lines=3)


def test_the_read_out_of_nirspec_has_3200_samples_in_712_beats() -> None:
    assert (FULL.block, FULL.samples, FULL.slots, FULL.lines) == (640, 3200, 712, 2048)
    assert len(FULL.pixels) == 2048
    assert FULL.slots * FULL.lines == 1458176


def test_a_cell_has_four_reference_pixels_amid_sixteen_pixels() -> None:
    assert SMALL.interleaved.tolist() == [8, 9, 10, 11, 28, 29, 30, 31]
    assert len(SMALL.normal) == 32
    assert SMALL.pixels[0] == SMALL.block
    assert len(SMALL.pixels) == 4 * 32


def test_the_clock_goes_on_while_the_read_out_moves_to_reference_pixels_and_back() -> None:
    assert SMALL.slot[6:16].tolist() == [6, 7, 9, 10, 11, 12, 14, 15, 16, 17]
    assert SMALL.slot[20] == 22
    n, r = np.arange(512), np.arange(128)
    np.testing.assert_array_equal(FULL.slot[FULL.normal], n + 6 * ((n + 8) // 16))
    np.testing.assert_array_equal(FULL.slot[FULL.interleaved], r + 18 * (r // 4) + 9)


@pytest.mark.parametrize("header", [NRS1, NRS2])
def test_rows_of_the_image_are_those_of_its_samples(header: Header) -> None:
    array = np.arange(SMALL.samples)[:, None] * np.ones(SMALL.lines, int)
    rows = pixel_rows(header, SMALL)
    assert (np.diff(rows) > 0).all()
    samples = by_sample(array[rows], header)[:, 0]
    backwards = header is NRS2
    assert sorted(by_sample(array, header)[SMALL.pixels, 0]) == sorted(samples)
    assert (array[rows[0], 0] == SMALL.block) is not backwards


def test_the_view_by_sample_has_the_reference_output_first() -> None:
    array = np.arange(6).reshape(2, 3)  # two samples, three lines
    np.testing.assert_array_equal(by_sample(array, NRS1), array)
    np.testing.assert_array_equal(by_sample(array, NRS2), array[::-1, ::-1])


def test_an_exposure_is_interleaved_as_long_as_it_has_more_rows_than_the_detector() -> None:
    assert is_interleaved(make_ramp(np.zeros((1, 1, 3200, 2))))
    assert not is_interleaved(make_ramp(np.zeros((1, 1, 2048, 2))))
    assert image_of(Subarray(0, 0, 2048, 3200)) == Subarray(0, 0, 2048, 2048)


def test_what_is_left_without_samples_stays_in_the_same_memory() -> None:
    values = np.arange(2 * 3 * 5 * 2).reshape(2, 3, 5, 2)
    rows, expected = np.array([1, 4]), values[:, :, [1, 4]]
    cube = values.copy()
    small = without_samples(cube, rows)
    np.testing.assert_array_equal(small, expected)
    assert small is cube
    whole = np.stack([values, values])
    part = without_samples(whole[1], rows)
    np.testing.assert_array_equal(part, expected)
    assert np.shares_memory(part, whole)


def test_cubes_on_disk_lose_their_samples_too(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 5 * 2, dtype=np.float32).reshape(2, 3, 5, 2)
    with scratch.folder(tmp_path):
        cube = scratch.Cube(values.shape, np.float32)
        cube.write(0, values)
        small = without_samples(cube, np.array([1, 4]))
    np.testing.assert_array_equal(np.asarray(small), values[:, :, [1, 4]])
