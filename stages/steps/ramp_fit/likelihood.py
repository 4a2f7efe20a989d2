"""Slopes by generalised least squares, with a search for jumps of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags, kernels
from calwebbd.stages.exposure import Float, GroupDQ, PixelDQ
from calwebbd.stages.kernels import likelihood, stack
from calwebbd.stages.steps.ramp_fit.slopes import Slopes, empty_slopes

LEAST_GROUPS = 4

Seconds = NDArray[np.float64]


def fit_likelihood(
    sci: Float,
    groupdq: GroupDQ,
    pixeldq: PixelDQ,
    gain: Float,
    readnoise: Float,
    read_times: Seconds,
    *,
    dark: Float | float = 0.0,
    zeroframe: Float | None = None,
    want_chisq: bool = False,
) -> tuple[Slopes, Slopes, Float | None]:
    """Fit the differences of neighbouring groups by their covariance, leaving out those that jumps spoil.

    sci, groupdq : (nints, ngroups, ny, nx), DN, of four groups or more
        Differences with a flagged group are not used. A sample that is not finite, flagged or
        not, makes everything of its ramp NaN but its flags; so does a gain that is not positive.
        A ramp without differences is NaN, too.
    pixeldq : (ny, nx); becomes the flags of the whole exposure, in place
    gain : (ny, nx), e-/DN
    readnoise : (ny, nx), DN, of the difference of two frames
    read_times : (ngroups, nframes), of the reads averaged into each group, s
    dark : (ny, nx) or one number, average dark current, e-/s; for the errors only
    zeroframe : (nints, ny, nx), DN; the first read of the first group, which becomes a group of its
        own if that group has more than one. Its zeros are taken for signal, as in the reference pipeline
    want_chisq : whether to return χ², summed over the integrations, (ny, nx)

    Returns the rates of the whole exposure and of its integrations, and χ². DO_NOT_USE where every
    group has it or is SATURATED; the rates of pixels that had it before are given all the same.
    Source: specification detector1 §3 ramp_fit LIKELY; Brandt 2024, doi:10.1088/1538-3873/ad38d9
    and doi:10.1088/1538-3873/ad38da.
    """
    nints, _, ny, nx = sci.shape
    nframes = len(read_times[0])
    reads = list(read_times)
    if zeroframe is None or nframes == 1:
        zeroframe = np.zeros((0, 1, 1), np.float32)
    else:
        reads[:1] = [reads[0][:1], reads[0][1:]]
    rateints = empty_slopes((nints, ny, nx), pixeldq[None] if nints == 1 else None)
    chisq = np.empty((nints if want_chisq else 0, ny, nx), np.float32)
    kernels.by_rows(
        likelihood.fit_differences,
        ny,
        sci,
        groupdq,
        pixeldq,
        gain,
        readnoise,
        np.atleast_2d(np.asarray(dark, np.float32)),
        zeroframe,
        np.float32(nframes),
        timing_table(reads),
        rateints[:4],
        rateints.dq,
        chisq,
    )
    rate = Slopes(*(array[0] for array in rateints)) if nints == 1 else combine(rateints, pixeldq)
    return rate, rateints, chisq.sum(axis=0) if want_chisq else None


def regular_reads(ngroups: int, nframes: int, groupgap: int, frame_time: float) -> Seconds:
    """Times of the frames of each group, (ngroups, nframes), s; between groups `groupgap` are not used."""
    first = np.arange(ngroups)[:, None] * (nframes + groupgap)
    return np.asarray((first + np.arange(1, nframes + 1)) * frame_time, np.float64)


def timing_table(reads: Sequence[Seconds]) -> NDArray[np.float64]:
    """What the covariance of the differences needs of the clock: rows as the kernel names them.

    reads : times of those of each group, s
    Source: Brandt 2024 I, equations 4, 11, 28 and 29.
    """
    number = np.array([times.size for times in reads])
    mean = np.array([times.mean() for times in reads])
    tau = np.array([((2 * t.size - 1 - 2 * np.arange(t.size)) * t).sum() / t.size**2 for t in reads])
    interval = np.diff(mean)
    both = interval[1:] * interval[:-1]
    table = np.zeros((6, interval.size + 2))
    table[likelihood.INTERVAL, 1:-1] = interval
    table[likelihood.PHOTONS, 1:-1] = (tau[:-1] + tau[1:] - 2 * mean[:-1]) / interval**2
    table[likelihood.READING, 1:-1] = (1 / number[:-1] + 1 / number[1:]) / interval**2
    table[likelihood.SHARED_PHOTONS, 2:-1] = (mean[1:-1] - tau[1:-1]) / both
    table[likelihood.SHARED_READING, 2:-1] = -1 / (number[1:-1] * both)
    table[likelihood.MANY, 2:-1] = number[1:-1] > 1
    return table


def combine(rateints: Slopes, dq: PixelDQ) -> Slopes:
    """Average the rates of integrations, each weighed by its errors at the average rate.

    rateints : (nints, ny, nx); NaN is left out
    dq : (ny, nx); becomes the flags: all that there are, DO_NOT_USE only if in every integration
    """
    ny, nx = dq.shape
    rate = empty_slopes((ny, nx), dq)
    kernels.by_rows(stack.median, ny, rateints.sci, rate.sci)
    kernels.by_rows(_combine_rows, ny, rateints, rate)
    return rate


def _combine_rows(start: int, stop: int, rateints: Slopes, rate: Slopes) -> None:
    sci, _, var_poisson, var_rnoise, dq = (array[:, start:stop] for array in rateints)
    slope = rate.sci[start:stop]
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(2):
            scale = slope / sci
            scale[~(np.isfinite(scale) & (scale >= 0))] = 0
            photons = var_poisson * scale
            weight = 1 / (photons + var_rnoise)
            weight /= np.nansum(weight, axis=0)
            slope[:] = _sum(sci * weight)
        rate.var_poisson[start:stop] = _sum(photons * weight**2)
        rate.var_rnoise[start:stop] = _sum(var_rnoise * weight**2)
        rate.err[start:stop] = np.sqrt(rate.var_poisson[start:stop] + rate.var_rnoise[start:stop])
    always = np.bitwise_and.reduce(dq, axis=0) & np.uint32(flags.DO_NOT_USE)
    rate.dq[start:stop] = np.bitwise_or.reduce(dq, axis=0) & ~np.uint32(flags.DO_NOT_USE) | always


def _sum(array: NDArray[Any]) -> Float:
    """Sum along the first axis without NaN; NaN where there is nothing else."""
    total: Float = np.nansum(array, axis=0)
    total[np.isnan(array).all(axis=0)] = np.nan
    return total
