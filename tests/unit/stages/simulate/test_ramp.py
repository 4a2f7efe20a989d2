"""Reading: frames, groups, integrations, with one effect at a time."""

import numpy as np
import pytest

from calwebbd.stages.simulate.detectors import DETECTORS
from calwebbd.stages.simulate.effects import Effects
from calwebbd.stages.simulate.nonlinearity import linearize
from calwebbd.stages.simulate.ramp import Raw, expose
from calwebbd.stages.simulate.readout import Readout, window
from calwebbd.stages.simulate.sensor import Sensor, make_sensor

RATE = 4000.0  #: e-/s


@pytest.fixture(scope="module")
def sensor() -> Sensor:
    detector = DETECTORS["NRCA1"]
    return make_sensor(detector, window(detector, "SUB64P"), "F200W", 1)


def read(sensor: Sensor, readout: Readout, effects: Effects, rate: float = RATE) -> Raw:
    return expose(np.full((64, 64), rate, np.float32), sensor, readout, effects, 1, "test")


def test_groups_of_single_frames_are_linear_in_time(sensor: Sensor) -> None:
    readout = Readout("SUB64P", "BRIGHT1", 4, 1)
    raw = read(sensor, readout, Effects.none())
    expected = RATE * readout.tframe * np.array([1, 3, 5, 7])
    np.testing.assert_allclose(raw.groups[0, :, 10, 10], expected, atol=0.5)
    assert raw.zeroframe is None
    assert (raw.groups[:, :, sensor.reference] == 0).all()


def test_averaged_groups_are_the_mean_of_their_frames_and_the_first_is_kept(sensor: Sensor) -> None:
    readout = Readout("SUB64P", "SHALLOW4", 3, 2)
    raw = read(sensor, readout, Effects.none())
    frames = np.array([[1, 2, 3, 4], [6, 7, 8, 9], [11, 12, 13, 14]])
    mean = np.rint(RATE * readout.tframe * frames).mean(axis=1)
    np.testing.assert_allclose(raw.groups[1, :, 10, 10], mean, atol=0.5)
    assert raw.zeroframe is not None
    np.testing.assert_array_equal(raw.zeroframe[:, 10, 10], np.rint(RATE * readout.tframe))


@pytest.mark.parametrize(
    ("effect", "undo"),
    [
        ("gain", lambda dn, s, t: dn * s.gain),
        ("bias", lambda dn, s, t: dn - s.bias),
        ("nonlinearity", lambda dn, s, t: linearize(dn.astype(np.float32), s.strength)),
        ("dark", lambda dn, s, t: dn - s.dark_signal(round(t), Readout("SUB64P", "RAPID", 1, 1).tframe)),
    ],
)
def test_what_one_effect_adds_its_step_takes_away(sensor: Sensor, effect: str, undo: object) -> None:
    readout = Readout("SUB64P", "RAPID", 5, 1)
    raw = read(sensor, readout, Effects.only(**{effect: True}), 40 * RATE)
    seen = ~sensor.reference
    for g in range(5):
        group = undo(raw.groups[0, g].astype(float), sensor, g + 1)  # type: ignore[operator]
        expected = 40 * RATE * readout.tframe * (g + 1)
        np.testing.assert_allclose(group[seen], expected, atol=1.3, err_msg=effect)
        clean = np.rint(expected)
        assert np.abs(raw.groups[0, g][seen] - clean).max() > 1, effect


def test_read_noise_has_the_width_of_the_reference(sensor: Sensor) -> None:
    effects = Effects.only(bias=True, read_noise=True)
    raw = read(sensor, Readout("SUB64P", "RAPID", 2, 100), effects)
    difference = np.diff(raw.groups.astype(float), axis=1)[:, 0]
    width = difference.std(axis=0) / sensor.noise
    assert np.median(width) == pytest.approx(1, abs=0.03)


def test_the_well_fills_and_stays_full(sensor: Sensor) -> None:
    raw = read(sensor, Readout("SUB64P", "RAPID", 6, 1), Effects.only(bias=True, saturation=True), 5e5)
    ramp = raw.groups[0, :, 20, 20].astype(float)
    assert ramp[0] < sensor.saturation[20, 20] < ramp[-1]
    assert ramp[-1] == ramp[-2]


def test_offsets_are_the_same_for_reference_pixels_and_light(sensor: Sensor) -> None:
    effects = Effects.only(bias=True, amplifier_offsets=20.0)
    raw = read(sensor, Readout("SUB64P", "RAPID", 3, 1), effects, 0.0)
    offset = raw.groups[0, 1] - sensor.bias
    for parity in (0, 1):
        assert np.ptp(offset[:, parity::2]) <= 1
    assert np.ptp(offset) > 2


def test_offsets_that_no_reference_pixel_could_measure_are_not_added() -> None:
    detector = DETECTORS["NRCA1"]
    inner = make_sensor(detector, window(detector, "SUB160"), "F200W", 1)
    rate = np.zeros((160, 160), np.float32)
    readout = Readout("SUB160", "RAPID", 2, 1)
    with_offsets = expose(rate, inner, readout, Effects.only(bias=True, amplifier_offsets=20.0), 1)
    without = expose(rate, inner, readout, Effects.only(bias=True), 1)
    np.testing.assert_array_equal(with_offsets.groups, without.groups)


def test_every_hit_is_a_jump_in_the_group_the_truth_says(sensor: Sensor) -> None:
    raw = read(sensor, Readout("SUB64P", "RAPID", 6, 3), Effects.only(cosmic_rays=0.02), 0.0)
    assert raw.hits.size > 20
    rebuilt = np.zeros(raw.groups.shape)
    for hit in raw.hits:
        rebuilt[hit["integration"], hit["group"] :, hit["y"], hit["x"]] += hit["electrons"]
    np.testing.assert_allclose(raw.groups, np.clip(np.rint(rebuilt), 0, 65535), atol=1)


def test_snowballs_are_listed_and_seen(sensor: Sensor) -> None:
    raw = read(sensor, Readout("SUB64P", "RAPID", 5, 4), Effects.only(snowballs=2.0, saturation=True), 0.0)
    assert raw.snowballs.size > 0
    for ball in raw.snowballs:
        y, x = min(round(float(ball["y"])), 63), min(round(float(ball["x"])), 63)
        if not sensor.reference[y, x]:
            assert raw.groups[ball["integration"], ball["group"], y, x] > 50000


def test_switching_one_effect_off_leaves_the_chances_of_the_others(sensor: Sensor) -> None:
    readout = Readout("SUB64P", "RAPID", 3, 1)
    both = read(sensor, readout, Effects.only(bias=True, read_noise=True, cosmic_rays=0.02))
    noise = read(sensor, readout, Effects.only(bias=True, read_noise=True))
    untouched = both.groups.astype(int) == noise.groups
    touched = {(int(hit["y"]), int(hit["x"])) for hit in both.hits}
    assert {(int(y), int(x)) for _, _, y, x in np.argwhere(~untouched)} <= touched


def test_integrations_are_independent(sensor: Sensor) -> None:
    effects = Effects()
    two = read(sensor, Readout("SUB64P", "RAPID", 2, 2), effects)
    one = read(sensor, Readout("SUB64P", "RAPID", 2, 1), effects)
    np.testing.assert_array_equal(one.groups[0], two.groups[0])
    assert (two.groups[0] != two.groups[1]).any()
