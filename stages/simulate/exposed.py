"""One exposure of one detector: what it is called, where it looks, when it was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calwebbd.stages.exposure import Subarray
from calwebbd.stages.simulate.detectors import DETECTORS, Detector
from calwebbd.stages.simulate.distortion import transform
from calwebbd.stages.simulate.modes import Mode
from calwebbd.stages.simulate.pointing import Pointing
from calwebbd.stages.simulate.readout import Readout, window

START = 60310.25  #: MJD of the first exposure, 2024-01-01T06:00
DAY = 86400.0  #: s
PAUSE = 43.2  #: s between exposures
PROGRAM, OBSERVATION, VISIT, GROUP, SEQUENCE, ACTIVITY = "01234", "001", "001", "02", "1", "01"


@dataclass(frozen=True)
class Exposed:
    """One exposure of one detector, or one segment of it."""

    detector: Detector
    filter: str
    readout: Readout
    pointing: Pointing
    total: int  #: exposures of the visit
    mode: Mode
    segment: int = 1
    segments: int = 1
    first: int = 1  #: integration of the exposure that begins the segment, from 1
    last: int = 1

    @property
    def window(self) -> Subarray:
        return window(self.detector, self.readout.subarray)

    @property
    def aperture_centre(self) -> tuple[float, float]:
        """(V2, V3) of the middle of the subarray, arcsec."""
        return aperture_centre(self.detector, self.readout.subarray)

    @property
    def period(self) -> float:
        """s from one integration to the next: its frames and the reset."""
        return self.readout.integration_time + self.readout.tframe

    @property
    def start(self) -> float:
        """The exposures of a visit follow each other."""
        duration = self.readout.nints * self.period + PAUSE
        return START + (self.pointing.number - 1) * duration / DAY

    @property
    def name(self) -> str:
        """File name without suffix."""
        activity = f"{GROUP}{SEQUENCE}{ACTIVITY}_{self.pointing.number:05d}"
        segment = f"-seg{self.segment:03d}" if self.segments > 1 else ""
        visit = f"jw{PROGRAM}{OBSERVATION}{VISIT}"
        return f"{visit}_{activity}{segment}_{self.detector.name.lower()}"


def aperture_centre(detector: Detector, subarray: str) -> tuple[float, float]:
    """(V2, V3) of the middle of a subarray, arcsec."""
    place = window(detector, subarray)
    v2, v3 = transform(detector)(place.x + (place.nx - 1) / 2, place.y + (place.ny - 1) / 2)
    return float(v2), float(v3)


def target_point(detectors: Sequence[str], subarray: str) -> tuple[float, float]:
    """Where on the focal plane the target stands: the mean of the detectors' subarrays."""
    centres = [aperture_centre(DETECTORS[name], subarray) for name in detectors]
    v2, v3 = np.mean(centres, axis=0)
    return float(v2), float(v3)
