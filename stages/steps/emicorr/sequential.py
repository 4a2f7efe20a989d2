"""Waves found in what is left of the ramps when straight lines have been taken away.

Their values are averaged in bins of the wave's phase. The bins are the wave; or they
show at which phase and amplitude a wave of known shape is there.
"""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any

import numpy as np
from astropy.stats import sigma_clipped_stats

from calwebbd.stages.exposure import Float
from calwebbd.stages.scratch import in_parts, plane
from calwebbd.stages.steps.emicorr.clock import OUTPUTS, Array, Case, Clock, subtract_noise
from calwebbd.stages.threads import in_threads

MOST_BINS = 501
LAST_QUAD = 258  # number, from 1, of the one at the right edge of the detector


def without_ramps(groups: Float) -> Float:
    """What is left of an integration without its ramps and fixed pattern, (ngroups, ny, nx / 4), DN.

    groups : (ngroups, ny, nx), DN, at least four groups
    The mean of the four outputs; ramps are fitted, and the pattern is the median (the
    minimum of two), without the first and last group. Reference pixels that go wrong are
    replaced by the mean of the good ones beside them.
    """
    inner = groups[1:-1].astype(np.float64)
    time = np.arange(len(inner)) - (len(inner) - 1) / 2
    slope = np.einsum("g,gyx->yx", time, inner) / (time**2).sum()
    left = np.empty_like(groups)
    for j, group in enumerate(groups):
        left[j] = group - slope * j
    left -= np.nanmedian(left[1:-1], axis=0) if len(inner) > 2 else np.nanmin(left[1:-1], axis=0)
    mean = sum((left[..., k::OUTPUTS] for k in range(1, OUTPUTS)), left[..., ::OUTPUTS]) / np.float32(OUTPUTS)
    mean[..., 1:3] = ((mean[..., 0] + mean[..., 3]) / 2)[..., np.newaxis]
    quiet: Float = mean - np.median(mean, axis=(1, 2), keepdims=True)
    return quiet


def phases_of(clock: Clock, period: float, integration: int, group: int) -> Array:
    """Phases of a wave, in periods from 0 to 1, at the pixels of a group, (ny, nx / 4)."""
    elapsed = integration * (clock.ngroups * clock.group + clock.pause) + group * clock.group
    phases = (clock.pixels + elapsed) / period
    return np.asarray(phases - np.floor(phases))


def binned(values: list[Float], phases: list[Array], nbins: int) -> Array:
    """Clipped means of values by phase, less their median; NaN if a bin is empty.

    A bin has the phases above its lower edge, and up to its upper one.
    """
    edges = np.arange(nbins + 1) / nbins
    found = np.concatenate([np.searchsorted(edges, phase.ravel()) - 1 for phase in phases])
    order = np.argsort(found, kind="stable")
    ordered = np.concatenate([value.ravel() for value in values])[order].astype(np.float64)
    limits = np.searchsorted(found[order], np.arange(nbins + 1))
    wave = np.full(nbins, np.nan)
    for b in range(nbins):
        if limits[b] < limits[b + 1]:
            wave[b] = sigma_clipped_stats(ordered[limits[b] : limits[b + 1]])[0]
    return np.asarray(wave - np.median(wave))


def resampled(wave: Array, length: float) -> Array:
    """A wave in about so many samples, each that of the old ones in which it begins."""
    step = len(wave) / length
    return wave[(np.arange(ceil(len(wave) / step)) * step).astype(np.intp)]


def aligned(shape: Array, wave: Array, period: float, *, scaled: bool) -> Array:
    """A wave of known shape with the phase of the one found, and its amplitude if `scaled`, by tick.

    There is nothing to scale in a flat shape, which becomes 0.
    """
    found = resampled(wave, len(shape))
    behind = np.subtract.outer(np.arange(len(shape)), np.arange(len(shape)))
    shift = int(np.argmax((found - found.mean()) @ (shape - shape.mean())[behind]))
    table = resampled(np.roll(shape, shift), period)
    if not scaled:
        return table
    theirs, ours = table - table.mean(), resampled(wave, period)
    power = theirs @ theirs
    return np.asarray(table * (theirs @ (ours - ours.mean()) / power if power else 0.0))


def remove_waves(
    sci: Any,
    case: Case,
    clock: Clock,
    *,
    nints_to_phase: int | None = None,
    use_n_cycles: int | None = None,
    nbins: int | None = None,
    scaled: bool = True,
) -> None:
    """Find waves one after the other in what the earlier ones have left, and subtract them, in place.

    sci : (nints, ngroups, ny, nx), DN, at least four groups
    nints_to_phase : integrations in which waves are looked for; if None, as many as hold
        `use_n_cycles` of the first wave's periods, or all if that is None too
    nbins : of phases; None for half as many as the period has ticks
    Source: specification detector1 §3 emicorr.
    """
    for wave in case.waves:
        if nints_to_phase is None:
            per_int = case.frameclocks * clock.ngroups
            nints_to_phase = ceil(use_n_cycles * wave.period / per_int) if use_n_cycles else len(sci)
        used = range(min(nints_to_phase, len(sci)))
        wanted = nbins or int(wave.period / 2)
        found = binned(
            [without_ramps(plane(sci, i)) for i in used],
            [phases_of(clock, wave.period, i, j) for i in used for j in range(clock.ngroups)],
            500 if wanted > MOST_BINS else wanted,
        )
        if np.isfinite(found).all():
            table = resampled(found, wave.period)
            if wave.shape is not None:
                table = aligned(wave.shape, found, wave.period, scaled=scaled)
            _subtract(sci, table, wave.period, clock)


def _subtract(sci: Any, table: Array, period: float, clock: Clock) -> None:
    def subtract(groups: Float, i: int, j: int) -> None:
        subtract_noise(groups[j], table[(phases_of(clock, period, i, j) * period).astype(np.intp)])

    for i, (groups,) in enumerate(in_parts(sci, each=1)):
        in_threads([partial(subtract, groups[0], i, j) for j in range(clock.ngroups)])


def with_late_edge(pixels: Array, first_column: int) -> Array:
    """Times of pixels as they are used here: those at the detector's right edge are much later.

    The reference pipeline adds 2**32 ticks to the three by which the read-out is late there.
    """
    pixels = pixels.copy()
    if pixels.shape[1] + first_column == LAST_QUAD:
        pixels[:, -1] += 3 + 2**32
    return pixels
