"""Schematic spectra on a detector: enough light, and dark, of the right shape for stage 1.

Intensity is relative: 1 fills a good part of the well by the end of the ramp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float, Subarray
from calwebbd.stages.simulate import fields
from calwebbd.stages.simulate.readout import Readout
from calwebbd.stages.simulate.sensor import Sensor

FILLING: Final = 0.7  #: of the well, by intensity 1
LINES: Final = 12  #: in each spectrum, up or down
DARK_EDGE: Final = 8  #: pixels at both ends of a spectrum that get no light


@dataclass(frozen=True)
class Pattern:
    """Spectra side by side.

    count : of them, evenly across the window; every other one is fainter
    width : sigma of a spectrum across its length, pixels
    vertical : whether wavelength runs along y
    bow : how far its middle lies from its ends, pixels
    sky : intensity of the background
    """

    count: int
    width: float
    vertical: bool = False
    bow: float = 2.0
    sky: float = 0.01


PATTERNS: Final = {
    "slit": Pattern(1, 1.0),
    "prism": Pattern(1, 1.0, bow=0.0, sky=0.0),
    "slices": Pattern(30, 5.0, bow=8.0),
    "orders": Pattern(2, 8.0, bow=40.0),
    "channels": Pattern(22, 3.0, vertical=True, bow=5.0),
    "dispersed": Pattern(1, 1.4, vertical=True, bow=0.0, sky=0.02),
}


def illumination(light: str, sensor: Sensor, seed: int) -> Float:
    """(ny, nx) intensity; zero for "dark"."""
    shape = sensor.reference.shape
    if light == "dark":
        return np.zeros(shape, np.float32)
    pattern, window = PATTERNS[light], sensor.window
    if pattern.vertical:
        window = Subarray(window.y, window.x, window.ny, window.nx)
    length, breadth = window.nx, window.ny
    along, across = np.arange(length), np.arange(breadth)[:, None]
    image = np.full((breadth, length), pattern.sky, np.float32)
    arc = pattern.bow * (1 - (2 * along / length - 1) ** 2)
    for k in range(pattern.count):
        centre = (k + 0.5) * breadth / pattern.count + arc - pattern.bow / 2
        profile = np.exp(-0.5 * ((across - centre) / pattern.width) ** 2)
        strength = 0.4 if k % 2 else 1.0
        image += (strength * profile * spectrum(length, seed, sensor.detector.name, light, k)).astype(
            np.float32
        )
    lit = (along >= DARK_EDGE) & (along < length - DARK_EDGE)
    return np.ascontiguousarray((image * lit).T if pattern.vertical else image * lit)


def spectrum(length: int, *names: str | int) -> NDArray[np.float64]:
    """(length,) a smooth continuum with lines, about 1 at the most."""
    rng = fields.stream(*names, "spectrum")
    x = np.arange(length)
    out = 0.55 + 0.35 * np.sin(np.pi * (x / length) ** 0.7)
    for depth, place, width in zip(
        rng.uniform(-0.3, 0.3, LINES), rng.uniform(0, length, LINES), rng.uniform(1.5, 4, LINES), strict=True
    ):
        out += depth * np.exp(-0.5 * ((x - place) / width) ** 2)
    return np.clip(out, 0.02, None)


def brightness(sensor: Sensor, readout: Readout) -> float:
    """DN/s of intensity 1, in rate products: of the gain in full frame."""
    well = sensor.detector.full_well - sensor.detector.bias
    return FILLING * well * sensor.gain_factor / readout.integration_time
