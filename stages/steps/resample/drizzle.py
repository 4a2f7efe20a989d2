"""Drizzle exposures onto one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Float, Image, PixelDQ
from calwebbd.stages.masking import FLAGGED, match_nans_and_flags
from calwebbd.stages.steps.resample.canvas import Canvas, Region
from calwebbd.stages.steps.resample.frame import Frame
from calwebbd.stages.steps.resample.pixmap import pixel_map
from calwebbd.stages.steps.resample.spreading import Drops, spread
from calwebbd.stages.steps.resample.variance import VARIANCES
from calwebbd.stages.steps.resample.weights import exposure_time, weights

GOOD_BITS = "~DO_NOT_USE+NON_SCIENCE"  #: every flag but these two is tolerated


@dataclass(frozen=True)
class Drizzled:
    """Arrays of one frame, (ny, nx), or cubes if they are too large for memory; None if not asked for.

    sci : NaN (or the fill value) where no input contributed
    wht : sum of weights, 0 there
    con : (nplanes, ny, nx); bit k % 32 of plane k // 32 is set where image k contributed
    var_rnoise, var_poisson, var_flat, err : NaN where no input has a value
    dq : OR of the flags that contributed
    """

    sci: Float
    wht: Float
    con: NDArray[np.int32] | None = None
    err: Float | None = None
    var_poisson: Float | None = None
    var_rnoise: Float | None = None
    var_flat: Float | None = None
    dq: PixelDQ | None = None


def drizzle(
    images: Sequence[Image],
    frame: Frame,
    *,
    kernel: str = "square",
    pixfrac: float = 1.0,
    weight_type: str = "ivm",
    fillval: str = "NAN",
    good_bits: str | int | None = GOOD_BITS,
    with_variances: bool = True,
    with_context: bool = True,
    with_dq: bool = False,
    pixmap_stepsize: float = 1.0,
    pixmap_order: int = 1,
    region: Region | None = None,
    match: bool = False,
) -> Drizzled:
    """Drizzle images, in their order, onto a frame or a region of it; each is read once.

    match : make NaN and DO_NOT_USE agree in them first; those on disk stay as they are

    The images have a `wcs`. The sky (BKGLEVEL) is subtracted unless BKGSUB says that it has been.

    Raises InputError if an image is not 2-D or has no exposure time.
    Source: specification image2 §6.2-6; Fruchter & Hook 2002, doi:10.1086/338393.
    """
    canvas = Canvas.empty(
        frame.shape,
        region,
        images=len(images),
        ratio=frame.ratio,
        variances=with_variances,
        context=with_context,
        dq=with_dq,
    )

    needed = (
        FLAGGED if match else ("sci", "dq", *VARIANCES) if with_variances else ("sci", "dq", "var_rnoise")
    )

    def add(each: Image, index: int) -> None:  # what it needs is free before the next one is read
        if each.sci.ndim != 2:
            raise InputError(f"SCI has {each.sci.ndim} axes, resample takes 2", file=each.file)
        ny, nx = each.sci.shape
        pixmap = pixel_map(each.wcs, frame.wcs, (ny, nx), stepsize=pixmap_stepsize, order=pixmap_order)
        time = exposure_time(each.header)
        with each.in_memory(only=needed) as image:
            if match:
                match_nans_and_flags(image)
            drops = Drops(
                image,
                weigh=partial(weights, image, weight_type, good_bits),
                pixmap=pixmap,
                limits=_limits(image),
                sky=_sky(image),
                kernel=kernel,
                pixfrac=pixfrac,
                ratio=frame.ratio,
                time=time if weight_type == "exptime" else 0.0,
            )
            spread(drops, canvas, index)

    for index, each in enumerate(images):
        add(each, index)
    arrays = canvas.finish(fill_value(fillval))
    found: dict[str, Any] = {field.name: arrays.get(field.name) for field in fields(Drizzled)}
    return Drizzled(**found)


def fill_value(fillval: str) -> float:
    """What the parameter says; INDEF, nothing in particular, is NaN."""
    return np.nan if fillval.strip().upper() in ("", "INDEF") else float(fillval)


def _limits(image: Image) -> dict[str, int]:
    """First and last pixel to visit, in x and in y: those that the bounding box touches."""
    ny, nx = image.sci.shape
    if image.wcs.bounding_box is None:
        return {"xmin": 0, "xmax": nx - 1, "ymin": 0, "ymax": ny - 1}
    (x1, x2), (y1, y2) = image.wcs.bounding_box.bounding_box(order="F")
    xmin, ymin = max(0, int(x1 + 0.5)), max(0, int(y1 + 0.5))
    xmax, ymax = max(xmin, min(nx - 1, int(x2 + 0.5))), max(ymin, min(ny - 1, int(y2 + 0.5)))
    return {"xmin": xmin, "xmax": xmax, "ymin": ymin, "ymax": ymax}


def _sky(image: Image) -> float:
    """The level that skymatch found and did not subtract itself."""
    if image.header.get("BKGSUB") is True:
        return 0.0
    return image.header.real("BKGLEVEL", 0.0)
