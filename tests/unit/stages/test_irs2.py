"""Which samples of an interleaved read-out are pixels, and when they are read."""

import numpy as np
import pytest
from ramps import apart, make_ramp

from calwebbd.stages.exposure import Header
from calwebbd.stages.irs2 import FULL, Layout, by_sample, is_interleaved, rows_of

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
    rows, others = rows_of(header, SMALL)
    assert (np.diff(rows) > 0).all()
    assert sorted([*rows, *others]) == list(range(SMALL.samples))
    samples = by_sample(array[rows], header)[:, 0]
    backwards = header is NRS2
    assert sorted(by_sample(array, header)[SMALL.pixels, 0]) == sorted(samples)
    assert (array[rows[0], 0] == SMALL.block) is not backwards


def test_the_view_by_sample_has_the_reference_output_first() -> None:
    array = np.arange(6).reshape(2, 3)  # two samples, three lines
    np.testing.assert_array_equal(by_sample(array, NRS1), array)
    np.testing.assert_array_equal(by_sample(array, NRS2), array[::-1, ::-1])


def test_an_exposure_is_interleaved_as_long_as_it_has_something_beside_its_image() -> None:
    ramp = make_ramp(np.zeros((1, 1, SMALL.samples, 2)), **NRS1)
    assert not is_interleaved(ramp)
    assert is_interleaved(apart(ramp, SMALL))
