"""Reference pixels of stripes, known by their flag wherever the pattern has read them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ramps import make_stripes, same_for_any_threads

from calwebbd.stages.flags import DO_NOT_USE, REFERENCE_PIXEL
from calwebbd.stages.steps.refpix import refpix
from calwebbd.stages.steps.refpix.amplifiers import RefPixParams
from calwebbd.stages.steps.refpix.stripes import correct_stripes

SIZE = 16  # of a tiny detector: four amplifiers of four columns
ODD_EVEN = RefPixParams()
TOGETHER = RefPixParams(odd_even_columns=False)
DRIFTS = 10.0 * (np.arange(SIZE) // 4) + np.arange(SIZE) % 2  # of amplifiers, and of odd columns


def corrected(
    plane: np.ndarray, usable: np.ndarray, params: RefPixParams = ODD_EVEN, first: int = 0
) -> np.ndarray:
    planes = plane[None].astype(np.float32)
    correct_stripes(planes, usable, first, params, size=SIZE)
    return np.asarray(planes[0])


def rows(usable: int, of: int, nx: int = SIZE) -> np.ndarray:
    mask = np.zeros((of, nx), bool)
    mask[usable] = True
    return mask


def test_each_amplifier_and_parity_has_a_level_of_its_own() -> None:
    plane = np.tile(DRIFTS, (3, 1))
    plane[1:] += 7
    np.testing.assert_array_equal(corrected(plane, rows(0, 3)), [[0] * SIZE, [7] * SIZE, [7] * SIZE])


def test_odd_and_even_columns_may_share_a_level() -> None:
    plane = np.tile(DRIFTS, (2, 1))
    np.testing.assert_array_equal(corrected(plane, rows(0, 2), TOGETHER)[0], [-0.5, 0.5] * 8)


def test_reference_pixels_in_any_row_count() -> None:
    plane = np.tile(DRIFTS, (3, 1))
    usable = np.zeros(plane.shape, bool)
    usable[1, :8], usable[2, 8:] = True, True
    np.testing.assert_array_equal(corrected(plane, usable), np.zeros(plane.shape))


def test_an_amplifier_without_one_of_its_levels_is_left_alone() -> None:
    plane = np.tile(DRIFTS, (2, 1))
    usable = rows(0, 2)
    usable[:, 5::2] &= np.arange(5, SIZE, 2) >= 8  # no odd column of the second amplifier
    result = corrected(plane, usable)
    np.testing.assert_array_equal(result[:, 4:8], plane[:, 4:8])
    assert not result[:, [0, 1, 2, 3, *range(8, SIZE)]].any()


def test_amplifiers_begin_where_they_do_on_the_detector() -> None:
    plane = np.tile(DRIFTS[6:12], (2, 1))
    np.testing.assert_array_equal(corrected(plane, rows(0, 2, 6), first=6), np.zeros(plane.shape))


def test_without_reference_pixels_nothing_changes() -> None:
    plane = np.tile(DRIFTS, (2, 1))
    np.testing.assert_array_equal(corrected(plane, np.zeros(plane.shape, bool)), plane)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=4, max_size=4))
def test_drifts_of_amplifiers_do_not_matter(levels: list[float]) -> None:
    plane = np.tile(np.repeat(levels, 4), (3, 1))
    plane[1:] += 5
    np.testing.assert_allclose(corrected(plane, rows(0, 3))[1:], 5, atol=1e-3)


@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (-1, -2), (2, 1), (-2, -1)])
def test_stripes_lie_as_they_were_read(fast: int, slow: int) -> None:
    """In detector orientation the first line has reference pixels, on whose level the others lie."""
    image = np.array([[1, 2, 1, 2], [8, 9, 8, 9], [8, 9, 8, 9]], np.float32)
    dq = np.zeros(image.shape, np.uint32)
    dq[0] = REFERENCE_PIXEL
    image[0, 2], dq[0, 2] = 1e4, REFERENCE_PIXEL | DO_NOT_USE

    def science(array: np.ndarray) -> np.ndarray:
        array = array[:: 1 if slow > 0 else -1, :: 1 if fast > 0 else -1]
        return array.T if abs(fast) == 2 else array

    ramp = make_stripes(
        science(image)[None, None], zeroframe=science(image)[None], FASTAXIS=fast, SLOWAXIS=slow,
        SUBSTRT1=1, SUBSTRT2=1, MSTR_RD1=1, MSTR_RD2=2,
    )  # fmt: skip
    ramp.pixeldq[:] = science(dq)
    light = science(dq) == 0
    y, x = np.argwhere(light)[0]
    ramp.zeroframe[0, y, x] = 0  # type: ignore[index]
    result = refpix(ramp)
    assert (result.sci[0, 0][light] == 7).all()
    assert result.zeroframe[0, y, x] == 0
    assert (result.zeroframe[0][light] == 7).sum() == light.sum() - 1


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = np.random.default_rng(3).normal(size=(7, 5, SIZE)).astype(np.float32)

    def work() -> tuple[np.ndarray]:
        copy = planes.copy()
        correct_stripes(copy, rows(1, 5), 0, ODD_EVEN, size=SIZE)
        return (copy,)

    same_for_any_threads(monkeypatch, work)
