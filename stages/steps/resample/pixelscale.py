"""How large pixels are on the sky."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray
from spherical_geometry.polygon import SphericalPolygon

from calwebbd.stages.errors import InputError

SPACING = 15  #: pixels between vertices of an outline, so that distortion does not matter


def local_scale(wcs: Any, sky: Sequence[float]) -> float:
    """Geometric mean of the lengths of unit steps in x and y at a place (ra, dec), degrees a pixel."""
    x, y = wcs.invert(*sky, with_bounding_box=False)
    ra, dec = wcs(np.array([x, x + 1, x]), np.array([y, y, y + 1]), with_bounding_box=False)
    places = SkyCoord(ra, dec, unit="deg")
    return float(np.sqrt(places[0].separation(places[1]).value * places[0].separation(places[2]).value))


def mean_scale(wcs: Any, shape: tuple[int, ...]) -> float:
    """Square root of the mean area of pixels, degrees a pixel.

    shape : (ny, nx)

    The mean is taken between the outermost pixel centres of the bounding box, moved
    inwards while any of them has no place on the sky. Raises InputError if none has.
    Source: specification image2 §6.1.
    """
    x1, x2, y1, y2 = _centres(wcs, shape)
    while x1 < x2 and y1 < y2:
        outline = rectangle(x1, x2, y1, y2)
        ra, dec = wcs(*outline)
        finite = np.isfinite(ra) & np.isfinite(dec)
        if finite.all():
            centre = wcs(0.5 * (x1 + x2), 0.5 * (y1 + y2))
            area = float(SphericalPolygon.from_radec(ra, dec, center=centre).area())
            area = min(area, 4 * np.pi - area)
            return float(np.rad2deg(np.sqrt(area / ((x2 - x1) * (y2 - y1)))))
        x1, x2, y1, y2 = _shrink(outline[:, ~finite], x1, x2, y1, y2)
    raise InputError("the WCS gives no place on the sky to the pixels in its bounding box")


def rectangle(x1: int, x2: int, y1: int, y2: int) -> NDArray[np.float64]:
    """(2, n) points along the sides of a rectangle, counter-clockwise from its lower left corner."""
    width, height = x2 - x1, y2 - y1
    nx = int(np.ceil((width + 1) / (min(width // 4, SPACING) or width + 1)))
    ny = int(np.ceil((height + 1) / (min(height // 4, SPACING) or height + 1)))
    across, up = np.linspace(x1, x2, nx, endpoint=False), np.linspace(y1, y2, ny, endpoint=False)
    back, down = np.linspace(x2, x1, nx, endpoint=False), np.linspace(y2, y1, ny, endpoint=False)
    x = np.concatenate([across, np.full(ny, x2), back, np.full(ny, x1)])
    y = np.concatenate([np.full(nx, y1), up, np.full(nx, y2), down])
    return np.stack([x, y])


def _centres(wcs: Any, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """First and last pixel within the bounding box, in x and in y."""
    ny, nx = shape
    box = ((-0.5, nx - 0.5), (-0.5, ny - 0.5))
    if wcs.bounding_box is not None:
        box = wcs.bounding_box.bounding_box(order="F")
    (x1, x2), (y1, y2) = (sorted(edges) for edges in box)
    first = max(0, int(x1 + 0.5)), max(0, int(y1 + 0.5))
    last = min(nx - 1, int(x2 - 0.5)), min(ny - 1, int(y2 - 0.5))
    return first[0], last[0], first[1], last[1]


def _shrink(bad: NDArray[np.float64], x1: int, x2: int, y1: int, y2: int) -> tuple[int, int, int, int]:
    """Move the sides that hold bad points one pixel inwards."""
    x, y = bad
    left, right = int((x == x1).any()), int((x == x2).any())
    return x1 + left, x2 - right, y1 + int((y == y1).any()), y2 - int((y == y2).any())
