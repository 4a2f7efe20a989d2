from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ramps import interpreted
from scipy import ndimage

from calwebbd.stages.flags import DO_NOT_USE, JUMP_DET, SATURATED
from calwebbd.stages.kernels import regions
from calwebbd.stages.steps.jump.params import JumpParams
from calwebbd.stages.steps.jump.regions import Ellipses, find_ellipses
from calwebbd.stages.steps.jump.snowballs import flag_snowballs


def plane(text: str) -> np.ndarray:
    """JUMP_DET where there is an x."""
    return np.array([[JUMP_DET * (c == "x") for c in row] for row in text.split()], np.uint8)


def disc(ny: int, nx: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:ny, :nx]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


def one(ellipses: Ellipses) -> tuple[float, ...]:
    assert len(ellipses) == 1
    return tuple(
        float(v[0]) for v in (ellipses.x, ellipses.y, ellipses.minor, ellipses.major, ellipses.angle)
    )


def test_a_single_pixel_has_axes_of_minus_one() -> None:
    assert one(find_ellipses(plane("... ..x"), JUMP_DET, 1)) == (2.0, 1.0, -1.0, -1.0, -45.0)


def test_a_column_of_pixels_lies_along_y_and_a_row_along_x() -> None:
    # variance of three pixels in a line: 2/3; full axis 4 √(2/3) - 1
    long = 4 * np.sqrt(2 / 3) - 1
    assert one(find_ellipses(plane("x.. x.. x.."), JUMP_DET, 3)) == (0.0, 1.0, -1.0, pytest.approx(long), 0.0)
    assert one(find_ellipses(plane("xxx"), JUMP_DET, 3))[:4] == (1.0, 0.0, -1.0, pytest.approx(long))
    assert abs(one(find_ellipses(plane("xxx"), JUMP_DET, 3))[4]) == pytest.approx(90.0)


def test_pixels_that_touch_at_a_corner_belong_together() -> None:
    assert one(find_ellipses(plane("x.. .x. ..x"), JUMP_DET, 3))[4] == pytest.approx(45.0)
    assert len(find_ellipses(plane("x.x ... x.x"), JUMP_DET, 1)) == 4


def test_regions_do_not_touch_across_the_ends_of_rows() -> None:
    assert len(find_ellipses(plane("..x x.. ..."), JUMP_DET, 1)) == 2


def test_holes_count_as_area() -> None:
    ring = plane("xxxx x..x x..x xxxx")
    assert len(find_ellipses(ring, JUMP_DET, 16)) == 1
    assert len(find_ellipses(ring, JUMP_DET, 17)) == 0
    assert len(find_ellipses(plane("xxxx x..x x..x xxx."), JUMP_DET, 15)) == 0  # open at a corner


def test_pixels_that_had_the_bit_before_are_left_out() -> None:
    before, after = plane("xx. ..."), plane("xx. ..x")
    assert one(find_ellipses(after, JUMP_DET, 1, before=before))[:2] == (2.0, 1.0)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9))
@settings(max_examples=30, deadline=None)
def test_regions_are_those_of_scipy(seed: int, density: float) -> None:
    image = (np.random.default_rng(seed).random((12, 17)) < density).astype(np.uint8)
    points, labels, number = regions.label(image, image, np.uint8(1), False)
    expected, count = ndimage.label(image, np.ones((3, 3)))
    assert number == count
    np.testing.assert_array_equal(labels, expected.ravel()[points] - 1)


def test_labels_are_the_same_in_python() -> None:
    image = (np.random.default_rng(1).random((12, 17)) < 0.3).astype(np.uint8)
    with interpreted(regions.label) as function:
        for a, b in zip(function(image, image, 1, False), regions.label(image, image, 1, False), strict=True):
            np.testing.assert_array_equal(a, b)


def ellipse(x: float, y: float, minor: float, major: float, angle: float) -> Ellipses:
    return Ellipses(*(np.array([v]) for v in (x, y, minor, major, angle)))


def test_a_circle_is_drawn_with_rounded_radius_and_centre() -> None:
    rows, columns, inside = ellipse(10.4, 9.5, 0, 0, -45).draw(0, 6.2, 6.2, (20, 20))
    drawn = np.zeros((20, 20), bool)
    drawn[rows, columns] = inside
    np.testing.assert_array_equal(drawn, disc(20, 20, 10, 10, 3))


def test_an_ellipse_is_drawn_along_its_major_axis_and_cut_at_the_edge() -> None:
    rows, columns, inside = ellipse(5, 1, 0, 0, 90).draw(0, 4, 10, (20, 20))
    assert np.argwhere(inside).max(axis=0).tolist() == [2, 9]
    assert (rows.start, columns.start) == (0, 0)
    assert inside[1, 1:10].all()
    assert inside[:, 5].tolist() == [True, True, True, *[False] * 6]


