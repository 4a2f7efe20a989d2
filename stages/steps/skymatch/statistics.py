"""The sky level of a sample of pixels: clipped mode, median, midpoint or mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import moments
from calwebbd.stages.steps.skymatch.overlap import Mask

Statistic = Literal["mode", "median", "midpt", "mean"]
SHARE = 0.05  #: of the values lie below the core of a sample, and as many above
ENOUGH = 10_000  #: values tell where
NOTHING = np.array([0, 0, 0, np.inf, -np.inf])  #: moments of no value
TINY = 10 * float(np.finfo(np.float32).eps)  #: bins narrower than this are not made


@dataclass(frozen=True)
class Sky:
    """A level, and the number of pixels it comes from."""

    level: float
    npix: int


@dataclass(frozen=True)
class Core:
    """Values that no clipping is expected to take: it looks at the others only, again and again."""

    low: float = math.inf
    high: float = -math.inf

    @classmethod
    def of(cls, values: Float) -> Core:
        """The middle of a sample."""
        if not values.size:
            return cls()
        shares = (SHARE, 1 - SHARE)
        low, high = np.quantile(values[:: max(1, values.size // ENOUGH)], shares, method="nearest")
        return cls(float(low), float(high))

    @property
    def centre(self) -> float:
        return 0.5 * (self.low + self.high) if self.low <= self.high else 0.0


@dataclass(frozen=True)
class Sample:
    """Values without NaN, in the order of the pixels.

    others : those that are not in the core
    moments : of those that are (`moments.gather`)
    """

    values: Float
    core: Core
    others: Float
    moments: NDArray[np.float64]

    @classmethod
    def gather(cls, sci: Float, good: Mask, wanted: Mask, core: Core, room: Float | None = None) -> Sample:
        """The good ones of the pixels that are wanted, (ny, nx).

        room : (2, sci.size), for the values, which stay there
        """
        values, others = np.empty((2, sci.size), np.float32) if room is None else room
        found = np.empty(5)
        number, outside = moments.gather(
            *(sci, good, wanted, np.float32(core.low), np.float32(core.high), core.centre),
            *(values, others, found),
        )
        return cls(values[:number], core, others[:outside], found)

    @classmethod
    def of(cls, values: Float) -> Sample:
        """Of plain values."""
        every = np.ones((1, values.size), np.bool_)
        return cls.gather(values.reshape(1, -1), every, every, Core.of(values))

    def between(self, low: np.float32, high: np.float32) -> tuple[int, float, float, float, float]:
        """Number, mean, standard deviation, least and greatest of the values between two limits."""
        inside = bool(low <= self.core.low and self.core.high <= high)
        values, counted = (self.others, self.moments) if inside else (self.values, NOTHING)
        count, *found = moments.between(values, low, high, self.values[0], self.core.centre, counted)
        mean, sigma, least, greatest = map(float, found)
        return count, mean, sigma, least, greatest


@dataclass(frozen=True)
class Estimator:
    """How a level is found. Source: specification image3 §4, and IRAF's gstatistics.

    lower, upper : values beyond them are not used; None for no limit
    lsigma, usigma : clipping limits below and above the mean, sigma
    binwidth : sigma
    """

    skystat: Statistic = "mode"
    lower: float | None = None
    upper: float | None = None
    nclip: int = 5
    lsigma: float = 4.0
    usigma: float = 4.0
    binwidth: float = 0.1

    def __call__(self, sample: Sample) -> Sky | None:
        """The level of a sample; None if too few values are left to tell."""
        values = sample.values
        if not len(values):
            return None
        *_, least, greatest = sample.between(np.float32(-np.inf), np.float32(np.inf))
        lower = least if self.lower is None else self.lower
        upper = greatest if self.upper is None else self.upper
        low, high = np.float32(lower), np.float32(upper)
        for clip in range(self.nclip + 1):
            count, mean, sigma, least, greatest = sample.between(low, high)
            if not count:
                return None
            if clip < self.nclip:
                before = low, high
                # max and min in this order: a single value has no sigma, and keeps its limits
                low = np.float32(max(lower, mean - self.lsigma * sigma))
                high = np.float32(min(upper, mean + self.usigma * sigma))
                if (low, high) == before:
                    break
        if self.skystat == "mean":
            level = mean
        elif self.skystat == "median":
            level = float(np.median(values[(values >= low) & (values <= high)]))
        else:
            counts = histogram(values, least, greatest, self.binwidth * sigma)
            place = peak(counts) if self.skystat == "mode" else middle(counts)
            level = least + place * self.binwidth * sigma
        return Sky(level, count) if math.isfinite(level) else None


def histogram(values: Float, least: float, greatest: float, width: float) -> NDArray[np.int64]:
    """Counts of the values from `least` to `greatest` in bins of about `width`.

    One bin where the width is nothing or more than the range. Otherwise the bins are
    stretched a little, so that the greatest value begins the last of them; single precision.
    """
    span = greatest - least
    if width < TINY or span < TINY or width > span or math.isnan(width):
        return np.ones(1, np.int64)
    bins = int(span / width) + 1
    stretched = np.float32(span / (bins - 1))
    counts = np.zeros(bins, np.int64)
    moments.histogram(values, np.float32(least), stretched, counts)
    return counts


def peak(counts: NDArray[np.int64]) -> float:
    """Where the highest bin is, in bins from the left edge, by a parabola through its neighbours."""
    if len(counts) == 2 and counts[0] == counts[1]:
        return 1.0
    highest = int(counts.argmax())
    if 0 < highest < len(counts) - 1:
        left, right = (int(counts[highest] - counts[n]) for n in (highest - 1, highest + 1))
        if left + right:
            return highest + 0.5 + 0.5 * (left - right) / (left + right)
    return highest + 0.5


def middle(counts: NDArray[np.int64]) -> float:
    """Where half of the values lie below, in bins from the left edge, linear within the bin."""
    below = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    half = int(np.argmax(below[1:] >= 0.5))
    return half + float((0.5 - below[half]) / (below[half + 1] - below[half]))
