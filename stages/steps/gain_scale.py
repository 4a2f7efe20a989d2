"""Scale rates taken with a gain other than the detector's usual one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from calwebbd.stages.exposure import Image
from calwebbd.stages.references import References
from calwebbd.stages.scratch import Cube, in_parts
from calwebbd.stages.step import NoParams, Skip, step


def scale(images: Sequence[Image], factor: float) -> None:
    """Multiply rates and errors by the factor, variances by its square, in place.

    Factor and square are rounded to single precision before they are used. Flags stay.
    Arrays that images share are multiplied once.
    Source: specification detector1 §3 gain_scale.
    """
    for name in ("sci", "err", "var_poisson", "var_rnoise"):
        by = np.float32(factor**2 if name.startswith("var") else factor)
        done: list[Any] = []
        for array in (getattr(image, name) for image in images):
            if isinstance(array, Cube) or not any(np.may_share_memory(array, other) for other in done):
                for (part,) in in_parts(array, each=1):
                    part *= by
            done.append(array)


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
    scale(each, float(factor))
    for image in each:
        image.header["GAINFACT"] = float(factor)
    return images
