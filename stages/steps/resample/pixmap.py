"""Where the pixels of one image lie in the array of another.

Maps are smooth: from a few places they follow everywhere by polynomials, as exactly as
double precision knows directions on the sky, in a twentieth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.modeling.models import Pix2Sky_TAN
from gwcs.fitswcs import FITSImagingWCSTransform
from gwcs.geometry import CartesianToSpherical
from numpy.typing import DTypeLike, NDArray
from scipy.interpolate import RectBivariateSpline

from calwebbd.stages.kernels import by_rows, matrices, quadrilaterals
from calwebbd.stages.transforms import Array, Function, chain, compiled, composed, linear

Box = tuple[tuple[float, float], tuple[float, float]]  # ((x1, x2), (y1, y2))
NODES = 12  #: of the polynomials along each axis
SMALL = 5 * NODES  #: pixels; shorter arrays are mapped pixel by pixel
TOLERANCE = 1e-7  #: pixels; so are those whose polynomials miss places between the nodes by more


@dataclass(frozen=True)
class PixelMap:
    """Where each pixel of an array lies in another: x and y.

    places : (ny, nx, 2); NaN for nowhere
    """

    places: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        ny, nx, _ = self.places.shape
        return ny, nx

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """(rows, nx, 2), to be read only."""
        return self.places[start:stop]

    def at(self, x: Any, y: Any) -> NDArray[np.float64]:
        """(..., 2), of pixels chosen one by one."""
        found: NDArray[np.float64] = self.places[y, x]
        return found

    def tabulated(self) -> PixelMap:
        """The same with all its places in memory."""
        return self

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return self.rows(0, self.shape[0]).astype(dtype or np.float64, copy=bool(copy))


@dataclass(frozen=True)
class Followed(PixelMap):
    """A map that polynomials follow: its rows are computed whenever they are asked for.

    along : (ny, NODES), what each node counts for each row
    places : (NODES, nx, 2), of the nodes' rows
    """

    along: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.along), self.places.shape[1]

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        out = np.empty((stop - start, *self.places.shape[1:]))
        nodes = self.places.reshape(len(self.places), -1)
        matrices.multiply(0, len(out), self.along[start:stop], nodes, out.reshape(len(out), -1))
        return out

    def at(self, x: Any, y: Any) -> NDArray[np.float64]:
        found = np.zeros((*np.broadcast_shapes(np.shape(x), np.shape(y)), 2))
        for factors, node in zip(self.along.T, self.places, strict=True):  # in the order of `rows`
            found += factors[y][..., None] * node[x]
        return found

    def tabulated(self) -> PixelMap:
        places = np.empty((*self.shape, 2))

        def fill(start: int, stop: int) -> None:
            places[start:stop] = self.rows(start, stop)

        by_rows(fill, len(places))
        return PixelMap(places)


def pixel_map(
    source: Any, target: Any, shape: tuple[int, int], *, stepsize: float = 1.0, order: int = 1
) -> PixelMap:
    """x and y in the target for each pixel centre of the source.

    source, target : gwcs from pixels (0-based) to the sky
    shape : (ny, nx) of the source
    stepsize : pixels between points that are computed; others are interpolated by splines of
        this `order`

    NaN outside the source's bounding box; the target's is not applied.
    Source: specification image2 §6.2.
    """
    function = pixel_to_pixel(source, target)
    x, y = inside(_box(source, shape), shape)
    sparse = stepsize > 1 and max(x.size, y.size) > 10
    if not sparse and min(x.size, y.size) >= SMALL and (followed := _follow(function, x, y, shape)):
        return followed
    out = np.full((*shape, 2), np.nan)
    if sparse and _interpolate(out, function, x, y, stepsize, order):
        return PixelMap(out)

    def rows(start: int, stop: int) -> None:
        xs, ys = np.meshgrid(x.astype(np.float64), y[start:stop].astype(np.float64))
        block = out[y[start] : y[stop - 1] + 1, x[0] : x[-1] + 1]
        block[..., 0], block[..., 1] = function(xs, ys)

    if x.size and y.size:
        by_rows(rows, y.size)
    return PixelMap(out)


def extents(pixmap: PixelMap) -> NDArray[np.float64]:
    """(rows, 2, 3): least and greatest x and y of each row, and the longest step to the next pixel.

    A row without any place has a least above the greatest.
    """
    ny, _ = pixmap.shape
    found = np.empty((ny, 2, 3))

    def some(start: int, stop: int) -> None:
        places = pixmap.rows(start, min(stop + 1, ny))
        quadrilaterals.extent(0, stop - start, places, found[start:stop])

    by_rows(some, ny)
    return found


def reached(extent: NDArray[np.float64], margin: float, within: tuple[slice, slice]) -> tuple[slice, slice]:
    """Rows and columns of a target that lie within a map's extents and a margin; within : these limits."""
    return _pixels(extent[:, 1], margin, within[0]), _pixels(extent[:, 0], margin, within[1])


