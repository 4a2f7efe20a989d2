"""Random maps of a detector."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwebbd.stages.exposure import Subarray
from calwebbd.stages.simulate import fields
from calwebbd.stages.simulate.detectors import DETECTORS

OUTER = Subarray(100, 30, 80, 60)


@pytest.mark.parametrize("make", [fields.normal, fields.uniform, fields.smooth])
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 40), st.integers(0, 30))
def test_a_part_made_alone_equals_the_part_cut_out(make: Callable[..., np.ndarray], x: int, y: int) -> None:
    inner = Subarray(OUTER.x + x, OUTER.y + y, 20, 10)
    cut = make(OUTER, 1, "map")[y : y + 10, x : x + 20]
    np.testing.assert_array_equal(make(inner, 1, "map"), cut)


def test_names_and_seeds_give_independent_maps() -> None:
    first, other, third = (
        fields.normal(OUTER, seed, name).ravel() for seed, name in ((1, "a"), (1, "b"), (2, "a"))
    )
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.05
    assert abs(np.corrcoef(first, third)[0, 1]) < 0.05
    assert first.mean() == pytest.approx(0, abs=0.05)
    assert first.std() == pytest.approx(1, abs=0.05)


def test_reference_pixels_are_the_outer_four_lines_and_columns() -> None:
    corner = fields.reference_pixels(Subarray(0, 2040, 8, 8), DETECTORS["NRCA1"])
    assert corner[:, :4].all()
    assert corner[4:].all()
    assert not corner[:4, 4:].any()


def test_miri_has_reference_columns_only() -> None:
    corner = fields.reference_pixels(Subarray(1024, 1016, 8, 8), DETECTORS["MIRIMAGE"])
    assert corner[:, 4:].all()
    assert not corner[:, :4].any()
