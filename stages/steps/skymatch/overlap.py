"""Which pixels of one image lie in another one, on the sky."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Image

Mask = NDArray[np.bool_]
Vertices = NDArray[np.float64]  # (n, 2): x, y; the last is the first


@dataclass(frozen=True)
class Footprint:
    """The outline of an image on the sky.

    polygon : spherical
    centre, radius : of a circle around it; unit vector and radians
    """

    polygon: Any
    centre: NDArray[np.float64]
    radius: float

    def is_far_from(self, other: Footprint) -> bool:
        """True if the circles are apart; intersecting polygons takes a thousand times longer."""
        return bool(_angle(self.centre, other.centre) > self.radius + other.radius)


def footprint(image: Image, stepsize: int | None = None) -> Footprint:
    """The footprint of an image, through the corners of its array.

    stepsize : distance of further vertices along each side, at most, pixels

    Raises InputError if the image has no WCS, or is several integrations.
    """
    if image.wcs is None:
        raise InputError("the exposure has no WCS: assign_wcs has not run", file=image.file)
    if image.by_integration:
        raise InputError("skymatch takes exposures, not integrations", file=image.file)
    from spherical_geometry.polygon import SphericalPolygon

    ny, nx = image.sci.shape
    x, y = _border(ny, nx, stepsize)
    ra, dec = image.wcs(x, y, with_bounding_box=False)
    ra[-1], dec[-1] = ra[0], dec[0]
    lon, lat = np.deg2rad(ra), np.deg2rad(dec)
    vectors = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    centre = vectors.mean(axis=1)
    centre /= np.linalg.norm(centre)
    return Footprint(SphericalPolygon.from_radec(ra, dec), centre, float(_angle(centre, vectors).max()))


def _border(ny: int, nx: int, stepsize: int | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points around an array, counter-clockwise from its first corner, which is also the last of them."""
    across = 2 if stepsize is None else max(2, math.ceil((nx + 1) / stepsize))
    along = 2 if stepsize is None else max(2, math.ceil((ny + 1) / stepsize))
    xs = np.linspace(-0.5, nx - 0.5, across)
    ys = np.linspace(-0.5, ny - 0.5, along)[1:-1]
    right, top = np.full(len(ys), nx - 0.5), np.full(across, ny - 0.5)
    x = np.concatenate([xs, right, xs[::-1], np.full(len(ys), -0.5), xs[:1]])
    y = np.concatenate([np.full(across, -0.5), ys, top, ys[::-1], [-0.5]])
    return x, y


def _angle(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radians between a unit vector and others, (3,) or (3, n); by the chord, exact when small."""
    chord = np.linalg.norm(other - (one if other.ndim == 1 else one[:, None]), axis=0)
    return np.asarray(2 * np.arcsin(np.minimum(chord / 2, 1)))


def overlap(image: Image, own: Footprint, others: Sequence[Footprint]) -> list[Vertices]:
    """Where an image lies in any of the other footprints: outlines in its pixels; empty if nowhere.

    own : the image's own footprint
    """
    outlines = []
    for other in others:
        if own.is_far_from(other):
            continue
        common = _intersection(own.polygon, other.polygon)
        for ra, dec in common.to_radec() if common.area() else ():
            if len(ra) > 3:
                x, y = image.wcs.invert(ra, dec, with_bounding_box=False)
                outlines.append(np.column_stack([x, y]))
    return outlines


def _intersection(own: Any, other: Any) -> Any:
    """Of two polygons; all of the first where the library finds them too alike to tell."""
    from spherical_geometry.polygon import MalformedPolygonError

    try:
        return own.intersection(other)
    except MalformedPolygonError:
        return own


def fill(mask: Mask, vertices: Vertices) -> None:
    """Set the pixels of a polygon, row by row, in place; what lies beyond the array is left out.

    Vertices are rounded to pixels, half to even. An outline with negative coordinates is
    first moved so that they become 0, and moved back by the rounded distance, so that it
    may come to lie one pixel off.
    """
    shift = np.minimum(vertices.min(axis=0), 0.0)
    corners = np.rint(vertices - shift).astype(np.int64)
    dx, dy = np.rint(shift).astype(np.int64)
    ny, nx = mask.shape
    if np.ptp(corners[:, 0]) == 0:
        return
    for row, spans in _scan(corners):
        if 0 <= row + dy < ny:
            for first, last in spans:
                if last + dx >= 0:
                    mask[row + dy, max(0, first + dx) : min(nx - 1, last + dx) + 1] = True


def _scan(corners: NDArray[np.int64]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Each row of a polygon, with the first and last column of its parts.

    An edge belongs to the rows from its lower end to below its upper one; the highest
    row has no edge of its own, and takes those of the row below it.
    """
    start, stop = corners[:-1], corners[1:]
    sloped = start[:, 1] != stop[:, 1]
    (x0, y0), (x1, y1) = start[sloped].T, stop[sloped].T
    lower, upper = np.minimum(y0, y1), np.maximum(y0, y1)
    bottom, top = int(corners[:, 1].min()), int(corners[:, 1].max())
    for row in range(bottom, top + 1):
        own = min(row, top - 1)
        active = (lower <= own) & (own < upper)
        crossings = (row - y0[active]) / (y1 - y0)[active] * (x1 - x0)[active] + x0[active]
        columns = sorted(int(column) for column in np.ceil(crossings))
        yield row, list(zip(columns[::2], columns[1::2], strict=False))
