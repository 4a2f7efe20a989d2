"""Plug-ins of an imaginary site: one for exposures, one for associations, one for programs."""

from dataclasses import dataclass

import numpy as np

from calwebbd.stages.exposure import Image
from calwebbd.stages.plugins import plugin
from calwebbd.stages.run import Run
from calwebbd.stages.step import Skip, pipeline, step


@dataclass(frozen=True)
class PedestalParams:
    level: float = 1.0  #: DN/s


@plugin(pipeline="image2", after="flat_field")
@step(keyword="S_PEDEST", params=PedestalParams)
def pedestal(image: Image, references: object, params: PedestalParams) -> Image:
    """Subtract a constant from an exposure."""
    if params.level == 0.0:
        raise Skip("there is nothing to subtract")
    image.sci -= np.float32(params.level)
    return image


@plugin(pipeline="image3", before="skymatch")
@step(keyword="S_LEVEL")
def level(images: list[Image], references: object, params: object) -> list[Image]:
    """Bring all exposures of an association to one median."""
    for image in images:
        image.sci -= np.nanmedian(image.sci)
    return images


@step(keyword="S_DEPTH")
def measure(images: list[Image], references: object, params: object) -> Image:
    """The scatter of all exposures of a program, pixel by pixel of their detectors."""
    first = images[0]
    first.sci = np.nanstd([image.sci for image in images], axis=0).astype(np.float32)
    return first


@pipeline(name="depth", reads=("cal",), writes=("depth",), steps=(measure,), combines=True)
def depth(run: Run, images: list[Image]) -> dict[str, Image]:
    """What is made of all calibrated exposures of a program."""
    return {"depth": run.step(measure, images)}
