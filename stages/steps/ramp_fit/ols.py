"""Slopes by least squares with optimal weights, segment by segment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calwebbd.stages import kernels
from calwebbd.stages.exposure import Float, GroupDQ, PixelDQ
from calwebbd.stages.kernels import ramps
from calwebbd.stages.steps.ramp_fit.slopes import Slopes, empty_slopes

POWERS = (0.0, 0.4, 1.0, 3.0, 6.0, 10.0)  # of the weights, by signal to noise


class Times(NamedTuple):
    """Clock of a ramp: seconds between groups and between frames, frames averaged into a group.

    groupgap, dropped : frames not read between groups, and before the first; for the pedestal only
    """

    group: float
    frame: float
    nframes: int
    groupgap: int = 0
    dropped: int = 0

    @property
    def groups_before(self) -> float:
        """Mean time of the first group, in groups."""
        return ((self.nframes + 1) / 2 + self.dropped) / (self.nframes + self.groupgap)


def fit_slopes(
    sci: Float,
    groupdq: GroupDQ,
    pixeldq: PixelDQ,
    gain: Float,
    readnoise: Float,
    times: Times,
    *,
    dark: Float | float = 0.0,
    zeroframe: Float | None = None,
    suppress_one_group: bool = True,
    groups: range | None = None,
    planes: Float | None = None,
    in_place: bool = False,
) -> tuple[Slopes, Slopes]:
    """Fit the segments of good groups between jumps, and combine them by their read noise.

    sci, groupdq : (nints, ngroups, ny, nx), DN
        A group with any flag but PERSISTENCE is not fitted, save that a jump begins the
        segment after it.
    pixeldq : (ny, nx); becomes the flags of the whole exposure, in place
    gain : (ny, nx), e-/DN
    readnoise : (ny, nx), DN, of the difference of two frames
    dark : (ny, nx) or one number, average dark current, e-/s; for the photon variance only
    zeroframe : (nints, ny, nx), DN, 0 where bad; stands for the first group of ramps without a
        good one, unless one-group ramps are suppressed
    groups : successive ones to fit, as if there were no others; a first one so made has no jumps
    planes : (nints, 7 nsegments + 1, ny, nx), to be filled with the numbers of each segment
    in_place : if there is one integration, readnoise and gain become the error of the exposure and its
        part by reading

    Returns the rates of the whole exposure and of its integrations: NaN, with error and variances
    0, where the flags hold DO_NOT_USE or every group is SATURATED. Those of a single integration
    share their memory, but for the error and its part by reading.
    Source: specification detector1 §3 ramp_fit OLS_C; weights by Fixsen et al. 2000,
    doi:10.1086/316626.
    """
    nints, ngroups, ny, nx = sci.shape
    groups = groups or range(ngroups)
    group, frame = float(np.float32(times.group)), float(np.float32(times.frame))
    rateints = empty_slopes((nints, ny, nx), pixeldq[None] if nints == 1 else None)
    if nints == 1:
        err, var_rnoise = (readnoise, gain) if in_place else (np.empty_like(readnoise), np.empty_like(gain))
        rate = Slopes(*(array[0] for array in rateints))._replace(err=err, var_rnoise=var_rnoise)
    else:
        rate = empty_slopes((ny, nx), pixeldq)
    kernels.by_rows(
        ramps.fit_ramps,
        ny,
        sci,
        groupdq,
        pixeldq,
        gain,
        readnoise,
        float(np.sqrt(2.0 * times.nframes)),
        np.atleast_2d(np.asarray(dark, np.float32)),
        np.zeros((0, 1, 1), np.float32) if zeroframe is None else zeroframe,
        weight_table(len(groups)),
        np.array([group, (times.nframes + 1) * frame / 2, frame, times.groups_before]),
        groups.start,
        suppress_one_group and ngroups > 1,
        rate[:4],
        rate.dq,
        rateints[:4],
        rateints.dq,
        np.zeros((0, 1, 1, 1), np.float32) if planes is None else planes,
    )
    return rate, rateints


def weight_table(ngroups: int) -> Float:
    """Optimal weights |(k - c) / c|^p of the k-th of n groups, c = (n - 1) / 2: indices p, n, k.

    The power is taken in single precision, as the reference pipeline does.
    """
    table = np.zeros((len(POWERS), ngroups + 1, ngroups), np.float32)
    for n in range(3, ngroups + 1):
        centre = (n - 1) / 2
        distance = np.abs((np.arange(n) - centre) * (1 / centre)).astype(np.float32).astype(float)
        for p, power in enumerate(POWERS):
            table[p, n, :n] = distance ** float(np.float32(power))
    return table
