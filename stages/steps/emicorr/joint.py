"""Waves fitted together with the ramps: the amplitude and phase that leave ramps straightest.

Pixels read at the same phase have the same wave, so that their ramps are summed first.
A straight line is taken out of each sum in closed form, and what is left is compared
with the wave, also without its straight part, at many phases.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from math import lcm
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float, PixelDQ
from calwebbd.stages.kernels.matrices import multiply
from calwebbd.stages.kernels.waves import subtract_wave
from calwebbd.stages.scratch import in_parts
from calwebbd.stages.steps.emicorr.clock import OUTPUTS, Array, Clock, Wave
from calwebbd.stages.steps.emicorr.spline import PeriodicSpline
from calwebbd.stages.threads import by_rows, in_threads

TRIALS = np.arange(500) / 500  # phases at which a wave is tried
BLOCKS = 10  # of trials, that threads take one after the other
PIECE = 1 << 17  # pixels that are summed at once, of which a copy in double precision is made
SUMS = 64 << 20  # bytes of summed ramps that are held at once


class Phases(NamedTuple):
    """Phases, in periods, of a wave that is 0 at the first pixel: of the pixels, (ny, nx / 4), and what a
    group and an integration add."""

    pixels: Array
    group: float
    integration: float

    @classmethod
    def of(cls, clock: Clock, period: float) -> Phases:
        group = (clock.group / period) % 1
        return cls((clock.pixels / period) % 1, group, group * clock.ngroups + clock.pause / period)


class Fit(NamedTuple):
    """A wave's amplitude and its phase at the first pixel of an integration."""

    amplitude: float
    phase: float


class Parabolas(NamedTuple):
    """How chi-squared depends on the wave's amplitude c: a c**2 + b c, (nints, ntrials) each."""

    a: Array
    b: Array


def steady_pixels(sci: Any, pixeldq: PixelDQ) -> NDArray[np.bool_]:
    """Pixels, (nints, ny, nx), that hardly change during an integration, and have no flags.

    sci : (nints, ngroups, ny, nx), DN
    Their standard deviation is less than twice the median one, of all pixels and integrations.
    """
    nints, _, ny, nx = sci.shape
    spread = np.empty((nints, ny, nx), np.float32)

    def measure(start: int, stop: int, groups: Float, out: Float) -> None:
        np.std(groups[:, start:stop], axis=0, out=out[start:stop])

    for groups, out in zip(sci, spread, strict=True):
        by_rows(measure, ny, groups, out)
    steady: NDArray[np.bool_] = (spread < 2 * np.median(spread)) & (pixeldq == 0)
    return steady


def summed(groups: Float, usable: NDArray[np.bool_], bins: NDArray[np.int32], nbins: int) -> Array:
    """Sums of ramps read at the same phase, (nbins, ngroups + 1); the last column counts them.

    groups : (ngroups, ny, nx), DN
    usable, bins : (ny, nx), pixels to sum, and the bin of their phase
    """
    into = np.where(usable, bins, np.intp(nbins)).ravel()  # what is not usable goes behind the others

    def total(group: Float | None = None) -> Array:
        sums = np.zeros(nbins + 1)
        for start in range(0, into.size, PIECE):
            some = slice(start, start + PIECE)
            sums += np.bincount(into[some], None if group is None else group.ravel()[some], nbins + 1)
        return sums[:nbins]

    return np.stack([*in_threads([partial(total, group) for group in groups]), total()], axis=1)


