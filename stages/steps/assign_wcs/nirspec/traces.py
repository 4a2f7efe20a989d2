"""Where the spectra of apertures fall on the detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.steps.assign_wcs.imaging import Box
from calwebbd.stages.steps.assign_wcs.nirspec.apertures import Aperture, gwa_to_slit
from calwebbd.stages.steps.assign_wcs.nirspec.optics import LAST, Optics
from calwebbd.stages.transforms import Function, compiled, composed

Mask = NDArray[np.bool_]
STEP = 1e-10  # m, between the wavelengths at which a trace is followed
MARGIN_X, MARGIN_Y = 10, 2  # pixels around a trace


@dataclass(frozen=True)
class Trace:
    """The pixels that an aperture lights.

    box : around them, with margins; pixels of the subarray
    x, y : first pixel of `lit`
    lit : (ny, nx), where a wavelength belongs to the pixel
    """

    box: Box
    x: int
    y: int
    lit: Mask

    def add_to(self, mask: Mask) -> None:
        """Set these pixels in a mask of the subarray."""
        part = mask[self.y : self.y + self.lit.shape[0], self.x : self.x + self.lit.shape[1]]
        part |= self.lit[: part.shape[0], : part.shape[1]]

    def add_box_to(self, mask: Mask) -> None:
        """Set all pixels of the box."""
        (x1, x2), (y1, y2) = self.box
        mask[_nearest(y1) : _nearest(y2), _nearest(x1) : _nearest(x2)] = True


def detector_to_slit(aperture: Aperture, optics: Optics) -> Any:
    """(x, y) of the subarray to (x, y in the aperture, λ), m."""
    return optics.detector_to_sca | optics.sca_to_gwa | gwa_to_slit(aperture, optics)


@np.errstate(invalid="ignore")  # directions that no light can have become NaN
def trace(aperture: Aperture, optics: Optics) -> Trace | None:
    """Follow an aperture's ends through the wavelengths, and see which pixels between them have one.

    None if that misses the detector. Source: specification spec2 §2.
    """
    to_slit = gwa_to_slit(aperture, optics)
    x, y = edges(composed([compiled(to_slit.inverse), optics.landing]), aperture, optics)
    box = around(x, y)
    (x1, x2), (y1, y2) = box
    if x1 >= LAST + 1 or y1 >= LAST + 1 or x2 <= 0 or y2 <= 0 or x2 - x1 < 2 or y2 - y1 < 1:
        return None
    columns = np.arange(_nearest(x1), np.ceil(x2 - 0.5) + 1)
    rows = np.arange(_nearest(y1), np.ceil(y2 - 0.5) + 1)
    places = composed([optics.arriving, compiled(to_slit)])
    lit = np.isfinite(places(*np.meshgrid(columns, rows))[2])
    if lit.any():
        box = around(x, rows[lit.any(axis=1)])
    lit &= _within(columns, box[0]) & _within(rows, box[1])[:, None]
    return Trace(box, int(columns[0]), int(rows[0]), lit)


def edges(
    to_detector: Function, aperture: Aperture, optics: Optics
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels (x, y) of both ends of an aperture at all wavelengths."""
    low, high = optics.wavelengths
    waves = np.linspace(low, high, int((high - low) / STEP))
    y = np.repeat([aperture.ymin, aperture.ymax], waves.size)
    x, y = to_detector(np.zeros(y.size), y, np.tile(waves, 2))
    return x, y


def around(x: NDArray[np.float64], y: NDArray[np.float64]) -> Box:
    """The box of these pixels with its margins, within the detector. Its low margins are a pixel wider."""
    low = (max(0, float(v.min()) - 1 - m) - 0.5 for v, m in ((x, MARGIN_X), (y, MARGIN_Y)))
    high = (min(LAST, float(v.max()) - 1 + m) + 0.5 for v, m in ((x, MARGIN_X), (y, MARGIN_Y)))
    (x1, y1), (x2, y2) = low, high
    return (x1, x2), (y1, y2)


def _nearest(edge: float) -> int:
    """The pixel that begins at an edge or lies around it."""
    return int(np.floor(edge + 0.5))


def _within(values: NDArray[np.float64], limits: tuple[float, float]) -> Mask:
    return np.asarray((values >= limits[0]) & (values <= limits[1]))
