"""Where the pixels of one image lie in the array of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.modeling.models import Pix2Sky_TAN
from gwcs.fitswcs import FITSImagingWCSTransform
from gwcs.geometry import CartesianToSpherical
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from calwebbd.stages.kernels import by_rows
from calwebbd.stages.transforms import Array, Function, chain, compiled, composed, linear

Box = tuple[tuple[float, float], tuple[float, float]]  # ((x1, x2), (y1, y2))


def pixel_map(
    source: Any, target: Any, shape: tuple[int, int], *, stepsize: float = 1.0, order: int = 1
) -> NDArray[np.float64]:
    """(ny, nx, 2): x and y in the target for each pixel centre of the source.

    source, target : gwcs from pixels (0-based) to the sky
    shape : (ny, nx) of the source
    stepsize : pixels between points that are computed; others are interpolated by splines of
        this `order`

    NaN outside the source's bounding box; the target's is not applied.
    Source: specification image2 §6.2.
    """
    function = pixel_to_pixel(source, target)
    x, y = inside(_box(source, shape), shape)
    out = np.full((*shape, 2), np.nan)
    if stepsize > 1 and max(x.size, y.size) > 10 and _interpolate(out, function, x, y, stepsize, order):
        return out

    def rows(start: int, stop: int) -> None:
        xs, ys = np.meshgrid(x.astype(np.float64), y[start:stop].astype(np.float64))
        block = out[y[start] : y[stop - 1] + 1, x[0] : x[-1] + 1]
        block[..., 0], block[..., 1] = function(xs, ys)

    if x.size and y.size:
        by_rows(rows, y.size)
    return out


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