def straightness(sums: Array, spline: PeriodicSpline, dphase: float) -> Parabolas:
    """Chi-squared of straight ramps with a wave, by integration and trial phase, but for a constant.

    sums : (nints, nbins, ngroups + 1), as of `summed`
    dphase : what a group adds to the phase
    """
    ramps, counts = sums[..., :-1], np.ascontiguousarray(sums[..., -1])
    nints, nbins, ngroups = ramps.shape
    time = np.arange(ngroups) - (ngroups - 1) / 2
    time /= np.sqrt((time**2).sum())
    rest = ramps - ramps.mean(axis=2, keepdims=True)
    rest -= np.einsum("ibg,g->ib", rest, time)[..., np.newaxis] * time
    rest = np.ascontiguousarray(np.moveaxis(rest, 2, 0))
    # of bins and trials together there are only so many phases
    distinct = lcm(nbins, len(TRIALS))
    phases = np.arange(distinct) / distinct + 0.5 / nbins
    of_bins, of_trials = (np.arange(n) * (distinct // n) for n in (nbins, len(TRIALS)))
    waves = [spline(phases + g * dphase) for g in range(ngroups)]

    def at(trials: NDArray[np.intp]) -> tuple[Array, Array]:
        place = np.add.outer(of_bins, trials) % distinct
        mean, slope, power, wave, work = (np.zeros(place.shape) for _ in range(5))
        a, b, product = (np.zeros((nints, len(trials))) for _ in range(3))
        for g in range(ngroups):
            np.take(waves[g], place, out=wave, mode="clip")
            multiply(0, nints, rest[g], wave, product)
            b -= np.multiply(product, 2, out=product)
            mean += np.divide(wave, ngroups, out=work)
            slope += np.multiply(wave, time[g], out=work)
            power += np.square(wave, out=work)
        multiply(0, nints, counts, power - ngroups * mean**2 - slope**2, a)
        multiply(0, nints, counts, power, product)
        a[a <= 1e-12 * product] = 0.0  # a wave that looks straight itself says nothing
        return a, b

    found = in_threads([partial(at, some) for some in np.split(of_trials, BLOCKS)])
    return Parabolas(*(np.concatenate(each, axis=1) for each in zip(*found, strict=True)))


def next_trials(phases: Array, shift: float) -> NDArray[np.intp]:
    """Numbers of the trial phases at or next after ``phases + shift``.

    The distance is computed as in the reference pipeline, so that its rounding decides alike.
    """
    near: NDArray[np.intp] = np.floor((phases + shift) * len(TRIALS)).astype(np.intp)[:, np.newaxis]
    near = (near + np.arange(-1, 3)) % len(TRIALS)
    ahead = np.abs((TRIALS[near] - phases[:, np.newaxis] - shift) % 1)
    return np.take_along_axis(near, ahead.argmin(axis=1)[:, np.newaxis], 1)[:, 0]


def fit_wave(chi: Parabolas, shifts: Sequence[float]) -> Fit:
    """The amplitude and phase of least chi-squared for integrations whose phases differ by `shifts`.

    The phase is the vertex of a parabola through the three best trials; the amplitude is 0
    where no trial says anything.
    """

    def at(phases: Array) -> tuple[Array, Array]:
        pairs = [(i, next_trials(phases, shift)) for i, shift in enumerate(shifts)]
        a, b = (sum((each[i, k] for i, k in pairs), np.zeros(len(phases))) for each in chi)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(a > 0, -b / (2 * a), 0.0), np.where(a > 0, -(b**2) / (4 * a), np.nan)

    _, chisq = at(TRIALS)
    if not np.isfinite(chisq).any():
        return Fit(0.0, 0.0)
    best = int(np.nanargmin(chisq))
    before, here, after = chisq[[best - 1, best, (best + 1) % len(TRIALS)]]
    bend = before - 2 * here + after
    vertex = (before - after) / (2 * bend) if np.isfinite(bend) and bend > 0 else 0.0
    phase = (best + vertex) / len(TRIALS)
    return Fit(float(at(np.array([phase]))[0][0]), phase)


def fit_wave_to_ramps(
    sci: Any, pixeldq: PixelDQ, spline: PeriodicSpline, phases: Phases, *, separately: bool
) -> list[Fit]:
    """The wave in each integration: one for all, going on from one to the next, or one each.

    sci : (nints, ngroups, ny, nx), DN
    Source: specification detector1 §3 emicorr.
    """
    nints, ngroups = sci.shape[:2]
    nbins = len(spline)
    usable = steady_pixels(sci, pixeldq)
    usable[..., OUTPUTS : 3 * OUTPUTS] = False  # at the left edge, reference pixels that go wrong
    bins = np.repeat((phases.pixels * nbins).astype(np.int32), OUTPUTS, axis=1)
    each = max(1, SUMS // (nbins * ngroups * 8))
    parts, all_sums = (
        [],
        (summed(groups, good, bins, nbins) for groups, good in zip(sci, usable, strict=True)),
    )
    while some := list(islice(all_sums, each)):
        parts.append(straightness(np.stack(some), spline, phases.group))
    chi = Parabolas(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    shifts = [i * phases.integration for i in range(nints)]
    if separately:
        fits = [fit_wave(Parabolas(*(p[i : i + 1] for p in chi)), shifts[i : i + 1]) for i in range(nints)]
    else:
        fits = [fit_wave(chi, shifts)] * nints
    return [Fit(fit.amplitude, fit.phase + shift) for fit, shift in zip(fits, shifts, strict=True)]


def remove_wave(sci: Any, pixeldq: PixelDQ, wave: Wave, clock: Clock, *, separately: bool) -> None:
    """Fit a wave of known shape together with the ramps, and subtract it, in place.

    sci : (nints, ngroups, ny, nx), DN
    separately : fit each integration by itself
    """
    assert wave.shape is not None
    phases, spline = Phases.of(clock, wave.period), PeriodicSpline(wave.shape)
    fits = fit_wave_to_ramps(sci, pixeldq, spline, phases, separately=separately)
    rows = len(phases.pixels)
    for fit, (groups,) in zip(fits, in_parts(sci, each=1), strict=True):
        pieces = fit.amplitude * spline.pieces
        shifts = [phases.group * g + fit.phase for g in range(clock.ngroups)]
        in_threads(
            [
                partial(subtract_wave, 0, rows, group, phases.pixels, shift, pieces)
                for group, shift in zip(groups[0], shifts, strict=True)
            ]
        )
