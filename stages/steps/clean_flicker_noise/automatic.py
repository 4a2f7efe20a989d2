"""Parameters chosen by what the background of an image looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.steps.clean_flicker_noise.clipping import Mask, clip, median
from calwebbd.stages.steps.clean_flicker_noise.lines import CHANNEL, line_medians
from calwebbd.stages.steps.clean_flicker_noise.mesh import smooth_level

Real = NDArray[np.float64]
MIDDLE = (3 / 8, 5 / 8)  # of the rows or columns that are averaged
FIRST_CHANNEL = (10 / 12, 11 / 12)  # rows of NIRISS that may differ from the others
FULL = 2048


@dataclass(frozen=True)
class Limits:
    """From where on a property counts as high; DN/s, by pixel where it is a slope."""

    lit: float  # part of the pixels that show sources
    offset: float = 0.07  # between channels
    slope: float = 1e-5
    slope_beside_offset: float = 1e-5
    ratio: float = 3.0  # of the two slopes
    scatter: float = 0.02  # about the slope


LIMITS = {
    "NIS_IMAGE": Limits(lit=0.07, slope_beside_offset=1e-4, ratio=5.0),
    "NRC_IMAGE": Limits(lit=0.1),
}


@dataclass(frozen=True)
class Look:
    """What decides: the fields of `Limits`."""

    lit: float
    offset: float
    slope: float
    ratio: float
    scatter: float


def choose(kind: str, rate: Float, flat: Float | None, axis: int) -> dict[str, Any]:
    """background_method and fit_by_channel for a draft rate of this EXP_TYPE, one of `LIMITS`.

    rate, flat : (ny, nx); axis : along which noise is constant
    Source: specification detector1 §3 clean_flicker_noise, autoparam.
    """
    return decide(look(kind, *background_of(rate if flat is None else rate / flat, axis)), LIMITS[kind])


def background_of(rate: Float, axis: int) -> tuple[Float, Mask]:
    """The rate, quickly cleaned, with a smooth background where sources are; and where it shows its own."""
    mask = np.ones(rate.shape, bool)
    clip(rate, mask, 3.0, 2.0)
    absent = np.isnan(rate)
    mask &= ~absent
    image = np.where(absent, np.float32(0), rate)
    values = clip(image, mask, 3.0, 3.0, lower_half=True)
    level = median(values)
    image -= level
    values.lower(level)
    clip(image, mask, 3.0, 2.0, lower_half=True, values=values)
    image -= line_medians(image, mask, axis)
    image += level
    values = clip(image, mask, 3.0, 3.0, lower_half=True)
    return np.where(mask, image, smooth_level(image, mask, values)), mask


def look(kind: str, image: Float, mask: Mask) -> Look:
    """Properties of a background, (ny, nx)."""
    by_column, by_row = _average(image, MIDDLE), _average(image.T, MIDDLE)
    (across, scatter), (along, _) = _line(by_column), _line(by_row)
    if kind == "NIS_IMAGE":
        scatter = _line(_average(image, FIRST_CHANNEL))[1]
    largest, least = max(abs(along), abs(across)), min(abs(along), abs(across))
    return Look(
        lit=float(np.mean(~mask)),
        offset=_offset(by_row if kind == "NIS_IMAGE" else by_column),
        slope=largest,
        ratio=largest / least if least else np.inf,
        scatter=scatter,
    )


def decide(seen: Look, limits: Limits) -> dict[str, Any]:
    """The background's model, and whether channels are fitted apart."""
    crowded, offset = seen.lit >= limits.lit, seen.offset >= limits.offset
    steep, steep_beside_offset = seen.slope >= limits.slope, seen.slope >= limits.slope_beside_offset
    if crowded:
        modelled, by_channel = (steep_beside_offset if offset else steep), False
    elif offset:
        modelled, by_channel = False, True
    else:
        modelled = steep_beside_offset or (steep and seen.ratio < limits.ratio)
        by_channel = seen.offset > 0 and seen.scatter >= limits.scatter
    return {"background_method": "model" if modelled else "median", "fit_by_channel": by_channel}


def _average(image: Float, part: tuple[float, float]) -> Real:
    """Mean over some of the rows, at each column."""
    first, last = (round(fraction * len(image)) for fraction in part)
    return np.asarray(image[first:last].mean(axis=0), np.float64)


def _line(values: Real) -> tuple[float, float]:
    """Slope of a line through the values, and the standard deviation of the rest, clipped at 10 sigma."""
    from astropy.stats import sigma_clipped_stats

    x = np.arange(len(values))
    fit = np.polynomial.Polynomial.fit(x, values, deg=1)
    coefficients = fit.convert().coef
    rest = sigma_clipped_stats(values - fit(x), sigma=10.0)[2]
    return float(coefficients[1]) if len(coefficients) > 1 else 0.0, float(rest)


def _offset(values: Real) -> float:
    """Largest step between the clipped means of neighbouring channels; 0 but for a full frame."""
    from astropy.stats import sigma_clipped_stats

    if len(values) != FULL:
        return 0.0
    means = [sigma_clipped_stats(channel, sigma=3.0)[0] for channel in values.reshape(-1, CHANNEL)]
    return float(np.abs(np.diff(means)).max())
