import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calwebbd.stages.ordering import sort

VALUES = st.floats(width=32, allow_nan=False)


@settings(deadline=None)  # the kernel may have to be loaded
@given(arrays(np.float32, st.integers(0, 50), elements=VALUES))
def test_values_of_either_sign_and_infinities_are_sorted(values: np.ndarray) -> None:
    expected = np.sort(values)
    sort(values)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("values", [np.array([2.0, 1.0]), np.array([2, 9, 1, 9], np.float32)[::2]])
def test_values_that_the_kernel_does_not_take_are_sorted_as_well(values: np.ndarray) -> None:
    sort(values)
    assert list(values) == [1, 2]
