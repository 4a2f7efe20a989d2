"""calwebb_image3: calibrated images to one mosaic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calwebbd.stages.exposure import Catalogue, Exposure, Header, Image, Mosaic
from calwebbd.stages.members import LeftOut, member_table, planned, require
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


@dataclass(frozen=True)
class Image3Params:
    minimum: float = 0.5  #: share of the association's exposures that must be usable
    use_planned_pointing: bool = False  #: combine exposures whose pointing was not measured, too


@pipeline(
    reads=("cal",),
    writes=("crf", "i2d", "cat", "segm", "members"),
    steps=(assign_mtwcs, *FIXED, *LAST),
    combines=True,
    chosen=chosen,
    params=Image3Params,
)
def image3(run: Run, images: list[Image]) -> dict[str, Exposure | Catalogue | list[Exposure]]:
    """Align the images, match their sky, flag outliers, combine them, list the sources (image3 §1).

    There are ``crf`` products where outliers were looked for, a mosaic unless resample is switched off,
    and ``cat`` and ``segm`` if there are sources in it; ``members`` says who was used, and how.
    A member that cannot be used is left out as long as enough others can.
    """
    images, left_out = usable(run, images)
    *compare, _, _ = chosen(images[0].header)
    flagged = run.steps(compare, images)
    products: dict[str, Exposure | Catalogue | list[Exposure]] = {}
    if flagged[0].header["S_OUTLIR"] == "COMPLETE":
        products["crf"] = flagged
    members = member_table(flagged, left_out)
    mosaic = run.step(resample, flagged)
    if isinstance(mosaic, Mosaic):
        products |= {"i2d": run.step(source_catalog, mosaic), "members": members}
    return products


def usable(run: Run, images: list[Image]) -> tuple[list[Image], list[LeftOut]]:
    """The images whose pointing is known, and who is left out. Raises InputError if too many are."""
    params = run.parameters.values
    unknown = [] if params.use_planned_pointing else planned(images)
    files = {each.file for each in unknown}
    left_out = [*run.left_out, *unknown]
    images = [image for image in images if Path(image.file).name not in files]
    require(images, left_out, params.minimum)
    return images, left_out
