"""Resample exposures onto one rectified frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from calwebbd.stages.blend import blend
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Image, Mosaic
from calwebbd.stages.groups import groups
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.steps.resample.drizzle import Drizzled, drizzle
from calwebbd.stages.steps.resample.frame import Frame, FrameParams, output_frame
from calwebbd.stages.steps.resample.metadata import (
    ARCSEC2_PER_SR,
    footprint,
    frame_keywords,
    remove_detector,
    times,
)

__all__ = ["Drizzled", "Frame", "FrameParams", "drizzle", "output_frame", "resample"]


@dataclass(frozen=True)
class ResampleParams(FrameParams):
    pixfrac: float = 1.0  #: side of the drop that stands for an input pixel, pixels
    kernel: Literal["square", "gaussian", "point", "turbo", "lanczos2", "lanczos3"] = "square"  #: its shape
    fillval: str = "NAN"  #: of SCI where no input contributes
    weight_type: Literal["ivm", "exptime"] = "ivm"  #: 1 / VAR_RNOISE, or exposure time
    blendheaders: bool = True  #: combine the headers of several inputs, with a table of them
    enable_ctx: bool = True  #: write which inputs contributed to each pixel
    enable_err: bool = True  #: write ERR and the variances
    report_var: bool = True  #: write the variances, not just ERR
    propagate_dq: bool = False  #: write the flags of the inputs that contributed
    pixmap_stepsize: float = 1.0  #: pixels between places where the WCS is evaluated
    pixmap_order: int = 1  #: of the splines between them, 1 or 3


@step(keyword="S_RESAMP", params=ResampleParams)
def resample(exposures: Image | Sequence[Image], references: References, params: ResampleParams) -> Mosaic:
    """Drizzle one exposure or several onto one frame.

    Afterwards NaN and DO_NOT_USE match in exposures in memory; nothing else in them changes.
    Raises Skip for a single exposure without WCS.
    Source: specification image2 §6.
    """
    images = [exposures] if isinstance(exposures, Image) else list(exposures)
    for image in images:
        if image.by_integration:
            raise InputError("resample takes exposures, not integrations", file=image.file)
    if len(images) == 1 and images[0].wcs is None:
        raise Skip("the exposure has no WCS")
    frame = output_frame(images, params)
    drizzled = drizzle(
        images,
        frame,
        kernel=params.kernel,
        pixfrac=params.pixfrac,
        weight_type=params.weight_type,
        fillval=params.fillval,
        with_variances=params.enable_err,
        with_context=params.enable_ctx,
        with_dq=params.propagate_dq,
        match=True,
        pixmap_stepsize=params.pixmap_stepsize,
        pixmap_order=params.pixmap_order,
    )
    return mosaic(images, frame, drizzled, params)


def mosaic(images: Sequence[Image], frame: Frame, drizzled: Drizzled, params: ResampleParams) -> Mosaic:
    """The product: the arrays with the header of the first image, or the blended one of several.

    Source: specification image2 §6.7.
    """
    first = images[0]
    header, table = first.header.copy(), None
    if params.blendheaders and len(images) > 1:
        header, table = blend([image.header for image in images])
    keywords = {
        **times(images),
        **frame_keywords(frame, first.header),
        "S_REGION": footprint(images, frame) or None,
        "PIXAR_A2": frame.pixel_scale**2,
        "PIXAR_SR": frame.pixel_scale**2 / ARCSEC2_PER_SR,
        "PXSCLRT": frame.ratio,
        "PIXFRAC": params.pixfrac,
        "RESWHT": params.weight_type,
        "NDRIZ": len(groups(images)),
        **dict.fromkeys(("BKGLEVEL", "BKGSUB")),
    }
    remove_detector(header)
    header.update({key: value for key, value in keywords.items() if value is not None})
    for key in [key for key, value in keywords.items() if value is None]:
        header.pop(key, None)
    metadata = {k: v for k, v in first.metadata.items() if not k.startswith("meta.wcsinfo.")}
    metadata |= {"meta.resample.kernel": params.kernel, "meta.resample.fillval": params.fillval}
    variances = params.report_var
    return Mosaic(
        header,
        drizzled.sci,
        err=drizzled.err,
        wht=drizzled.wht,
        con=drizzled.con,
        dq=drizzled.dq,
        var_poisson=drizzled.var_poisson if variances else None,
        var_rnoise=drizzled.var_rnoise if variances else None,
        var_flat=drizzled.var_flat if variances else None,
        hdrtab=table,
        wcs=frame.wcs,
        metadata=metadata,
        file=first.file,
    )