def test_half_axes_of_nothing_draw_nothing() -> None:
    assert not ellipse(5, 5, 0, 0, 0).draw(0, 0.9, 10, (20, 20))[2].any()


def test_containment_is_of_the_ellipse_mirrored_about_the_diagonal() -> None:
    along_y = ellipse(0, 0, 2, 10, 0)
    assert along_y.contain_any(np.array([4.0]), np.array([0.0])).tolist() == [True]
    assert along_y.contain_any(np.array([0.0]), np.array([4.0])).tolist() == [False]
    assert along_y.contain_any(np.zeros(0), np.zeros(0)).tolist() == [False]
    assert ellipse(0, 0, 0, 0, 0).contain_any(np.array([0.0]), np.array([0.0])).tolist() == [False]


NY, NX = 90, 80


def event(*, core: float, nints: int = 1, at: int = 2, y: int = 45, x: int = 40) -> np.ndarray:
    """Flags of a jump of radius 4 in group `at` of the first of 5-group integrations, with a core."""
    flags = np.zeros((nints, 5, NY, NX), np.uint8)
    flags[0, at, disc(NY, NX, y, x, 4.5)] = JUMP_DET
    flags[0, at:, disc(NY, NX, y, x, core)] = SATURATED
    return flags


def expand(flags: np.ndarray, **params: Any) -> int:
    return flag_snowballs(flags, 10.0, JumpParams(expand_large_events=True, **params))


def test_a_jump_with_a_saturated_core_grows_with_its_core() -> None:
    flags = event(core=2.5)
    assert expand(flags) == 1
    # 69 pixels with a hole of 21; the axes by second moments, then doubled
    drawn = flags[0, 2] != 0
    assert drawn[45, 40 - 8 : 40 + 9].all()
    assert not drawn[45, 40 + 12]
    core = flags[0, 2] == SATURATED
    np.testing.assert_array_equal(core, disc(NY, NX, 45, 40, 4))  # axis 3.9 + 4, half of it rounded
    for g in (3, 4):
        np.testing.assert_array_equal(flags[0, g], core * np.uint8(SATURATED))
    assert not flags[0, :2].any()


def test_a_jump_without_a_core_stays_unless_none_is_required_or_the_edge_is_near() -> None:
    flags = event(core=0)
    before = flags.copy()
    assert expand(flags) == 0
    np.testing.assert_array_equal(flags, before)
    assert expand(flags, sat_required_snowball=False) == 1
    assert (flags != 0).sum() > (before != 0).sum()
    assert expand(event(core=0, x=20)) == 1
    assert expand(event(core=0, x=20), edge_size=10) == 0


def test_a_core_that_saturates_one_group_later_counts() -> None:
    flags = event(core=0)
    flags[0, 3:, 45, 40] = SATURATED
    assert expand(flags) == 1
    assert expand(event(core=0, at=4)) == 0


def test_small_jumps_and_small_cores_stay() -> None:
    flags = event(core=1.5)
    assert expand(flags, min_jump_area=70) == 0
    assert (flags[0, 2] == SATURATED).sum() == 9  # a core of 3 × 3: axis 4 √(2/3) - 1 = 2.3


def test_ellipses_are_no_larger_than_allowed() -> None:
    flags = event(core=2.5)
    expand(flags, expand_factor=9.0, max_extended_radius=6)
    assert np.flatnonzero(flags[0, 2, 45]).tolist() == list(range(35, 46))


def test_saturated_pixels_get_no_jump_but_unusable_ones_do() -> None:
    flags = event(core=2.5)
    flags[0, :, 45, 46] = SATURATED
    flags[0, :, 45, 34] = DO_NOT_USE
    expand(flags)
    assert flags[0, 2, 45, 46] == SATURATED
    assert flags[0, 2, 45, 34] == DO_NOT_USE | JUMP_DET


@pytest.mark.parametrize(("seconds", "last"), [(4000, 5), (35, 3), (9, 0)])
def test_the_core_is_flagged_in_the_next_integration_for_a_while(seconds: int, last: int) -> None:
    flags = event(core=2.5, nints=3)
    expand(flags, snowball_time_masked_next_int=seconds)
    masked = disc(NY, NX, 45, 40, 2) * np.uint8(JUMP_DET)  # axis 3.9, half of it rounded
    for g in range(5):
        np.testing.assert_array_equal(flags[1, g], masked * (1 <= g < last))
    assert not flags[2].any()


def test_cores_may_be_forgotten() -> None:
    flags = event(core=2.5, nints=2)
    expand(flags, mask_snowball_core_next_int=False)
    assert not flags[1].any()


def test_without_flags_there_are_no_snowballs() -> None:
    assert expand(np.zeros((2, 3, 8, 8), np.uint8)) == 0
