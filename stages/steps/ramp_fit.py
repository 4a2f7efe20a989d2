"""Fit a slope to every ramp: from groups to count rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calwebbd.stages import flags, kernels
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Float, GroupDQ, Image, PixelDQ, Ramp, Table
from calwebbd.stages.kernels import ramps
from calwebbd.stages.references import References
from calwebbd.stages.step import step

POWERS = (0.0, 0.4, 1.0, 3.0, 6.0, 10.0)  # of the weights, by signal to noise


@dataclass(frozen=True)
class RampFitParams:
    algorithm: str = "OLS_C"  #: least squares with optimal weights; LIKELY is not available
    suppress_one_group: bool = True  #: no rate from ramps with one good group
    firstgroup: int | None = None  #: first group to use, from 0
    lastgroup: int | None = None  #: last group to use, from 0
    maximum_cores: str = "1"  #: accepted for compatibility; threads are set for the whole service


class Times(NamedTuple):
    """Clock of a ramp: seconds between groups and between frames, frames averaged into a group."""

    group: float
    frame: float
    nframes: int


class Slopes(NamedTuple):
    """Count rates, DN/s, their errors and variances, and flags: (ny, nx) or (nints, ny, nx).

    NaN, with error and variances 0, where the flags hold DO_NOT_USE or every group is SATURATED.
    """

    sci: Float
    err: Float
    var_poisson: Float
    var_rnoise: Float
    dq: PixelDQ


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

    Returns the rates of the whole exposure and of its integrations.
    Source: specification detector1 §3 ramp_fit OLS_C; weights by Fixsen et al. 2000,
    doi:10.1086/316626.
    """
    nints, ngroups, ny, nx = sci.shape
    group, frame = float(np.float32(times.group)), float(np.float32(times.frame))
    rate = _empty((ny, nx), pixeldq)
    rateints = _empty((nints, ny, nx), np.empty((nints, ny, nx), np.uint32))
    suppress = suppress_one_group and ngroups > 1
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
        weight_table(ngroups),
        np.array([group, (times.nframes + 1) * frame / 2, frame]),
        suppress,
        rate[:4],
        rate.dq,
        rateints[:4],
        rateints.dq,
    )
    return rate, rateints


def _empty(shape: tuple[int, ...], dq: PixelDQ) -> Slopes:
    sci, err, var_poisson, var_rnoise = (np.empty(shape, np.float32) for _ in range(4))
    return Slopes(sci, err, var_poisson, var_rnoise, dq)


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


def select_groups(groupdq: GroupDQ, first: int | None, last: int | None) -> None:
    """Flag DO_NOT_USE before group `first` and after group `last`, in place; both ignored if first ≥ last.

    groupdq : (nints, ngroups, ny, nx)
    """
    ngroups = groupdq.shape[1]
    begin = max(0, first or 0)
    end = ngroups - 1 if last is None else last
    if begin < end:
        groupdq[:, :begin] |= flags.DO_NOT_USE
        groupdq[:, end + 1 :] |= flags.DO_NOT_USE


@step(keyword="S_RAMP", references=("readnoise", "gain"), params=RampFitParams)
def ramp_fit(ramp: Ramp, references: References, params: RampFitParams) -> tuple[Image, Image]:
    """Fit slopes: the rate of the exposure, and those of its integrations."""
    if params.algorithm.upper() != "OLS_C":
        raise ParameterError(f"algorithm {params.algorithm!r} is not available: only OLS_C is so far")
    select_groups(ramp.groupdq, params.firstgroup, params.lastgroup)
    if (ramp.groupdq[:, 0] & flags.SATURATED).all():
        raise InputError("group 0 is saturated in every pixel of every integration: there is nothing to fit")
    if params.suppress_one_group:
        ramp.zeroframe = None  # not used, and memory is at its fullest here
    gain_reference = references["gain"]
    factor = gain_reference.header.get("GAINFACT")
    if factor is not None:
        ramp.header["GAINFACT"] = factor
    header = ramp.header
    rate, rateints = fit_slopes(
        ramp.sci,
        ramp.groupdq,
        ramp.pixeldq,
        gain_reference.floats(),
        references["readnoise"].floats(),
        Times(header.real("TGROUP"), header.real("TFRAME"), header.integer("NFRAMES")),
        dark=ramp.average_dark_current,
        zeroframe=ramp.zeroframe,
        suppress_one_group=params.suppress_one_group,
    )
    return _image(ramp, rate), _image(ramp, rateints, ramp.int_times, ramp.int_times_stripe)


def _image(
    ramp: Ramp, slopes: Slopes, int_times: Table | None = None, int_times_stripe: Table | None = None
) -> Image:
    """Rates with the header of their ramp."""
    header = ramp.header.copy()
    header["BUNIT"] = "DN/s"
    return Image(
        header=header,
        **slopes._asdict(),
        int_times=int_times,
        int_times_stripe=int_times_stripe,
        metadata=dict(ramp.metadata),
        file=ramp.file,
    )
