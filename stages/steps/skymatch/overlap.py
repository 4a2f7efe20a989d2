"""Which pixels of one image lie in another one, on the sky."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Image

Mask = NDArray[np.bool_]
Vertices = NDArray[np.float64]  # (n, 2): x, y; the last is the first
Directions = NDArray[np.float64]  # (n, 3): unit vectors
FLAT = 1e-14  #: radians; what is as near to a line is on it
NEAR = 1e-9  #: radians; vertices as near as this are one
NOWHERE = np.iinfo(np.int64).max  #: column of an edge that is not in a row


@dataclass(frozen=True)
class Footprint:
    """The outline of an image on the sky.

    vertices : unit vectors; the last is the first
    centre, radius : of a circle around it; unit vector and radians
    """

    vertices: Directions
    centre: NDArray[np.float64]
    radius: float

    @property
    def polygon(self) -> Any:
        """It, as the library has it."""
        from spherical_geometry.polygon import SphericalPolygon

        return SphericalPolygon(self.vertices)

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
    ny, nx = image.sci.shape
    x, y = _border(ny, nx, stepsize)
    ra, dec = image.wcs(x, y, with_bounding_box=False)
    ra[-1], dec[-1] = ra[0], dec[0]
    lon, lat = np.deg2rad(ra), np.deg2rad(dec)
    vectors = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    centre = vectors.mean(axis=1)
    centre /= np.linalg.norm(centre)
    return Footprint(np.ascontiguousarray(vectors.T), centre, float(_angle(centre, vectors).max()))


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


def overlaps(image: Image, own: Footprint, groups: Sequence[Sequence[Footprint]]) -> list[list[Vertices]]:
    """Where an image lies in any footprint of each group: outlines in its pixels; none if nowhere.

    own : the image's own footprint
    """
    outlines: list[tuple[int, Any]] = []
    for number, others in enumerate(groups):
        near = (other for other in others if not own.is_far_from(other))
        outlines += [(number, np.array(outline)) for other in near for outline in common(own, other)]
    found: list[list[Vertices]] = [[] for _ in groups]
    if outlines:  # all at once: a gwcs takes as long for one point as for a thousand
        pixels = np.column_stack(_sky_to_pixel(image.wcs, *np.hstack([sky for _, sky in outlines])))
        ends = np.cumsum([sky.shape[1] for _, sky in outlines])
        for (number, _), vertices in zip(outlines, np.split(pixels, ends[:-1]), strict=True):
            found[number].append(vertices)
    return found


def _sky_to_pixel(wcs: Any, ra: Any, dec: Any) -> tuple[Any, ...]:
    """Through the inverse that the gwcs has, or by iteration."""
    try:
        inverse = wcs.backward_transform
    except NotImplementedError:
        inverse = wcs.invert
    return tuple(inverse(ra, dec, with_bounding_box=False))


def common(one: Footprint, other: Footprint) -> list[tuple[Any, Any]]:
    """The outlines (ra, dec) of what two footprints have in common, degrees, clockwise and closed.

    Both are convex as a rule; the library, which takes 50 ms, is asked where they are not.
    """
    vertices, convex = _inside_out(one.vertices), _inside_out(other.vertices)
    if not (_is_convex(vertices) and _is_convex(convex)):
        polygon = _intersection(one.polygon, other.polygon)
        return [each for each in polygon.to_radec() if len(each[0]) > 3] if polygon.area() else []
    clipped = _distinct(_clip(vertices, convex))
    if len(clipped) < 3:
        return []
    x, y, z = np.vstack([clipped, clipped[:1]])[::-1].T
    return [
        (np.rad2deg(np.remainder(np.arctan2(y, x), 2 * np.pi)), np.rad2deg(np.arctan2(z, np.hypot(x, y))))
    ]


def _inside_out(vertices: Directions) -> Directions:
    """Counter-clockwise, seen from outside of the sphere, without the last vertex, which is the first."""
    turned = np.cross(vertices[:-1], vertices[1:]).sum(axis=0) @ vertices[0]
    return vertices[:-1] if turned > 0 else vertices[:0:-1]


def _is_convex(vertices: Directions) -> bool:
    sides = np.cross(vertices, np.roll(vertices, -1, axis=0))
    return bool((vertices @ sides.T > -FLAT).all())


def _clip(vertices: Directions, convex: Directions) -> Directions:
    """Of a polygon the part inside of a convex one, side by side (Sutherland & Hodgman 1974)."""
    for side in np.cross(convex, np.roll(convex, -1, axis=0)):
        kept = []
        height = vertices @ side
        height[np.abs(height) < FLAT] = 0  # of a side that both have
        for k in range(len(vertices)):
            n = (k + 1) % len(vertices)
            if height[k] >= 0:
                kept.append(vertices[k])
            if (height[k] >= 0) != (height[n] >= 0):
                crossing = (vertices[k] * height[n] - vertices[n] * height[k]) / (height[n] - height[k])
                kept.append(crossing / np.linalg.norm(crossing))
        vertices = np.array(kept).reshape(-1, 3)
    return vertices


def _distinct(vertices: Directions) -> Directions:
    """Without those that are where the one before is."""
    kept: Directions = vertices[np.linalg.norm(vertices - np.roll(vertices, 1, axis=0), axis=1) > NEAR]
    return kept


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
    first_row, columns = _scan(corners)
    start, stop = max(0, first_row + dy), min(ny, first_row + dy + len(columns))
    if start >= stop:
        return
    x, part = np.arange(nx, dtype=np.int32), columns[start - first_row - dy : stop - first_row - dy]
    for k in range(0, part.shape[1] - 1, 2):
        closed = part[:, k + 1] != NOWHERE
        first = np.where(closed, part[:, k] + dx, nx).clip(0, nx).astype(np.int32)
        last = np.where(closed, part[:, k + 1] + dx, -1).clip(-1, nx).astype(np.int32)
        mask[start:stop] |= (x >= first[:, None]) & (x <= last[:, None])


def _scan(corners: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    """The first row of a polygon; and of each the first and last columns of its parts, by turns.

    `NOWHERE` fills what is left.

    An edge belongs to the rows from its lower end to below its upper one; the highest
    row has no edge of its own, and takes those of the row below it.
    """
    start, stop = corners[:-1], corners[1:]
    sloped = start[:, 1] != stop[:, 1]
    (x0, y0), (x1, y1) = start[sloped].T, stop[sloped].T
    lower, upper = np.minimum(y0, y1), np.maximum(y0, y1)
    rows = np.arange(corners[:, 1].min(), corners[:, 1].max() + 1)
    own = np.minimum(rows, rows[-1] - 1)[:, None]
    crossings = np.ceil((rows[:, None] - y0) / (y1 - y0) * (x1 - x0) + x0).astype(np.int64)
    crossings[(own < lower) | (own >= upper)] = NOWHERE
    return int(rows[0]), np.sort(crossings, axis=1)
