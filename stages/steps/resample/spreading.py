"""Spread the pixels of one image over a canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from drizzle.resample import Drizzle

from calwebbd.stages.exposure import Float, Image
from calwebbd.stages.kernels import by_rows, quadrilaterals
from calwebbd.stages.steps.resample.canvas import Canvas, Window
from calwebbd.stages.steps.resample.pixmap import PixelMap, extents, reached
from calwebbd.stages.steps.resample.scan import Limits, columns_taken
from calwebbd.stages.steps.resample.variance import VARIANCES

POINT = 0.001  #: pixels; smaller drops have no area, and all kernels are points
STEEP = 64  #: rows of the frame; images whose rows cross more are seen whole by each part of it


@dataclass(frozen=True)
class Drops:
    """What the pixels of an image are, and where they fall.

    weigh : gives the weights of some rows; pixmap : x and y in the frame
    limits : xmin, xmax, ymin, ymax, the pixels to take
    sky : to subtract from SCI
    kernel, pixfrac : shape, and side in pixels
    ratio : of output to input pixel scale
    time : s, what the image's variances count; 0 for their inverse
    """

    image: Image
    weigh: Callable[[slice], Float]
    pixmap: PixelMap
    limits: Limits
    sky: float
    kernel: str
    pixfrac: float
    ratio: float
    time: float

    @property
    def variances(self) -> dict[str, Float]:
        """Those that the image has."""
        found = {name: getattr(self.image, name) for name in VARIANCES}
        return {n: v for n, v in found.items() if v is not None and v.shape == self.image.sci.shape}

    def at_once(self) -> Drops:
        """The same with all weights and places in memory, to be looked at many times."""
        return replace(self, weigh=self.weigh(slice(None)).__getitem__, pixmap=self.pixmap.tabulated())


def spread(drops: Drops, canvas: Canvas, index: int) -> None:
    """Add one image, the index-th, to a canvas; nothing outside of it is read or written.

    Results do not depend on the number of threads, and not on whether the canvas is on disk.
    """
    reach = extents(drops.pixmap)
    step = reach[:, :, 2].max()
    by_areas = drops.kernel == "square" and drops.pixfrac > POINT
    margin = 2 * drops.pixfrac * step if by_areas else 2 * step + 4 / drops.ratio
    rows, columns = reached(reach, margin, (canvas.rows, canvas.columns))
    if columns.start >= columns.stop or rows.start >= rows.stop:
        return
    if not by_areas:
        with canvas.window(rows if canvas.on_disk else canvas.rows, columns) as window:
            _by_library(drops, window, index)
        return
    taken = columns_taken(drops.pixmap, drops.limits, canvas.shape)
    heights = np.stack([reach[:, 1, 0] - margin, reach[:, 1, 1] + margin], axis=1)
    if np.max(heights[:, 1] - heights[:, 0], initial=0) > STEEP:
        drops = drops.at_once()

    def spread_rows(start: int, stop: int) -> None:
        with canvas.window(slice(rows.start + start, rows.start + stop), columns) as window:
            _by_areas(drops, window, index, (taken, heights, margin))

    by_rows(spread_rows, rows.stop - rows.start)


def _by_areas(drops: Drops, window: Window, index: int, where: tuple[Any, Any, float]) -> None:
    """The square kernel: all arrays at once, by the areas in which drops overlap the window's pixels."""
    image, arrays, variances = drops.image, window.arrays, drops.variances
    nothing, no_flags = np.empty((0, 0), np.float32), np.empty((0, 0), np.uint32)
    ny, nx = window.shape
    taken, heights, margin = where
    reaching = np.flatnonzero((heights[:, 1] >= window.y - 0.5) & (heights[:, 0] <= window.y + ny - 0.5))
    if not reaching.size:
        return
    rows = slice(int(reaching[0]), int(reaching[-1]) + 1)
    around = int(drops.pixfrac / 2) + 1  # further rows between which corners lie
    first, last = max(0, rows.start - around), min(rows.stop + around, len(taken))
    errors = np.full((ny, nx, 4) if window.sums else (0, 0, 4), np.nan, np.float32)
    errors[..., 3] = 0
    plane, bit = divmod(index, 32)
    quadrilaterals.spread(
        *(window.x, window.y, nx, ny),
        *(drops.pixmap.rows(first, last), first, rows.start, len(taken)),
        *(taken[rows], heights[rows], margin, drops.pixfrac / 2),
        *(image.sci[rows], np.float32(drops.sky), drops.weigh(rows)),
        *(variances[name][rows] if window.sums and name in variances else nothing for name in VARIANCES),
        image.dq[rows] if "dq" in arrays else no_flags,
        np.uint32(1 << bit).view(np.int32),
        *(arrays["sci"], arrays["wht"]),
        arrays["con"][plane] if "con" in arrays else nothing.view(np.int32),
        arrays.get("dq", no_flags),
        errors,
    )
    for k, name in enumerate(VARIANCES):
        if name in variances and window.sums:
            window.sums[name].add(errors[..., k], errors[..., 0], drops.time)


def _by_library(drops: Drops, window: Window, index: int) -> None:
    """Any kernel, one array after the other."""
    image, arrays = drops.image, window.arrays
    origin = np.array([window.x, window.y])
    geometry: dict[str, Any] = {
        "pixmap": np.asarray(drops.pixmap) - origin,
        "weight_map": drops.weigh(slice(None)),
        "pixfrac": drops.pixfrac,
        "pixel_scale_ratio": drops.ratio,
        "exptime": 1.0,
        "in_units": "cps",
        **drops.limits,
    }
    target = Drizzle(
        kernel=drops.kernel,
        out_img=arrays["sci"],
        out_wht=arrays["wht"],
        out_dq=arrays.get("dq"),
        exptime=1.0,
        disable_ctx=True,
    )
    sci = image.sci - np.float32(drops.sky) if drops.sky else image.sci
    target.add_image(sci, dq=image.dq if "dq" in arrays else None, **geometry)
    if (
        "con" in arrays
    ):  # by itself: the library refuses sums of weights that are negative, or of other planes
        alone = Drizzle(kernel=drops.kernel, out_shape=window.shape)
        alone.add_image(sci, **geometry)
        plane, bit = divmod(index, 32)
        arrays["con"][plane][alone.out_ctx[0] != 0] |= np.uint32(1 << bit).view(np.int32)
    errors = {}
    for name, variance in drops.variances.items() if window.sums else ():
        single = Drizzle(kernel=drops.kernel, fillval=np.nan, out_shape=window.shape, disable_ctx=True)
        single.add_image(np.sqrt(variance), **geometry)
        errors[name] = single.out_img
    for name, error in errors.items():
        window.sums[name].add(error, errors.get("var_rnoise", np.full_like(error, np.nan)), drops.time)
