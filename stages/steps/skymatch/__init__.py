"""Match the sky levels of overlapping images."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Image
from calwebbd.stages.groups import groups
from calwebbd.stages.names import split_suffix
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.steps.skymatch.levels import Levels, Measure, Member, matching_levels, own_levels
from calwebbd.stages.steps.skymatch.overlap import footprint
from calwebbd.stages.steps.skymatch.statistics import Estimator


@dataclass(frozen=True)
class SkyMatchParams:
    skymethod: Literal["match", "local", "global", "global+match", "user"] = "match"  #: how levels are found
    match_down: bool = True  #: match to the lowest level, otherwise to the highest
    subtract: bool = False  #: take the level from SCI, otherwise only record it
    skylist: str | None = None  #: for user: text file of file names and levels
    stepsize: int | None = None  #: pixels between vertices of a footprint; None: its corners only
    skystat: Literal["mode", "median", "midpt", "mean"] = "mode"  #: the estimator of a level
    dqbits: str = "~DO_NOT_USE+NON_SCIENCE"  #: flags that do not exclude a pixel
    lower: float | None = None  #: least value used, unit of SCI
    upper: float | None = None  #: greatest value used, unit of SCI
    nclip: int = 5  #: rounds of clipping
    lsigma: float = 4.0  #: clipping limit below the mean, sigma
    usigma: float = 4.0  #: clipping limit above the mean, sigma
    binwidth: float = 0.1  #: of the histogram of mode and midpt, sigma


@step(keyword="S_SKYMAT", params=SkyMatchParams)
def skymatch(images: list[Image], references: References, params: SkyMatchParams) -> list[Image]:
    """Find the sky level of each image, such that overlapping images match.

    The level is recorded as BKGLEVEL; SCI changes only with `subtract`. All images of one
    exposure share a level. An image without one (no overlap, no usable pixel) is SKIPPED.

    Source: specification image3 §4.
    """
    if len(images) == 1 and params.skymethod == "match":
        raise Skip("there is one image, and nothing to match it with")
    for image in images:
        _check_earlier(image, params.subtract)
    levels = _listed(images, params) if params.skymethod == "user" else _measured(images, params)
    for image, level in zip(images, levels, strict=True):
        if not np.isnan(level):
            _record(image, float(level), params)
    missing = [image for image, level in zip(images, levels, strict=True) if np.isnan(level)]
    if missing:
        names = ", ".join(Path(image.file).name for image in missing)
        some = missing if len(missing) < len(images) else ()
        raise Skip(f"no sky level could be measured in {names}", only=some)
    return images


def _check_earlier(image: Image, subtract: bool) -> None:
    """Raise InputError if an earlier run of the step left what this one cannot go on from."""
    level, subtracted = (image.header.get(keyword) for keyword in ("BKGLEVEL", "BKGSUB"))
    if (level is None) != (subtracted is None):
        raise InputError(f"BKGLEVEL is {level} while BKGSUB is {subtracted}", file=image.file)
    if subtracted is not None and subtracted != subtract:
        raise InputError(f"BKGSUB is {subtracted} and subtract={subtract} is asked for", file=image.file)


def _measured(images: list[Image], params: SkyMatchParams) -> Levels:
    """The level of each image, by the pixels; NaN where it has none."""
    estimate = Estimator(**{field.name: getattr(params, field.name) for field in fields(Estimator)})
    measure = Measure(estimate, flags.parse(params.dqbits))
    indices = list(groups(images).values())
    footprints = [footprint(image, params.stepsize) for image in images]
    grouped = [[Member(images[index], footprints[index]) for index in group] for group in indices]
    levels = np.zeros(len(grouped))
    if "match" in params.skymethod:
        levels = matching_levels(grouped, measure, down=params.match_down)
    if params.skymethod == "local":
        levels = own_levels(grouped, measure)
    elif "global" in params.skymethod:
        levels = np.nan_to_num(levels)
        levels = levels + np.fmin.reduce(own_levels(grouped, measure) - levels)
    each = np.empty(len(images))
    for group, level in zip(indices, levels, strict=True):
        each[group] = level
    return each


def _listed(images: list[Image], params: SkyMatchParams) -> Levels:
    """The levels that the user's list has for the images, by their names without suffix."""
    if params.skylist is None:
        raise ParameterError("skymethod user needs a skylist")
    listed: dict[str, float] = {}
    lines = [line.split() for line in Path(params.skylist).read_text().splitlines() if line.strip()]
    for name, level in lines:
        root = split_suffix(Path(name).name)[0]
        if root in listed:
            raise ParameterError(f"skylist {params.skylist} has {root} more than once")
        listed[root] = float(np.float32(level))
    roots = [split_suffix(Path(image.file).name)[0] for image in images]
    if absent := [root for root in roots if root not in listed]:
        raise ParameterError(f"skylist {params.skylist} has no level for {', '.join(absent)}")
    return np.array([listed[root] for root in roots])


def _record(image: Image, level: float, params: SkyMatchParams) -> None:
    earlier = 0.0
    if params.subtract:
        earlier = image.header.real("BKGLEVEL", 0.0) if params.skymethod != "user" else 0.0
        with image.in_memory(only=("sci",), change=("sci",)) as loaded:
            loaded.sci -= np.float32(level)
    image.header.update(BKGMETH=params.skymethod, BKGLEVEL=earlier + level, BKGSUB=params.subtract)
