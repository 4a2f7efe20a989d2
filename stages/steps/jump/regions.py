"""Connected regions of flagged pixels, and the ellipses that stand for them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import GroupDQ
from calwebbd.stages.kernels import regions as kernel

SMALLEST_RING = 8  # pixels around a hole: a smaller region has none

Array = NDArray[np.float64]
Drawing = tuple[slice, slice, NDArray[np.bool_]]


@dataclass(frozen=True)
class Ellipses:
    """Ellipses with the second moments of regions.

    x, y : centres, pixels; minor, major : full axes, pixels (a single pixel has -1)
    angle : degrees from the row axis (y) to the major axis, counter-clockwise
    """

    x: Array
    y: Array
    minor: Array
    major: Array
    angle: Array

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Ellipses:
        return Ellipses(
            self.x[chosen], self.y[chosen], self.minor[chosen], self.major[chosen], self.angle[chosen]
        )

    def contain_any(self, x: Array, y: Array) -> NDArray[np.bool_]:
        """True for each ellipse with one of the points in it.

        As in the reference pipeline the ellipse is mirrored about x = y here, so
        that elongated ones miss what a correctly oriented one would contain.
        """
        turn = np.radians(180.0 - self.angle)[:, None]
        dx, dy = x - self.x[:, None], y - self.y[:, None]
        along = dx * np.cos(turn) - dy * np.sin(turn)
        across = dx * np.sin(turn) + dy * np.cos(turn)
        with np.errstate(divide="ignore", invalid="ignore"):  # an axis may be 0: nothing is inside
            radius = along**2 / (self.major[:, None] * 0.5) ** 2
            radius += across**2 / (self.minor[:, None] * 0.5) ** 2
        return np.asarray((radius <= 1).any(axis=1))

    def enlarged(self, k: int | np.intp, factor: float, largest: float) -> tuple[float, float]:
        """Axes of ellipse k with the minor one times `factor`, and the major one longer by as much.

        largest : radius, pixels, beyond which nothing grows
        """
        minor, major = float(self.minor[k]), float(self.major[k])
        return min(minor * factor, 2 * largest), min(major + (factor - 1.0) * minor, 2 * largest)

    def draw(self, k: int | np.intp, minor: float, major: float, shape: tuple[int, int]) -> Drawing:
        """Rows, columns and mask of the pixels inside ellipse k with these axes instead of its own.

        Centre and half axes are rounded to whole pixels, half to even; a half axis
        of 0 leaves nothing. A negative one draws like a positive one, in a smaller box.
        """
        row, column = round(float(self.y[k])), round(float(self.x[k]))
        a, b = round(major / 2), round(minor / 2)
        reach = max(a, b) + 2
        rows = slice(max(row - reach, 0), max(0, min(row + reach + 1, shape[0])))
        columns = slice(max(column - reach, 0), max(0, min(column + reach + 1, shape[1])))
        dy, dx = np.ogrid[rows, columns]
        dy, dx = dy - row, dx - column
        if a == 0 or b == 0:
            return rows, columns, np.zeros(np.broadcast_shapes(dy.shape, dx.shape), bool)
        turn = np.radians(self.angle[k]) % np.pi
        sin, cos = np.sin(turn), np.cos(turn)
        inside = ((dy * cos + dx * sin) / a) ** 2 + ((dy * sin - dx * cos) / b) ** 2 < 1
        inside &= np.abs(dy) <= abs(a * cos) + b * sin
        inside &= np.abs(dx) <= a * sin + abs(b * cos)
        return rows, columns, inside


def find_ellipses(plane: GroupDQ, bit: int, least_area: float, *, before: GroupDQ | None = None) -> Ellipses:
    """Ellipses of the 8-connected regions with the bit, of at least this area with their holes.

    plane : (ny, nx); before : (ny, nx), pixels that have the bit here already are left out
    Source: specification detector1 §3 jump, snowballs 1.
    """
    points, labels, number = kernel.label(
        plane, plane if before is None else before, np.uint8(bit), before is not None
    )
    order = np.argsort(labels, kind="stable")
    rows, columns = np.divmod(points[order], plane.shape[1])
    area = np.bincount(labels, minlength=number)
    ends = np.cumsum(area)
    found = []
    for k in np.flatnonzero(area >= min(least_area, SMALLEST_RING)):
        region = slice(ends[k] - area[k], ends[k])
        y, x = rows[region], columns[region]
        top, left = int(y.min()), int(x.min())
        height, width = int(y.max()) - top + 1, int(x.max()) - left + 1
        if area[k] + max(0, height - 2) * max(0, width - 2) < least_area:  # whatever its holes
            continue
        image = np.zeros((height, width))
        image[y - top, x - left] = 1
        if area[k] >= least_area or _filled_area(image) >= least_area:
            found.append((float(x.mean()), float(y.mean()), *_shape(image)))
    return Ellipses(*np.array(found, float).reshape(-1, 5).T)


def _filled_area(image: Array) -> int:
    """Pixels of a region and of the holes in it."""
    from scipy import ndimage  # takes a fifth of a second to import

    return int(ndimage.binary_fill_holes(image, np.ones((3, 3))).sum())


def _shape(image: Array) -> tuple[float, float, float]:
    """Minor and major axes and angle of the ellipse with the second moments of a region.

    Round regions have no preferred angle; that of their rounding errors is kept, as it
    decides which pixels at the very edge of a circle belong to it. Hence the order of
    these products, which is that of the reference pipeline.
    """
    area, powers = image.sum(), np.arange(3.0)
    ys, xs = np.arange(image.shape[0]), np.arange(image.shape[1])
    y, x = image.sum(axis=1) @ ys / area, image.sum(axis=0) @ xs / area
    by_y, by_x = (ys - y)[:, None] ** powers, (xs - x)[:, None] ** powers
    moments = (image.T @ by_y).T @ by_x
    yy, xx, xy = moments[2, 0], moments[0, 2], -moments[1, 1] / area
    both = yy + xx
    inertia = np.array([[(both - yy) / area, xy], [xy, (both - xx) / area]])
    minor, major = 4 * np.sqrt(np.clip(np.linalg.eigvalsh(inertia), 0, None)) - 1
    if inertia[0, 0] == inertia[1, 1]:
        angle = math.pi / 4 if xy < 0 else -math.pi / 4
    else:
        angle = 0.5 * math.atan2(-2 * xy, inertia[1, 1] - inertia[0, 0])
    return float(minor), float(major), math.degrees(angle)
