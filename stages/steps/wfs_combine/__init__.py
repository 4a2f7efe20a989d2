"""Combine pairs of defocused images of a star, by which the mirrors are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Float, Image, Mosaic, PixelDQ
from calwebbd.stages.references import References
from calwebbd.stages.step import step
from calwebbd.stages.steps.wfs_combine.refine import RefineParams, refinement
from calwebbd.stages.steps.wfs_combine.shift import offset, shifted

Arrays = tuple[Float, Float, PixelDQ]  #: SCI, ERR and DQ, (ny, nx)


@dataclass(frozen=True)
class WfsCombineParams(RefineParams):
    do_refine: bool = False  #: correct the offset of the pointings by that of the star
    flip_dithers: bool = True  #: align to the image that saw the star at the smaller x


@step(keyword="S_WFSCOM", params=WfsCombineParams)
def wfs_combine(images: Sequence[Image], references: References, params: WfsCombineParams) -> Mosaic:
    """Average two dithered images of a star, the second one shifted onto the first by whole pixels.

    Header and coordinate system are those of the first. Raises InputError if there are not two
    images of one shape.
    """
    if len(images) != 2:
        raise InputError(f"wavefront sensing combines 2 images, not {len(images)}")
    first, second = images
    if first.sci.shape != second.sci.shape:
        raise InputError(f"the images have different shapes, {first.sci.shape} and {second.sci.shape}")
    if params.flip_dithers and offset(first, second)[0] < 0:
        first, second = second, first
    dx, dy = offset(first, second)
    if params.do_refine:
        x, y = refinement(first, second, dx, dy, params)
        dx, dy = dx + round(x), dy + round(y)
    sci, err, dq = combined((first.sci, first.err, first.dq), aligned(second, dx, dy))
    header, metadata = first.header.copy(), dict(first.metadata)
    return Mosaic(header, sci, err=err, dq=dq, wcs=first.wcs, metadata=metadata, file=first.file)


def aligned(image: Image, dx: int, dy: int) -> Arrays:
    """The arrays as [y + dy, x + dx] at [y, x]; DO_NOT_USE where there is none."""
    return (
        shifted(image.sci, dx, dy, 0),
        shifted(image.err, dx, dy, 0),
        shifted(image.dq, dx, dy, flags.DO_NOT_USE),
    )


def combined(first: Arrays, second: Arrays) -> Arrays:
    """The mean of both where both are good, else the good one; 0 where neither is.

    DO_NOT_USE makes a pixel bad. A value that is NaN counts as 0. Flags are those of the
    first, but of the second where that alone is good.
    """
    bad1, bad2 = ((dq & flags.DO_NOT_USE) != 0 for _, _, dq in (first, second))

    def chosen(a: Float, b: Float) -> Float:
        mean = (a.astype(np.float64) + b) / 2
        return np.select([~bad1 & ~bad2, ~bad1, ~bad2], [mean, a, b], 0).astype(np.float32)

    sci = chosen(*(np.where(np.isnan(values), 0, values) for values, _, _ in (first, second)))
    return sci, chosen(first[1], second[1]), np.where(bad1 & ~bad2, second[2], first[2])
