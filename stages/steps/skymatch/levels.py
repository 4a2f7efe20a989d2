"""Sky levels of groups of images: measured, and made equal where they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float, Image
from calwebbd.stages.kernels import in_threads, threads
from calwebbd.stages.steps.skymatch.overlap import Footprint, Mask, Vertices, fill, overlaps
from calwebbd.stages.steps.skymatch.statistics import Core, Estimator, Sample, Sky

STRIDE = 8  #: pixels, of those that tell where most values are
ALL_BITS = 0xFFFFFFFF
Levels = NDArray[np.float64]  # one for each group; NaN where undefined


@dataclass(frozen=True)
class Member:
    """An image of a group, and its footprint."""

    image: Image
    footprint: Footprint


Group = Sequence[Member]


@dataclass(frozen=True)
class Measure:
    """How the level of some pixels of an image is measured.

    tolerated : flags that do not exclude a pixel; None if none does
    """

    estimate: Estimator
    tolerated: int | None

    def own(self, each: Image) -> Sky | None:
        """The level of an image."""
        with each.in_memory(only=("sci", "dq")) as image:
            return self.estimate(Sample.of(image.sci[self._good(image)]))

    def within(self, each: Image, outlines: Sequence[Sequence[Vertices]]) -> list[Sky | None]:
        """The level of an image within each of several sets of polygons, in its pixels."""
        with each.in_memory(only=("sci", "dq")) as image:
            good = self._good(image)
            core = Core.of(image.sci[::STRIDE, ::STRIDE][good[::STRIDE, ::STRIDE]])
            rooms: SimpleQueue[Float] = SimpleQueue()
            for _ in range(threads()):
                rooms.put(np.empty((2, image.sci.size), np.float32))

            def level(polygons: Sequence[Vertices]) -> Sky | None:
                mask = np.zeros(good.shape, np.bool_)
                for polygon in polygons:
                    fill(mask, polygon)
                room = rooms.get()  # used again and again: fresh memory takes longer than the pixels
                sky = self.estimate(Sample.gather(image.sci, good, mask, core, room))
                rooms.put(room)
                return sky

            return in_threads([partial(level, polygons) for polygons in outlines])

    def _good(self, image: Image) -> Mask:
        good: Mask = np.isfinite(image.sci)
        if self.tolerated is not None:
            good &= (image.dq & np.uint32(~self.tolerated & ALL_BITS)) == 0
        return good


def own_levels(groups: Sequence[Group], measure: Measure) -> Levels:
    """The level of each group: the least of its images'."""
    skies = [[measure.own(member.image) for member in group] for group in groups]
    return np.array([min((sky.level for sky in group if sky), default=np.nan) for group in skies])


def matching_levels(groups: Sequence[Group], measure: Measure, *, down: bool = True) -> Levels:
    """Levels whose subtraction makes overlapping groups equal; the lowest (highest) of them is 0.

    Each pair that overlaps gives one equation, weighted with the mean number of pixels;
    the solution is that of least squares and least norm. NaN for a group without any.
    Each image is read once. Source: specification image3 §4.
    """
    skies = [_in_others(group, groups, measure) for group in groups]
    rows, differences, matched = [], [], np.zeros(len(groups), np.bool_)
    for i, of_one in enumerate(skies):
        for j in sorted(of_one):
            if j <= i or i not in skies[j]:
                continue
            one, other = of_one[j], skies[j][i]
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


def _in_others(group: Group, groups: Sequence[Group], measure: Measure) -> dict[int, Sky]:
    """The level of a group where it overlaps each of the others: the mean of its images', by their pixels."""
    footprints = [[member.footprint for member in other] for other in groups if other is not group]
    numbers = [index for index, other in enumerate(groups) if other is not group]
    totals: dict[int, list[Sky]] = {}
    for member in group:
        outlines = overlaps(member.image, member.footprint, footprints)
        met = [n for n, polygons in enumerate(outlines) if polygons]
        for n, sky in zip(met, measure.within(member.image, [outlines[n] for n in met]), strict=True):
            if sky:
                totals.setdefault(numbers[n], []).append(sky)
    return {number: _mean(skies) for number, skies in totals.items()}


def _mean(skies: Sequence[Sky]) -> Sky:
    total, npix = 0.0, 0
    for sky in skies:
        total += sky.level * sky.npix
        npix += sky.npix
    return Sky(total / npix, npix)
