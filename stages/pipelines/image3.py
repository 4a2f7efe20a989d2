"""calwebb_image3: calibrated images to one mosaic."""

from __future__ import annotations

from calwebbd.stages.exposure import Exposure, Image, Mosaic
from calwebbd.stages.run import Run
from calwebbd.stages.step import pipeline
from calwebbd.stages.steps.outlier_detection import outlier_detection
from calwebbd.stages.steps.resample import resample
from calwebbd.stages.steps.skymatch import skymatch

COMPARE = (skymatch, outlier_detection)
LACKING = {"assign_mtwcs": "", "tweakreg": "S_TWKREG", "source_catalog": ""}


@pipeline(reads=("cal",), writes=("crf", "i2d"), steps=(*COMPARE, resample), lacking=LACKING, combines=True)
def image3(run: Run, images: list[Image]) -> dict[str, Exposure | list[Exposure]]:
    """Match the sky, flag outliers, and combine the images (specification image3 §1).

    There are ``crf`` products where outliers were looked for, and a mosaic unless resample is switched off.
    """
    flagged = run.steps(COMPARE, images)
    products: dict[str, Exposure | list[Exposure]] = {}
    if flagged[0].header["S_OUTLIR"] == "COMPLETE":
        products["crf"] = flagged
    mosaic = run.step(resample, flagged)
    if isinstance(mosaic, Mosaic):
        products["i2d"] = mosaic
    return products
