from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import placed_image

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Image, Mosaic
from calwebbd.stages.steps.wfs_combine import combined, wfs_combine
from calwebbd.stages.steps.wfs_combine.refine import correlated, fill
from calwebbd.stages.steps.wfs_combine.shift import offset, overlap, shifted


def pair(dx: int, dy: int, sci: Any = None, size: int = 6) -> tuple[Image, Image]:
    """Two views of one scene: what the first has at [y, x] the second has at [y + dy, x + dx]."""
    scene = np.ones((3 * size, 3 * size)) if sci is None else sci
    first = placed_image(scene[size : 2 * size, size : 2 * size], (2, 2))
    there = np.s_[size - dy : 2 * size - dy, size - dx : 2 * size - dx]
    return first, placed_image(scene[there], (2 + dx, 2 + dy))


def star(size: int, x: float, y: float) -> Any:
    yy, xx = np.mgrid[: 3 * size, : 3 * size]
    return 100 * np.exp(-((xx - size - x) ** 2 + (yy - size - y) ** 2) / 8)


@settings(max_examples=10, deadline=None)
@given(st.integers(-3, 3), st.integers(-3, 3))
def test_the_offset_is_that_of_the_pointings(dx: int, dy: int) -> None:
    assert offset(*pair(dx, dy)) == (dx, dy)


@given(st.integers(-7, 7), st.integers(-7, 7))
def test_a_shift_takes_each_pixel_to_its_place(dx: int, dy: int) -> None:
    array = np.arange(1, 31).reshape(5, 6)
    out = shifted(array, dx, dy, 0)
    for (y, x), value in np.ndenumerate(out):
        inside = 0 <= y + dy < 5 and 0 <= x + dx < 6
        assert value == (array[y + dy, x + dx] if inside else 0)
    here, there = overlap(out, array, dx, dy)
    np.testing.assert_array_equal(here, there)


def test_good_pixels_are_averaged_and_bad_ones_replaced() -> None:
    dq = [np.array(bits, np.uint32) for bits in ([[0, 0, 1, 5]], [[4, 1, 2, 3]])]
    values = [np.array(v, np.float32) for v in ([[1, 1, 1, 1]], [[3, 3, 3, 3]])]
    sci, err, flagged = combined((values[0], values[1], dq[0]), (values[1], values[0], dq[1]))
    np.testing.assert_array_equal(sci, [[2, 1, 3, 0]])
    np.testing.assert_array_equal(err, [[2, 3, 1, 0]])
    np.testing.assert_array_equal(flagged, [[0, 0, 2, 5]])


@pytest.mark.parametrize(("dx", "dy"), [(2, -1), (-2, 1), (0, 3)])
def test_a_flat_scene_stays_flat_to_the_edges(dx: int, dy: int) -> None:
    made: Mosaic = wfs_combine(list(pair(dx, dy)))
    np.testing.assert_array_equal(made.sci, np.ones((6, 6)))
    assert made.dq is not None
    assert not made.dq.any()


def test_the_image_at_lower_x_is_the_first_unless_told_otherwise() -> None:
    first, second = pair(-2, 0)
    assert wfs_combine([first, second]).wcs is second.wcs
    assert wfs_combine([first, second], flip_dithers=False).wcs is first.wcs


def test_a_star_is_where_the_first_image_has_it() -> None:
    first, second = pair(2, 1, star(6, 3, 3))
    made = wfs_combine([first, second])
    np.testing.assert_allclose(made.sci, first.sci, rtol=1e-6)


def test_the_star_itself_corrects_a_wrong_pointing() -> None:
    first, second = pair(5, 3, star(60, 30, 30), size=60)
    second.wcs = pair(3, 4, size=60)[1].wcs
    made = wfs_combine([first, second], do_refine=True, psf_size=20, blur_size=3)
    np.testing.assert_allclose(made.sci[:50, :50], first.sci[:50, :50], atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(-4, 4), st.integers(-4, 4))
def test_correlation_finds_the_shift(dx: int, dy: int) -> None:
    scene = star(20, 10, 10)
    there = scene[20 - dy : 50 - dy, 20 - dx : 50 - dx]
    assert correlated(scene[20:50, 20:50], there) == pytest.approx((dx, dy), abs=0.1)


def test_bad_pixels_are_filled_from_their_neighbours() -> None:
    y, x = np.mgrid[:9, :9].astype(float)
    plane = 2 * x + 3 * y
    bad = np.zeros((9, 9), bool)
    bad[4, 4] = True
    np.testing.assert_allclose(fill(np.where(bad, 99, plane), bad, 2), plane)
    bad[4, 4], bad[8, 8] = False, True
    assert fill(np.where(bad, 99, plane), bad, 2)[8, 8] == plane[7, 7]


def test_two_images_of_one_shape_are_needed() -> None:
    first, second = pair(1, 1)
    with pytest.raises(InputError, match="not 1"):
        wfs_combine([first])
    with pytest.raises(InputError, match="different shapes"):
        wfs_combine([first, placed_image(np.ones((3, 3)))])
    second.wcs = pair(99, 0, star(200, 1, 1), size=200)[1].wcs
    with pytest.raises(InputError, match="nothing in common"):
        wfs_combine([first, second], do_refine=True, blur_size=1)