def _pixels(extent: NDArray[np.float64], margin: float, within: slice) -> slice:
    low, high = extent[:, 0].min() - margin, extent[:, 1].max() + margin
    if not low <= high:
        return slice(within.start, within.start)
    return slice(int(max(low, within.start)), int(min(np.ceil(high) + 1, within.stop)))


def region(
    sources: Sequence[tuple[Any, tuple[int, int]]], target: Any, size: tuple[int, int]
) -> tuple[slice, slice]:
    """Rows and columns of a target of this size that the pixels of sources (gwcs, shape) reach.

    A map is continuous, so that its edges tell.
    """
    everything = slice(0, size[0]), slice(0, size[1])
    edges = []
    for source, shape in sources:
        x, y = (axis.astype(np.float64) for axis in inside(_box(source, shape), shape))
        function = pixel_to_pixel(source, target)
        for side in ((x, y[:1]), (x, y[-1:]), (x[:1], y), (x[-1:], y)):
            places = np.stack(function(*np.meshgrid(*side)), axis=-1)
            edges.append(extents(PixelMap(np.ascontiguousarray(places))))
    extent = np.concatenate(edges)
    return reached(extent, 2 * extent[:, :, 2].max(), everything)


def pixel_to_pixel(source: Any, target: Any) -> Function:
    """A function from the pixels of one gwcs to those of another.

    Between a rotation of the sphere and a tangent plane the sky is passed as unit
    vectors: no angles, no inverse trigonometry.
    """
    steps = chain(source.forward_transform)
    plane = target.forward_transform
    if not _is_tangent_plane(plane):
        return composed([compiled(source.forward_transform), _sky_to_pixel(target)])
    if isinstance(steps[-1], CartesianToSpherical):
        steps = steps[:-1]
    else:
        steps = [*steps, CartesianToSpherical().inverse]
    return composed([*map(compiled, steps), vector_to_tangent_plane(plane)])


def vector_to_tangent_plane(plane: FITSImagingWCSTransform) -> Function:
    """Unit vectors to pixels of a tangent plane; NaN for those on the far hemisphere.

    Source: Calabretta & Greisen 2002, doi:10.1051/0004-6361:20021327, §5.1.3.
    """
    ra, dec = np.deg2rad(plane.crval.value)
    east = [-np.sin(ra), np.cos(ra), 0]
    north = [-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)]
    towards = [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]
    axes = np.array([east, north]) * np.rad2deg(1) / np.asarray(plane.cdelt.value)[:, None]
    axes = np.linalg.inv(np.asarray(plane.pc.value)) @ axes
    rotate = linear(np.vstack([axes, towards]), np.zeros(3))
    x0, y0 = plane.crpix.value

    def project(*vector: Array) -> tuple[Array, ...]:
        x, y, depth = rotate(*vector)
        depth[depth <= 0] = np.nan
        x /= depth
        y /= depth
        x += x0
        y += y0
        return x, y

    return project


