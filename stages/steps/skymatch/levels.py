"""Sky levels of groups of images: measured, and made equal where they overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Image
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.steps.skymatch.overlap import Footprint, Mask, Vertices, fill, overlap
from calwebbd.stages.steps.skymatch.statistics import Estimator, Sky

Levels = NDArray[np.float64]  # one for each group; NaN where undefined


@dataclass(frozen=True)
class Member:
    """An image of a group: its usable pixels, its footprint, and the sky already taken from it."""

    image: Image
    good: Mask
    footprint: Footprint


Group = Sequence[Member]
Outlines = list[list[Vertices]]  # of the overlaps with another group, for each image


def own_levels(groups: Sequence[Group], estimate: Estimator) -> Levels:
    """The level of each group: the least of its images'."""

    def least(group: Group) -> float:
        skies = [estimate(member.image.sci[member.good]) for member in group]
        return min((sky.level for sky in skies if sky), default=np.nan)

    return np.array(in_threads([partial(least, group) for group in groups]))


def matching_levels(groups: Sequence[Group], estimate: Estimator, *, down: bool = True) -> Levels:
    """Levels whose subtraction makes overlapping groups equal; the lowest (highest) of them is 0.

    Each pair that overlaps gives one equation, weighted with the mean number of pixels;
    the solution is that of least squares and least norm. NaN for a group without any.
    Source: specification image3 §4.
    """
    pairs = list(combinations(range(len(groups)), 2))
    outlines = [(_outlines(groups[i], groups[j]), _outlines(groups[j], groups[i])) for i, j in pairs]
    tasks: list[Callable[[], Any]] = [
        partial(_pair, groups[i], groups[j], both, estimate)
        for (i, j), both in zip(pairs, outlines, strict=True)
    ]
    rows, differences, matched = [], [], np.zeros(len(groups), np.bool_)
    for (i, j), skies in zip(pairs, in_threads(tasks), strict=True):
        if skies is None:
            continue
        one, other = skies
        weight = 0.5 * (one.npix + other.npix)
        row = np.zeros(len(groups))
        row[i], row[j] = weight, -weight
        rows.append(row)
        differences.append(weight * (one.level - other.level))
        matched[[i, j]] = True
    levels = np.full(len(groups), np.nan)
    if rows:
        levels[matched] = (np.linalg.pinv(np.array(rows), rcond=1e-12) @ differences)[matched]
        levels -= np.nanmin(levels) if down else np.nanmax(levels)
    return levels


def _outlines(group: Group, other: Group) -> Outlines:
    footprints = [member.footprint for member in other]
    return [overlap(member.image, member.footprint, footprints) for member in group]


def _pair(
    one: Group, other: Group, outlines: tuple[Outlines, Outlines], estimate: Estimator
) -> tuple[Sky, Sky] | None:
    """The levels of two groups where they overlap; None unless both have one."""
    first = _within(one, outlines[0], estimate)
    second = _within(other, outlines[1], estimate) if first else None
    return (first, second) if first and second else None


def _within(group: Group, outlines: Outlines, estimate: Estimator) -> Sky | None:
    """The level of a group within outlines: the mean of its images', weighted with their pixels."""
    total, npix = 0.0, 0
    for member, polygons in zip(group, outlines, strict=True):
        mask = np.zeros(member.good.shape, np.bool_)
        for polygon in polygons:
            fill(mask, polygon)
        sky = estimate(member.image.sci[mask & member.good])
        if sky:
            total += sky.level * sky.npix
            npix += sky.npix
    return Sky(total / npix, npix) if npix else None
