"""What only MIRI does to a frame, and what undoes it."""

import numpy as np
import pytest

from calwebbd.stages.simulate import miri
from calwebbd.stages.simulate.detectors import DETECTORS
from calwebbd.stages.simulate.effects import Effects
from calwebbd.stages.simulate.nonlinearity import linearize
from calwebbd.stages.simulate.ramp import Raw, expose
from calwebbd.stages.simulate.readout import CLOCK, Readout, window
from calwebbd.stages.simulate.sensor import Sensor, make_sensor

READOUT = Readout("SUB64", "FASTR1", 5, 2)


@pytest.fixture(scope="module")
def sensor() -> Sensor:
    detector = DETECTORS["MIRIMAGE"]
    return make_sensor(detector, window(detector, "SUB64"), "F770W", 1)


def read(sensor: Sensor, rate: float = 0.0, **effects: bool | float) -> Raw:
    light = np.full(sensor.reference.shape, rate, np.float32)
    return expose(light, sensor, READOUT, Effects.only(bias=True, **effects), 1, "test")


def test_the_reset_reference_and_a_short_decay_are_all_that_follows_a_reset(sensor: Sensor) -> None:
    raw, quiet = read(sensor, reset=True), read(sensor)
    level = miri.reset_level(sensor)
    for i in range(2):
        for g in range(5):
            added = raw.groups[i, g].astype(float) - quiet.groups[i, g] - level * miri.reset_decay(i, g)
            assert np.abs(added - added.mean()).max() < 1.1
            if g >= miri.SKIP:
                assert np.abs(added).max() < 1.1


def test_only_the_last_group_of_an_integration_is_disturbed(sensor: Sensor) -> None:
    difference = read(sensor, last_frame=True).groups.astype(int) - read(sensor).groups
    assert not difference[:, :-1].any()
    rows = difference[:, -1].mean(axis=(0, 2))
    assert set(np.rint(rows)) == {miri.LAST_ODD, miri.LAST_EVEN}


def test_linearity_sees_the_bias_with_the_signal(sensor: Sensor) -> None:
    raw = read(sensor, 9e4, nonlinearity=True, gain=True)
    linear = linearize(raw.groups[0].astype(np.float32), sensor.strength) - sensor.bias
    seconds = READOUT.tframe * np.arange(1, 6)[:, None, None]
    expected = np.broadcast_to(9e4 * seconds / sensor.gain, linear.shape)
    np.testing.assert_allclose(linear[:, ~sensor.reference], expected[:, ~sensor.reference], atol=1.2)


def test_the_interference_runs_through_rows_groups_and_the_reset_between_integrations(sensor: Sensor) -> None:
    phases = np.array([0.3])
    wave = miri.interference(sensor, READOUT, phases, 1, 2)
    y, x, frames = 40, 33, 1 * (5 + 1) + 2
    clocks = y * READOUT.row_clocks + x // 4 + frames * READOUT.frame_clocks
    phase = 0.3 + clocks * CLOCK * miri.FREQUENCIES["Hz10"]
    assert wave[y, x] == pytest.approx(float(miri.wave(np.array(phase))), abs=1e-5)
    np.testing.assert_array_equal(wave[:, 32:36], np.repeat(wave[:, 32:33], 4, axis=1))


def test_the_dark_settles_by_less_after_the_first_integration(sensor: Sensor) -> None:
    first, later = sensor.dark_signal(30, 0.1), sensor.dark_signal(30, 0.1, integration=1)
    seen = ~sensor.reference
    assert (first[seen] > later[seen]).all()
    np.testing.assert_array_equal(sensor.dark_signal(30, 0.1, integration=2), later)


def test_the_reference_output_is_a_quarter_as_tall(sensor: Sensor) -> None:
    refout = read(sensor).refout
    assert refout is not None
    assert refout.shape == (2, 5, 16, 72)
    assert refout.std() == pytest.approx(miri.REFERENCE_NOISE, rel=0.05)
