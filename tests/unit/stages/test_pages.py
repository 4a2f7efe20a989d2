"""Large arrays begin where a huge page does."""

import numpy as np
import pytest

from calwebbd.stages import pages


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.float64])
@pytest.mark.parametrize("shape", [(3, 1 << 10, 1 << 11), (5,), (0, 4)])
def test_arrays_have_their_shape_and_can_be_written(shape: tuple[int, ...], dtype: type) -> None:
    array = pages.empty(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    array[...] = 1
    assert array.flags.c_contiguous
    assert array.sum() == array.size


def test_large_arrays_begin_with_a_huge_page() -> None:
    for n in range(5):
        assert pages.empty(((5 << 20) + n,), np.uint8).ctypes.data % pages.HUGE == 0