def _is_tangent_plane(model: Any) -> bool:
    return (
        isinstance(model, FITSImagingWCSTransform)
        and isinstance(model.projection, Pix2Sky_TAN)
        and model.lon_pole == 180
    )


def _sky_to_pixel(target: Any) -> Function:
    """Through the inverse that the gwcs has, or by iteration."""
    try:
        return compiled(target.backward_transform)
    except NotImplementedError:
        return lambda ra, dec: tuple(target.invert(ra, dec, with_bounding_box=False))


def _box(wcs: Any, shape: tuple[int, int]) -> Box:
    if wcs.bounding_box is None:
        return (-0.5, shape[1] - 0.5), (-0.5, shape[0] - 0.5)
    box: Box = wcs.bounding_box.bounding_box(order="F")
    return box


def inside(box: Box, shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns and rows of the array whose pixel centres the box holds."""
    (x1, x2), (y1, y2) = box
    columns = np.arange(max(0, int(np.ceil(x1))), min(shape[1] - 1, int(np.floor(x2))) + 1)
    rows = np.arange(max(0, int(np.ceil(y1))), min(shape[0] - 1, int(np.floor(y2))) + 1)
    return columns, rows


def _follow(
    function: Function, x: NDArray[np.int64], y: NDArray[np.int64], shape: tuple[int, int]
) -> Followed | None:
    """The map by polynomials through Chebyshev's nodes; None if these do not meet the function.

    Source: Berrut & Trefethen 2004, doi:10.1137/S0036144502417715, eq. 4.2.
    """
    nodes = [_chebyshev_nodes(axis) for axis in (x, y)]
    between = [np.linspace(axis[0], axis[-1], NODES) for axis in (x, y)]
    values = function(*np.meshgrid(*nodes))
    across, along = (_barycentric(axis, n) for axis, n in zip(between, nodes, strict=True))
    for value, place in zip(values, function(*np.meshgrid(*between)), strict=True):
        if not (np.abs(along @ value @ across.T - place) < TOLERANCE).all():
            return None
    across = _barycentric(x, nodes[0])
    along, places = np.full((shape[0], NODES), np.nan), np.full((NODES, shape[1], 2), np.nan)
    along[y] = _barycentric(y, nodes[1])
    for axis, value in enumerate(values):
        places[:, x, axis] = value @ across.T
    return Followed(places, along)


def _chebyshev_nodes(axis: NDArray[np.int64]) -> NDArray[np.float64]:
    angles = np.pi * (np.arange(NODES) + 0.5) / NODES
    nodes: NDArray[np.float64] = axis[0] + (axis[-1] - axis[0]) * (1 - np.cos(angles)) / 2
    return nodes


def _barycentric(places: NDArray[Any], nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(places, nodes): what the value at each node counts for the polynomial at each place."""
    angles = np.pi * (np.arange(NODES) + 0.5) / NODES
    distance = places[:, None] - nodes
    at_node = distance == 0
    terms = np.sin(angles) * (-1) ** np.arange(NODES) / np.where(at_node, 1.0, distance)
    factors: NDArray[np.float64] = terms / terms.sum(axis=1, keepdims=True)
    exact = at_node.any(axis=1)
    factors[exact] = at_node[exact]
    return factors


def _interpolate(
    out: NDArray[np.float64],
    function: Function,
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    stepsize: float,
    order: int,
) -> bool:
    """Fill the map by splines through a coarse grid; False if any of its points has no place."""
    nodes = [max(int(np.ceil(a.size / stepsize)), min(10, a.size)) for a in (x, y)]
    coarse = [np.linspace(a[0], a[-1], n) for a, n in zip((x, y), nodes, strict=True)]
    values = function(*np.meshgrid(*coarse))
    if not all(np.isfinite(v).all() for v in values):
        return False
    for axis, value in enumerate(values):
        spline = RectBivariateSpline(coarse[1], coarse[0], value, kx=order, ky=order)
        out[y[0] : y[-1] + 1, x[0] : x[-1] + 1, axis] = spline(y, x)
    return True
