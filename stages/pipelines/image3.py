"""calwebb_image3: calibrated images to one mosaic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calwebbd.stages.astray import astray
from calwebbd.stages.exposure import Catalogue, Exposure, Header, Image, Mosaic
from calwebbd.stages.members import LeftOut, member_table, planned, require, unfit
from calwebbd.stages.run import Run
from calwebbd.stages.step import Step, pipeline
from calwebbd.stages.steps.assign_mtwcs import assign_mtwcs
from calwebbd.stages.steps.outlier_detection import outlier_detection
from calwebbd.stages.steps.resample import output_frame, resample
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
    use_stray_pointing: bool = False  #: combine exposures that lie apart from all others of their visit, too


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
    images, run.left_out = usable(run, images)
    compare = chosen(images[0].header)[: -len(LAST)]
    settings = run.settings(resample)
    if compare == FIXED and not settings.skip:
        output_frame(images, settings.values)  # refuses a mosaic that cannot be, before the work of an hour
    flagged = run.steps(compare, images)
    products: dict[str, Exposure | Catalogue | list[Exposure]] = {}
    if flagged[0].header["S_OUTLIR"] == "COMPLETE":
        products["crf"] = flagged
        run.begin_before(resample, "crf", flagged)
    members = member_table(flagged, run.left_out)
    mosaic = run.step(resample, flagged)
    if isinstance(mosaic, Mosaic):
        run.begin_before(source_catalog, "i2d", mosaic)
        products |= {"i2d": run.step(source_catalog, mosaic), "members": members}
    return products


def usable(run: Run, images: list[Image]) -> tuple[list[Image], list[LeftOut]]:
    """The images that can be combined, whose pointing is known and can be right, and who is left out.

    Of a moving target exposures need not see the same sky. Raises InputError if too many are left out.
    """
    params, moving = run.parameters.values, images[0].header.text("TARGTYPE") == "MOVING"
    left_out = [*run.left_out, *unfit(images)]
    images = _without(images, left_out)
    if not params.use_planned_pointing:
        left_out += planned(images)
    if not params.use_stray_pointing and not moving:
        left_out += astray(_without(images, left_out))
    images = _without(images, left_out)
    require(images, left_out, params.minimum)
    return images, left_out


def _without(images: list[Image], left_out: list[LeftOut]) -> list[Image]:
    files = {each.file for each in left_out}
    return [image for image in images if Path(image.file).name not in files]
