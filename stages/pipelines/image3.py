"""calwebb_image3: calibrated images to one mosaic."""

from __future__ import annotations

from calwebbd.stages.exposure import Exposure, Header, Image, Mosaic
from calwebbd.stages.run import Run
from calwebbd.stages.step import Step, pipeline
from calwebbd.stages.steps.assign_mtwcs import assign_mtwcs
from calwebbd.stages.steps.outlier_detection import outlier_detection
from calwebbd.stages.steps.resample import resample
from calwebbd.stages.steps.skymatch import skymatch
from calwebbd.stages.steps.source_catalog import source_catalog
from calwebbd.stages.steps.tweakreg import tweakreg

FIXED = (tweakreg, skymatch, outlier_detection)
MOVING = (assign_mtwcs, skymatch, outlier_detection)
LAST = (resample, source_catalog)


def chosen(header: Header) -> tuple[Step, ...]:
    """Images of a moving target are put together by where it was, all others by their stars."""
    return (*(MOVING if header.text("TARGTYPE") == "MOVING" else FIXED), *LAST)


@pipeline(
    reads=("cal",),
    writes=("crf", "i2d", "cat", "segm"),
    steps=(assign_mtwcs, *FIXED, *LAST),
    combines=True,
    chosen=chosen,
)
def image3(run: Run, images: list[Image]) -> dict[str, Exposure | list[Exposure]]:
    """Align the images, match their sky, flag outliers, combine them, list the sources (image3 §1).

    There are ``crf`` products where outliers were looked for, a mosaic unless resample is switched off,
    and ``cat`` and ``segm`` if there are sources in it.
    """
    *compare, _, _ = chosen(images[0].header)
    flagged = run.steps(compare, images)
    products: dict[str, Exposure | list[Exposure]] = {}
    if flagged[0].header["S_OUTLIR"] == "COMPLETE":
        products["crf"] = flagged
    mosaic = run.step(resample, flagged)
    if isinstance(mosaic, Mosaic):
        products["i2d"] = run.step(source_catalog, mosaic)
    return products
