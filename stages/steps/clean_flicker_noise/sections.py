"""Noise of subarrays: the Fourier fit in sections of a few lines, in the time of the read-out.

Source: as `fourier`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.steps.clean_flicker_noise.clipping import Mask
from calwebbd.stages.steps.clean_flicker_noise.fourier import Complex, density_filter, gram, solve

OVERHEAD = 12  # ticks between lines
TICK = np.float32(1e-5)  # s, of one pixel
SAMPLES = 512  # of a section, at least
FEWEST = 0.05  # of a section's pixels must be usable
OUTLIER = 4.0 * 1.4825  # median absolute deviations


class Band(NamedTuple):
    """Frequencies that are fitted, Hz: below the first and above the last; between are the edges."""

    pass_low: float = 1061.0
    stop_low: float = 1211.0
    stop_high: float = 49943.0
    pass_high: float = 49957.0


ALL_SLITS = Band(150.0, 200.0)


class Section(NamedTuple):
    """Lines ``start … stop - 1`` and the half spectrum of their noise; None if too few pixels are usable."""

    start: int
    stop: int
    frequencies: NDArray[np.intp]
    spectrum: NDArray[np.complex64] | None


def fit_sections(lines: Float, mask: Mask, band: Band) -> list[Section] | None:
    """Fit the noise of overlapping sections of lines.

    lines, mask : (nlines, nsamples) in detector orientation; the fit is to samples where the mask is True

    None if no sample is left: those far from the median of all do not count, nor their neighbours.
    """
    mask = without_outliers(lines, mask)
    if not mask.any():
        return None
    gap = ((0, 0), (0, OVERHEAD))
    values, used = np.pad(lines, gap), np.pad(mask, gap)
    sections = []
    for start, stop in bounds(np.count_nonzero(mask, axis=1)):
        part = slice(start, stop)
        frequencies, gains = _passed((stop - start) * (lines.shape[1] + OVERHEAD), band)
        spectrum = None
        if mask[part].mean() > FEWEST:
            amplitudes = _fit(values[part].ravel(), used[part].ravel(), frequencies, band)
            spectrum = (amplitudes * gains).astype(np.complex64)
        sections.append(Section(start, stop, frequencies, spectrum))
    return sections


def model_sections(sections: list[Section], shape: tuple[int, int]) -> Float:
    """Noise of all lines, (nlines, nsamples): sections weigh most at their centres."""
    model, total = np.zeros(shape), np.zeros((shape[0], 1))
    for section in sections:
        number = section.stop - section.start
        weights = 1.001 - np.abs(np.linspace(-1, 1, number))[:, None]
        total[section.start : section.stop] += weights
        if section.spectrum is not None:
            ticks = number * (shape[1] + OVERHEAD)
            half = np.zeros(ticks // 2 + 1, np.complex128)
            half[section.frequencies] = section.spectrum * ticks
            noise = np.fft.irfft(half, ticks).reshape(number, -1)[:, : shape[1]]
            model[section.start : section.stop] += weights * noise
    return (model / np.where(total > 0, total, 1)).astype(np.float32)


def without_outliers(lines: Float, mask: Mask) -> Mask:
    """The mask without samples far from their median, and without their four neighbours."""
    values = lines[mask]
    if not len(values):
        return mask
    middle = np.median(values)
    limit = np.float32(OUTLIER) * np.median(np.abs(values - middle))
    outliers = mask & (np.abs(lines - middle) > limit)
    near = outliers.copy()
    near[1:] |= outliers[:-1]
    near[:-1] |= outliers[1:]
    near[:, 1:] |= outliers[:, :-1]
    near[:, :-1] |= outliers[:, 1:]
    return np.asarray(mask & ~near)


def bounds(usable: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Start and stop of sections, from the number of usable samples of each line.

    Each has more than 512 samples, and begins half of its lines after the one before; the
    last takes what is left, if that is not more than 768.
    """
    present = np.flatnonzero(usable)
    start, end = int(present[0]), int(present[-1]) + 1
    before = np.concatenate([[0], np.cumsum(usable)])
    while start < end:
        stop = int(np.searchsorted(before, before[start] + SAMPLES, "right"))
        if before[-1] - before[start] <= 1.5 * SAMPLES:
            stop = end
        yield start, stop
        if stop == end:
            return
        start += max(round((stop - start) / 2), 1)


@cache
def _passed(ticks: int, band: Band) -> tuple[NDArray[np.intp], Float]:
    """Indices of the frequencies that are fitted, and their gains."""
    frequency = np.fft.rfftfreq(ticks, TICK).astype(np.float32)
    low = (frequency - band.pass_low) / (band.stop_low - band.pass_low)
    high = (band.pass_high - frequency) / (band.pass_high - band.stop_high)
    nearest = np.where(frequency < band.stop_high, np.clip(low, 0, 1), np.clip(high, 0, 1))
    gain = (np.cos(np.pi * nearest) + 1) / 2
    gain[(frequency >= band.stop_low) & (frequency < band.stop_high)] = 0
    passed = np.flatnonzero(gain > 0)
    return passed, gain[passed]


def _fit(values: Float, used: Mask, frequencies: NDArray[np.intp], band: Band) -> Complex:
    """Amplitudes of the frequencies, by least squares weighted by the inverse density of the mask.

    values, used : at every tick of the clock
    """
    ticks = len(values)
    sigma = 1.0 / (4.0 * (band.pass_low + band.stop_low) * float(TICK))
    density = np.fft.irfft(np.fft.rfft(used.astype(np.float64)) * density_filter(ticks, sigma), ticks)
    weights = np.where(used, 1.0 / np.where(used, density, 1.0), 0.0) ** 2
    return solve(gram(np.fft.rfft(weights), frequencies), np.fft.rfft(weights * values)[frequencies])
