"""The frame of thermal light around NIRSpec's detectors."""

from __future__ import annotations

from typing import Final

import numpy as np

from calwebbd.stages.exposure import Float
from calwebbd.stages.simulate import fields
from calwebbd.stages.simulate.sensor import Sensor

EDGE: Final = 0.02  #: DN/s, at the edge of the detector
REACH: Final = 60.0  #: pixels, in which it falls
GLOW: Final = 0.0015  #: DN/s rms, of the smooth rest


def picture_frame(sensor: Sensor) -> Float:
    """(ny, nx) DN/s; none on reference pixels."""
    (height, width), (y, x) = sensor.detector.shape, fields.pixels(sensor.window)
    below, beside = np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x)
    distance = np.minimum(below[:, None], beside)
    glow = fields.smooth(sensor.window, sensor.seed, sensor.detector.name, "picture frame")
    return np.where(sensor.reference, 0, EDGE * np.exp(-distance / REACH) + GLOW * glow).astype(np.float32)
