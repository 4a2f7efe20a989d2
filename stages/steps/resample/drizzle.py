"""Drizzle exposures onto one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from drizzle.resample import Drizzle
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Float, Image, PixelDQ
from calwebbd.stages.steps.resample.frame import Frame
from calwebbd.stages.steps.resample.pixmap import pixel_map
from calwebbd.stages.steps.resample.variance import VARIANCES, VarianceSum, combination_weight, total_error
from calwebbd.stages.steps.resample.weights import exposure_time, weights

GOOD_BITS = "~DO_NOT_USE+NON_SCIENCE"  #: every flag but these two is tolerated


@dataclass(frozen=True)
class Drizzled:
    """Arrays of one frame, (ny, nx); what was not asked for is None.

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
) -> Drizzled:
    """Drizzle images, in their order, onto a frame; they stay as they are.

    The images have a `wcs`, and NaN where DO_NOT_USE (`masking.match_nans_and_flags`). The sky
    (BKGLEVEL) is subtracted unless BKGSUB says that it has been.

    Raises InputError if an image is not 2-D or has no exposure time.
    Source: specification image2 §6.2-6; Fruchter & Hook 2002, doi:10.1086/338393.
    """
    target = Drizzle(
        kernel=kernel,
        fillval=fillval,
        out_shape=frame.shape,
        out_dq=np.zeros(frame.shape, np.uint32) if with_dq else None,
        disable_ctx=not with_context,
        max_ctx_id=len(images) - 1 if with_context else None,
    )
    sums = {name: VarianceSum.empty(frame.shape) for name in VARIANCES} if with_variances else {}
    for image in images:
        if image.sci.ndim != 2:
            raise InputError(f"SCI has {image.sci.ndim} axes, resample takes 2", file=image.file)
        ny, nx = image.sci.shape
        pixmap = pixel_map(image.wcs, frame.wcs, (ny, nx), stepsize=pixmap_stepsize, order=pixmap_order)
        geometry = _geometry(image, pixmap, weights(image, weight_type, good_bits), pixfrac, frame.ratio)
        target.add_image(_sky_subtracted(image), dq=image.dq if with_dq else None, **geometry)
        if with_variances:
            _add_variances(sums, image, frame, kernel, weight_type, geometry)
    variances = {name: total.result(frame.ratio) for name, total in sums.items()}
    return Drizzled(
        sci=target.out_img,
        wht=target.out_wht,
        con=target.out_ctx,
        dq=target.out_dq,
        err=total_error(list(variances.values())) if variances else None,
        **variances,
    )


def _geometry(
    image: Image, pixmap: NDArray[np.float64], weight: Float, pixfrac: float, ratio: float
) -> dict[str, Any]:
    """How the library is to spread the arrays of an image."""
    return {
        "pixmap": pixmap,
        "weight_map": weight,
        "pixfrac": pixfrac,
        "pixel_scale_ratio": ratio,
        "exptime": exposure_time(image.header),
        "in_units": "cps",
        **_limits(image),
    }


def _add_variances(
    sums: dict[str, VarianceSum],
    image: Image,
    frame: Frame,
    kernel: str,
    weight_type: str,
    geometry: dict[str, Any],
) -> None:
    """Drizzle the errors of one image as its SCI was, and add their squares to the sums."""
    for name, total in sums.items():
        variance = getattr(image, name)
        if variance is None or variance.shape != image.sci.shape:
            continue
        plane = Drizzle(kernel=kernel, fillval=np.nan, out_shape=frame.shape, disable_ctx=True)
        plane.add_image(np.sqrt(variance), **geometry)
        squared = np.square(plane.out_img, out=plane.out_img)
        if name == "var_rnoise":
            weight = combination_weight(squared, weight_type, exposure_time(image.header))
        total.add(squared, weight)


def _limits(image: Image) -> dict[str, int]:
    """First and last pixel to visit, in x and in y: those that the bounding box touches."""
    ny, nx = image.sci.shape
    if image.wcs.bounding_box is None:
        return {"xmin": 0, "xmax": nx - 1, "ymin": 0, "ymax": ny - 1}
    (x1, x2), (y1, y2) = image.wcs.bounding_box.bounding_box(order="F")
    xmin, ymin = max(0, int(x1 + 0.5)), max(0, int(y1 + 0.5))
    xmax, ymax = max(xmin, min(nx - 1, int(x2 + 0.5))), max(ymin, min(ny - 1, int(y2 + 0.5)))
    return {"xmin": xmin, "xmax": xmax, "ymin": ymin, "ymax": ymax}


def _sky_subtracted(image: Image) -> Float:
    """SCI without the sky level that skymatch found and did not subtract itself."""
    level = image.header.get("BKGLEVEL")
    if level is None or image.header.get("BKGSUB") is True:
        return image.sci
    return image.sci - np.float32(level)
