"""Pixels to the focal plane and back."""

import numpy as np
import pytest

from calwebbd.stages.exposure import Subarray
from calwebbd.stages.simulate.detectors import DETECTORS
from calwebbd.stages.simulate.distortion import pixel_area, transform


@pytest.mark.parametrize("name", DETECTORS)
def test_the_inverse_is_good_to_a_ten_thousandth_of_a_pixel(name: str) -> None:
    model = transform(DETECTORS[name])
    ny, nx = DETECTORS[name].shape
    x, y = np.meshgrid(np.linspace(-0.5, nx - 0.5, 23), np.linspace(-0.5, ny - 0.5, 23))
    back = model.inverse(*model(x, y))
    assert np.abs(np.subtract(back, (x, y))).max() < 1e-4


def test_the_middle_of_the_detector_is_its_reference_point() -> None:
    detector = DETECTORS["NRCB4"]
    np.testing.assert_allclose(transform(detector)(1023.5, 1023.5), (detector.v2, detector.v3), rtol=1e-12)


def test_lines_bend_by_pixels_not_by_arcseconds() -> None:
    detector = DETECTORS["NRCA1"]
    edge = np.array(transform(detector)([0.0, 1023.5, 2047.0], [0.0, 0.0, 0.0]))
    bend = np.linalg.norm(edge[:, 1] - edge[:, [0, 2]].mean(axis=1)) / detector.scale[0]
    assert 0.05 < bend < 20


def test_the_area_of_a_pixel_is_its_size_on_the_sky() -> None:
    detector = DETECTORS["NRCALONG"]
    model = transform(detector)
    a, b, c = (np.array(model(*p)) for p in ((299.5, 499.5), (300.5, 499.5), (299.5, 500.5)))
    (ax, ay), (bx, by) = b - a, c - a
    area = abs(ax * by - ay * bx) / np.prod(detector.scale)
    assert pixel_area(detector, Subarray(300, 500, 1, 1))[0, 0] == pytest.approx(area, rel=1e-5)
