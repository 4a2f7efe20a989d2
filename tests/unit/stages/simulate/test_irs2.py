"""NIRSpec's reference pixels between the others."""

import numpy as np
import pytest

from calwebbd.stages import flags
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.simulate import irs2
from calwebbd.stages.simulate.detectors import DETECTORS
from calwebbd.stages.simulate.effects import Effects
from calwebbd.stages.simulate.sensor import Sensor, make_sensor


@pytest.fixture(scope="module")
def sensor() -> Sensor:
    return make_sensor(DETECTORS["NRS2"], Subarray(0, 0, 2048, 2048), "N/A", 1)


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_turning_to_the_detector_twice_changes_nothing(detector: str) -> None:
    array = np.arange(24).reshape(2, 4, 3)
    turned = irs2.oriented(array, DETECTORS[detector])
    assert turned.shape == (2, 3, 4)
    np.testing.assert_array_equal(irs2.oriented(turned, DETECTORS[detector]), array)


def test_a_line_holds_2048_pixels_in_sets_with_four_reference_samples() -> None:
    assert irs2.PIXEL.size == 3200
    assert not irs2.PIXEL[:640].any()
    assert irs2.PIXEL[640:660].tolist() == [True] * 8 + [False] * 4 + [True] * 8
    assert irs2.PIXEL.sum() == 2048


def test_samples_are_read_one_after_the_other_and_a_set_takes_22_clocks() -> None:
    steps = np.diff(irs2.CLOCKS)
    assert set(steps) == {1, 2}
    assert irs2.CLOCKS[20] == 22
    assert irs2.CLOCKS[-1] < irs2.IRS2_LINE


def test_embedded_pixels_come_back_and_the_rest_is_filling(sensor: Sensor) -> None:
    pixels = np.arange(2048 * 2048, dtype=np.uint32).reshape(2048, 2048)
    frame = irs2.embed(pixels, np.full((3200, 2048), 7, np.uint32), sensor.detector)
    lines = irs2.oriented(frame, sensor.detector)
    np.testing.assert_array_equal(lines[:, irs2.PIXEL], irs2.oriented(pixels, sensor.detector))
    assert (lines[:, ~irs2.PIXEL] == 7).all()


def test_all_outputs_share_the_noise_that_the_reference_samples_show(sensor: Sensor) -> None:
    none = np.zeros((3200, 2048), np.float32)
    on = Effects.only(common_noise=20.0)
    frame = irs2.interleave(np.zeros((2048, 2048), np.float32), sensor, none, on, np.random.default_rng(1))
    lines = irs2.oriented(frame, sensor.detector)
    reference, pixel = lines[:, 640 * 2 + 8], lines[:, 640 * 2 + 7]
    assert np.corrcoef(reference, pixel)[0, 1] > 0.8
    assert frame.std() == pytest.approx(20, rel=0.1)


def test_filters_are_those_of_real_signals(sensor: Sensor) -> None:
    table = irs2.transfer(sensor)
    assert table.size == 2 * 712 * 2048
    alpha = table["alpha_2"][::2] + 1j * table["alpha_2"][1::2]
    np.testing.assert_allclose(alpha[1:], alpha[:0:-1].conj(), rtol=1e-6)


def test_two_reference_samples_of_a_line_are_bad(sensor: Sensor) -> None:
    dq = irs2.oriented(irs2.mask_dq(sensor), sensor.detector)
    assert ((dq & flags.BAD_REF_PIXEL) > 0).sum(axis=1).max() == 2
    assert (dq[:, :640] & flags.REFERENCE_PIXEL).all()
