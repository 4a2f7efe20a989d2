"""Schematic spectra."""

import numpy as np
import pytest

from calwebbd.stages.simulate.detectors import DETECTORS
from calwebbd.stages.simulate.readout import Readout, window
from calwebbd.stages.simulate.sensor import Sensor, make_sensor
from calwebbd.stages.simulate.spectra import DARK_EDGE, PATTERNS, brightness, illumination


def sensor(name: str, subarray: str) -> Sensor:
    detector = DETECTORS[name]
    return make_sensor(detector, window(detector, subarray), "N/A", 1)


@pytest.mark.parametrize("light", PATTERNS)
def test_spectra_have_dark_ends(light: str) -> None:
    image = illumination(light, sensor("MIRIMAGE", "SUB64"), 1)
    assert image.shape == (64, 72)
    image = image.T if PATTERNS[light].vertical else image
    assert not image[:, :DARK_EDGE].any()
    assert not image[:, -DARK_EDGE:].any()
    assert image.max() > 0.1


def test_a_dark_is_dark() -> None:
    assert not illumination("dark", sensor("NIS", "SUB80"), 1).any()


def test_a_spectrum_runs_along_its_axis() -> None:
    across = illumination("dispersed", sensor("MIRIMAGE", "SLITLESSPRISM"), 1)
    brightest = across[DARK_EDGE:-DARK_EDGE].argmax(axis=1)
    assert np.ptp(brightest) == 0


def test_the_scale_fills_the_well_by_the_end_of_the_ramp() -> None:
    nirspec, readout = sensor("NRS1", "SUB512"), Readout("SUB512", "NRSRAPID", 10, 1)
    measured = brightness(nirspec, readout) * readout.integration_time / nirspec.gain_factor
    assert measured == pytest.approx(0.7 * (60000 - 13000))
