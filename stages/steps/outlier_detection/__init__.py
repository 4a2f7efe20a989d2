"""Flag what only one of several dithered exposures saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from calwebbd.stages import memory, scratch
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Image
from calwebbd.stages.groups import groups
from calwebbd.stages.masking import FLAGGED, blank
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.steps.outlier_detection.flagging import blot, mark, outliers_of_model, outliers_of_noise
from calwebbd.stages.steps.outlier_detection.kept import Kept
from calwebbd.stages.steps.outlier_detection.median import Layer, layer, median
from calwebbd.stages.steps.resample import Frame, drizzle, output_frame
from calwebbd.stages.steps.resample.canvas import Region
from calwebbd.stages.steps.resample.drizzle import fill_value
from calwebbd.stages.steps.resample.pixmap import pixel_map, region
from calwebbd.stages.steps.resample.weights import weights


@dataclass(frozen=True)
class OutlierDetectionParams:
    weight_type: Literal["ivm", "exptime"] = "ivm"  #: what input pixels count
    pixfrac: float = 1.0  #: size of the drops of drizzle, input pixels
    kernel: Literal["square", "point", "turbo"] = "square"  #: their shape
    fillval: str = "NAN"  #: value where no input contributes
    maskpt: float = 0.7  #: of the mean weight; pixels with less do not enter the median
    snr: tuple[float, ...] = (5.0, 4.0)  #: first and second limit, in units of ERR
    scale: tuple[float, ...] = (1.2, 0.7)  #: first and second limit, in units of the median's slope
    backg: float = 0.0  #: sky to add to the median where the exposure has no level of its own
    resample_data: bool = True  #: compare on the sky; otherwise pixel by pixel
    good_bits: str = "~DO_NOT_USE"  #: flags that do not exclude a pixel
    pixmap_stepsize: float = 1.0  #: pixels between computed positions
    pixmap_order: int = 1  #: of the splines between them
    save_intermediate_results: bool = False  #: write what is compared: ``outlier_i2d``, ``median``, ``blot``

    def __post_init__(self) -> None:
        for name in ("snr", "scale"):
            if len(getattr(self, name)) != 2:
                raise ParameterError(f"outlier_detection.{name} takes two values, not {getattr(self, name)}")


@step(keyword="S_OUTLIR", params=OutlierDetectionParams)
def outlier_detection(
    images: list[Image], references: References, params: OutlierDetectionParams
) -> list[Image]:
    """Flag pixels that differ from the median of all exposures: cosmic rays, and what moved.

    They get OUTLIER and DO_NOT_USE; these and all other pixels with DO_NOT_USE become NaN.
    Their share of an image is in its notes["outlier_detection"].
    Source: specification image3 §5.
    """
    if len(images) < 2:
        raise Skip("there is one image, and nothing to compare it with")
    if params.resample_data:
        _on_sky(images, params)
    else:
        _on_detector(images, params)
    return images


def _on_sky(images: list[Image], params: OutlierDetectionParams) -> None:
    """Drizzle each group onto one frame, and compare the images with the median of these."""
    frame = output_frame(images)
    members = [[images[index] for index in group] for group in groups(images).values()]
    parts = [region([(i.wcs, i.sci.shape) for i in group], frame.wcs, frame.shape) for group in members]
    sizes = [4 * (rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in parts]
    on_disk = sum(sizes) > memory.budget()
    kept = Kept(on_disk) if params.save_intermediate_results else None
    layers = [
        _layer(group, frame, part, params, on_disk, kept) for group, part in zip(members, parts, strict=True)
    ]
    model = median(layers, frame.shape)
    if kept:
        kept.compared(images[0], model, frame)
    for image in images:
        _flag(image, frame, model, params, kept)
    if kept:
        images[0].byproducts |= kept.products()


def _flag(
    each: Image, frame: Frame, model: Any, params: OutlierDetectionParams, kept: Kept | None = None
) -> None:
    """Flag where one image differs from the model."""
    stepsize, order = params.pixmap_stepsize, params.pixmap_order
    own = blot(model, pixel_map(each.wcs, frame.wcs, each.sci.shape, stepsize=stepsize, order=order))
    if kept:
        kept.blotted(each, own)
    with each.in_memory(only=FLAGGED, change=("dq",)) as image:
        sky = _sky(image, params)
        outliers = outliers_of_model(image.sci, image.err, own, sky, params.snr, params.scale)
        invalid = mark(image, outliers)
    blank(each, invalid)


def _layer(
    images: list[Image],
    frame: Frame,
    part: Region,
    params: OutlierDetectionParams,
    on_disk: bool,
    kept: Kept | None = None,
) -> Layer:
    """The images of one group, drizzled onto the part of the frame that they reach."""
    rows, columns = part
    drizzled = drizzle(
        images,
        frame,
        kernel=params.kernel,
        pixfrac=params.pixfrac,
        weight_type=params.weight_type,
        fillval=params.fillval,
        good_bits=params.good_bits,
        with_variances=False,
        with_context=False,
        pixmap_stepsize=params.pixmap_stepsize,
        pixmap_order=params.pixmap_order,
        region=part,
    )
    if kept:
        kept.drizzled(images[0], frame, part, drizzled, fill_value(params.fillval))
    sci = scratch.put(drizzled.sci) if on_disk else drizzled.sci
    return layer(columns.start, rows.start, sci, drizzled.wht, params.maskpt, fill_value(params.fillval))


def _sky(image: Image, params: OutlierDetectionParams) -> float:
    """What drizzle has taken from the image, and the median therefore lacks."""
    if image.header.get("BKGSUB") is False and "BKGLEVEL" in image.header:
        return image.header.real("BKGLEVEL")
    return params.backg


def _on_detector(images: list[Image], params: OutlierDetectionParams) -> None:
    """Compare the images with their median, pixel by pixel; they all look at the same place."""
    shapes = {image.sci.shape for image in images}
    if len(shapes) > 1:
        raise InputError(f"without resample_data all images have one shape, not {sorted(shapes)}")
    on_disk = any(isinstance(image.sci, scratch.Cube) for image in images)
    layers = []
    for each in images:
        with each.in_memory(only=("sci", "dq", "var_rnoise")) as image:
            sci = scratch.put(image.sci) if on_disk else image.sci.copy()
            weight = weights(image, params.weight_type, params.good_bits)
            layers.append(layer(0, 0, sci, weight, params.maskpt))
    model = median(layers, images[0].sci.shape)
    if params.save_intermediate_results:
        kept = Kept(on_disk)
        kept.compared(images[0], model, None)
        images[0].byproducts |= kept.products()
    for each in images:
        with each.in_memory(only=FLAGGED, change=("dq",)) as image:
            outliers = outliers_of_noise(image.sci, image.err, np.asarray(model), params.snr[0])
            invalid = mark(image, outliers)
        blank(each, invalid)
