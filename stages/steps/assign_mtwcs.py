"""Put the exposures of a moving target together as it saw them, not as the sky did."""

from __future__ import annotations

from copy import deepcopy

import gwcs
import numpy as np
from astropy.modeling.models import Shift

from calwebbd.stages import footprints
from calwebbd.stages.exposure import Image
from calwebbd.stages.references import References
from calwebbd.stages.step import NoParams, Skip, step
from calwebbd.stages.steps.assign_wcs import footprint

FRAME = "moving_target"


@step(keyword="S_MTWCS")
def assign_mtwcs(images: list[Image], references: References, params: NoParams) -> list[Image]:
    """Move each image by what its target was away from the mean position of the targets of all.

    Positions are the MT_RA and MT_DEC of the middle of each exposure, degrees; the mean is written
    as MT_AVRA and MT_AVDEC. Both coordinates are added plainly, without a factor cos(dec).
    Source: specification image3 §2.
    """
    missing = [image.file for image in images if not {"MT_RA", "MT_DEC"} <= image.header.keys()]
    if missing:
        raise Skip(f"MT_RA or MT_DEC is missing from {', '.join(missing)}")
    targets = np.array([[image.header.real("MT_RA"), image.header.real("MT_DEC")] for image in images])
    mean = targets.mean(axis=0)
    for image, target in zip(images, targets, strict=True):
        *steps, last = image.wcs.pipeline
        frame = deepcopy(last.frame)
        frame.name = FRAME
        shift = Shift(mean[0] - target[0]) & Shift(mean[1] - target[1])
        image.wcs = gwcs.WCS([*steps, (last.frame, shift), (frame, None)])
        image.header.update(MT_AVRA=float(mean[0]), MT_AVDEC=float(mean[1]))
        image.header["S_REGION"] = footprints.write([footprint(image)])
    return images
