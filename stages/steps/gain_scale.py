"""Scale rates taken with a gain other than the detector's usual one."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.exposure import Image
from calwebbd.stages.references import References
from calwebbd.stages.step import NoParams, Skip, step


def scale(image: Image, factor: float) -> None:
    """Multiply rates and errors by the factor, variances by its square, in place.

    Factor and square are rounded to single precision before they are used. Flags stay.
    Source: specification detector1 §3 gain_scale.
    """
    image.sci *= np.float32(factor)
    image.err *= np.float32(factor)
    image.var_poisson *= np.float32(factor**2)
    image.var_rnoise *= np.float32(factor**2)


@step(keyword="S_GANSCL", optional=("gain",))
def gain_scale(
    images: Image | tuple[Image, ...], references: References, params: NoParams
) -> Image | tuple[Image, ...]:
    """Undo a non-standard gain setting, by the factor GAINFACT of the exposure or its gain reference."""
    each = images if isinstance(images, tuple) else (images,)
    factor = each[0].header.get("GAINFACT")
    if factor is None and "gain" in references:
        factor = references["gain"].header.get("GAINFACT")
    if factor is None:
        raise Skip("the gain reference has no GAINFACT")
    for image in each:
        scale(image, float(factor))
        image.header["GAINFACT"] = float(factor)
    return images
