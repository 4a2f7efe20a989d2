"""Small images that look at overlapping parts of one sky, each with its coordinate system."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from images import POINTING, SCALE, distortion, make_image

from calwebbd.stages import footprints
from calwebbd.stages.exposure import Header, Image, Subarray
from calwebbd.stages.steps.assign_wcs import footprint
from calwebbd.stages.steps.assign_wcs.imaging import imaging_wcs

DEC = 20.0  #: deg
VISIT = {
    "PROGRAM": "01234",
    "OBSERVTN": "001",
    "VISIT": "001",
    "VISITGRP": "02",
    "SEQ_ID": "1",
    "ACT_ID": "01",
}


def dither(sci: Any, x: float = 0, y: float = 0, exposure: int = 1, detector: str = "NRCA1") -> Image:
    """An image whose pixels lie (x, y) pixels from those of the undithered one, along its own axes.

    Exposures of one number belong together. All of them are unrotated, so that offsets in
    pixels are the same in every image to a small fraction of a pixel.
    """
    image = make_image(sci)
    ny, nx = image.sci.shape
    pointing, image.wcs = _pointing(nx, ny, x, y)
    image.header["S_REGION"] = footprints.write([footprint(image)])
    image.header.update(pointing)
    image.header.update(VISIT, EXPOSURE=f"{exposure:05d}", DETECTOR=detector)
    image.file = f"jw01234001001_02101_{exposure:05d}_{detector.lower()}_cal.fits"
    return image


@cache
def _pointing(nx: int, ny: int, x: float, y: float) -> tuple[dict[str, float], Any]:
    pointing = {
        "RA_REF": 80.0 + POINTING["VPARITY"] * x * SCALE / 3600 / np.cos(np.deg2rad(DEC)),
        "DEC_REF": DEC + y * SCALE / 3600,
        "ROLL_REF": 0.0,
    }
    header = Header(POINTING | pointing)
    return pointing, imaging_wcs(header, Subarray(0, 0, nx, ny), distortion(nx, ny), (0.0, 0.0))
