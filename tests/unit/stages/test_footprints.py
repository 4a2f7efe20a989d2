import numpy as np
import pytest

from calwebbd.stages import footprints

SQUARE = [(10.0, -1.0), (10.0, 1.0), (12.0, 1.0), (12.0, -1.0)]


def test_a_polygon_is_written_with_nine_decimals() -> None:
    assert footprints.write([[(1, 2), (3.0000000004, -4)]]) == (
        "POLYGON ICRS  1.000000000 2.000000000 3.000000000 -4.000000000"
    )


def test_what_was_written_is_read_back() -> None:
    polygons = [np.array(SQUARE), np.array([(0.125, 0), (0, 0.5), (359.5, 0)])]
    for back, polygon in zip(footprints.parse(footprints.write(polygons)), polygons, strict=True):
        np.testing.assert_array_equal(back, polygon)


def test_an_empty_region_has_no_polygons() -> None:
    assert footprints.parse("") == []


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="CIRCLE"):
        footprints.parse("CIRCLE ICRS 1 2 3")
