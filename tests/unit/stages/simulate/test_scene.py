"""Sources and their images."""

import numpy as np
import pytest
from astropy.table import Table

from calwebbd.stages.simulate import fields, pointing, scene
from calwebbd.stages.simulate.detectors import DETECTORS, FILTERS
from calwebbd.stages.simulate.readout import window
from calwebbd.stages.simulate.sensor import make_sensor

OFFSETS = np.arange(-60, 61)


@pytest.mark.parametrize("shift", [0.0, 0.3, -0.5])
def test_a_star_keeps_its_light_wherever_it_stands_in_a_pixel(shift: float) -> None:
    light = scene.star(OFFSETS - shift, OFFSETS.astype(float), 2.1)
    assert light.sum() == pytest.approx(1, abs=2e-3)
    assert (light * (OFFSETS - shift)).sum() == pytest.approx(0, abs=1e-2)


def test_a_galaxy_keeps_its_light() -> None:
    light = scene.galaxy(OFFSETS.astype(float), OFFSETS.astype(float), 6.0, 0.5, 0.7, 2.1)
    assert light.sum() == pytest.approx(1, abs=1e-2)


def test_encircled_energy_grows_to_one() -> None:
    energy = scene.encircled_energy(np.array([0.0, 1.0, 3.0, 1e4]), 2.1)
    assert energy[0] == 0
    assert (np.diff(energy) > 0).all()
    assert energy[-1] == pytest.approx(1, abs=1e-4)


def test_magnitudes_are_what_photom_makes_of_the_counts() -> None:
    detector, filter = DETECTORS["NRCA1"], FILTERS["F200W"]
    sensor = make_sensor(detector, window(detector, "SUB160"), "F200W", 1)
    table = Table({"abmag": [20.0], "colour": [0.0], "radius": [0.0], "ratio": [1.0], "angle": [0.0]})
    rate = scene.count_rate(table, sensor, np.array([80.0]), np.array([80.0]), sky=False)
    megajansky = rate.sum() * filter.photmjsr * scene.solid_angle(detector)
    assert -2.5 * np.log10(megajansky / 3631e-6) == pytest.approx(20, abs=0.01)


def test_an_empty_sky_is_the_background_on_every_pixel() -> None:
    detector = DETECTORS["NRCALONG"]
    sensor = make_sensor(detector, window(detector, "SUB64P"), "F444W", 1)
    none = np.zeros(0)
    table = Table(dict.fromkeys(("abmag", "colour", "radius", "ratio", "angle"), none))
    np.testing.assert_allclose(
        scene.count_rate(table, sensor, none, none, sky=True), sensor.area * (0.45 / 0.40), rtol=1e-6
    )


def test_sources_keep_apart_and_every_box_gets_its_number() -> None:
    boxes = [scene.Box((0, 10), (0, 10)), scene.Box((50, 55), (0, 5))]
    att = pointing.attitude(0, 0, 10, 0, 0)
    table = scene.make_scene(boxes, att, 20, 20.0, fields.stream(1))
    v2, v3 = pointing.from_sky(att, np.asarray(table["ra"]), np.asarray(table["dec"]))
    distance = np.hypot(v2[:, None] - v2, v3[:, None] - v3) + 1e3 * np.eye(len(v2))
    assert distance.min() >= scene.SEPARATION - 1e-6
    assert ((v2 < 11).sum(), (v2 > 49).sum()) == (20, 20)
    assert set(np.flatnonzero(table["radius"])) == {11, 23, 35}
