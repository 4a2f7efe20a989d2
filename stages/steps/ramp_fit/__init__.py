"""Fit a slope to every ramp: from groups to count rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Exposure, Float, Header, Image, Ramp
from calwebbd.stages.products import Plane, SegmentFits
from calwebbd.stages.readout import is_miri
from calwebbd.stages.references import References
from calwebbd.stages.step import step
from calwebbd.stages.steps.ramp_fit.groups import select_groups, trim, unusable_groups
from calwebbd.stages.steps.ramp_fit.likelihood import LEAST_GROUPS, fit_likelihood, regular_reads
from calwebbd.stages.steps.ramp_fit.ols import Times, fit_slopes, weight_table
from calwebbd.stages.steps.ramp_fit.optional import SEGMENT_PLANES, count_jumps, count_segments, jump_sizes
from calwebbd.stages.steps.ramp_fit.rows import Arrays, Band, assemble, bands, group_flags
from calwebbd.stages.steps.ramp_fit.slopes import Slopes

ALGORITHMS = ("OLS_C", "LIKELY")

Fitted = tuple[Slopes, Slopes, dict[str, Exposure]]  # of the exposure, of its integrations; other products


@dataclass(frozen=True)
class RampFitParams:
    algorithm: str = "OLS_C"  #: least squares with optimal weights, or LIKELY: generalised least squares
    save_opt: bool = False  #: write the fits of all segments, or, of LIKELY, χ²
    suppress_one_group: bool = True  #: no rate from ramps with one good group; OLS_C only
    firstgroup: int | None = None  #: first group to use, from 0
    lastgroup: int | None = None  #: last group to use, from 0
    maximum_cores: str = "1"  #: accepted for compatibility; threads are set for the whole service


@step(keyword="S_RAMP", references=("readnoise", "gain"), params=RampFitParams, whole=True)
def ramp_fit(ramp: Ramp, references: References, params: RampFitParams) -> tuple[Image, Image]:
    """Fit slopes: the rate of the exposure, and those of its integrations."""
    likely = _is_likely(ramp, params.algorithm)
    if params.firstgroup is not None or params.lastgroup is not None:
        for _, groupdq in ramp.integrations():
            select_groups(groupdq, params.firstgroup, params.lastgroup)
    gain_reference = references["gain"]
    factor = gain_reference.header.get("GAINFACT")
    if factor is not None:
        ramp.header["GAINFACT"] = factor
    fit = _fit_likelihood if likely else _fit_segments
    rate, rateints, optional = fit(ramp, gain_reference.floats(), references["readnoise"].floats(), params)
    whole, each = _image(ramp, rate), _image(ramp, rateints)
    each.int_times, each.int_times_stripe = ramp.int_times, ramp.int_times_stripe
    whole.byproducts.update(optional)
    return whole, each


def _is_likely(ramp: Ramp, algorithm: str) -> bool:
    """Whether the fit is by likelihood: if asked for, or reads are uneven, and there are groups enough."""
    if algorithm.upper() not in ALGORITHMS:
        raise ParameterError(f"algorithm {algorithm!r} is none of {', '.join(ALGORITHMS)}")
    asked = algorithm.upper() == "LIKELY" or ramp.read_times is not None
    return asked and ramp.sci.shape[1] >= LEAST_GROUPS


def _fit_segments(ramp: Ramp, gain: Float, readnoise: Float, params: RampFitParams) -> Fitted:
    """OLS_C, with its optional product."""
    header, ngroups = ramp.header, ramp.sci.shape[1]
    suppress = params.suppress_one_group and ngroups > 1
    groups = _fitted_groups(ramp, suppress)
    if suppress:
        ramp.zeroframe = None  # not used
    times = Times(
        header.real("TGROUP"),
        header.real("TFRAME"),
        header.integer("NFRAMES"),
        header.integer("GROUPGAP", 0),
        header.integer("DRPFRMS1", 0),
    )
    segments = jumps = 0
    if params.save_opt:
        for _, band in bands(ramp, gain, readnoise):
            segments = max(segments, count_segments(band.groupdq, groups, suppress, band.zeroframe))
            jumps = max(jumps, count_jumps(band.groupdq, groups))

    def fit(band: Band) -> Arrays:
        nints, _, ny, nx = band.sci.shape
        planes = np.zeros((nints, 7 * segments + 1, ny, nx), np.float32) if params.save_opt else None
        rate, rateints = fit_slopes(
            *band[:5],
            times,
            dark=band.dark,
            zeroframe=band.zeroframe,
            suppress_one_group=suppress,
            groups=groups,
            planes=planes,
            in_place=True,  # memory is at its fullest here
        )
        if planes is None:
            return *rate, *rateints
        split = (planes[:, k * segments : (k + 1) * segments] for k in range(7))
        crmag = jump_sizes(band.sci, band.groupdq, groups, jumps)
        return *rate, *rateints, *split, planes[:, -1], crmag

    return _fit_bands(fit, ramp, gain, readnoise)


def _fitted_groups(ramp: Ramp, suppress: bool) -> range:
    """All groups; of MIRI, without those at the ends that nothing can use. InputError if nothing is left."""
    ngroups = ramp.sci.shape[1]
    groups = range(ngroups)
    if is_miri(ramp.header) and ngroups > 1:
        unusable = [unusable_groups(groupdq, suppress) for groupdq in group_flags(ramp)]
        groups = trim(np.logical_and.reduce(unusable))
        if len(groups) < 2:
            raise InputError(f"{len(groups)} of {ngroups} groups are usable: there is nothing to fit")
    if all((groupdq[:, groups.start] & flags.SATURATED).all() for groupdq in group_flags(ramp)):
        raise InputError(
            f"group {groups.start} is saturated in every pixel of every integration: there is nothing to fit"
        )
    return groups


def _fit_likelihood(ramp: Ramp, gain: Float, readnoise: Float, params: RampFitParams) -> Fitted:
    """LIKELY; χ² if the optional product is wanted."""
    header, read_times = ramp.header, ramp.read_times
    if read_times is None:
        nframes, groupgap = header.integer("NFRAMES"), header.integer("GROUPGAP", 0)
        read_times = regular_reads(ramp.sci.shape[1], nframes, groupgap, header.real("TFRAME"))

    def fit(band: Band) -> Arrays:
        rate, rateints, chisq = fit_likelihood(
            *band[:5], read_times, dark=band.dark, zeroframe=band.zeroframe, want_chisq=params.save_opt
        )
        return *rate, *rateints, *([] if chisq is None else [chisq])

    return _fit_bands(fit, ramp, gain, readnoise)


def _fit_bands(fit: Callable[[Band], Arrays], ramp: Ramp, gain: Float, readnoise: Float) -> Fitted:
    """Rates of the exposure and of its integrations, and the optional product, band by band."""
    fitted = ((here, fit(band)) for here, band in bands(ramp, gain, readnoise))
    arrays = assemble(fitted, ramp.sci.shape[-2])
    rate, rateints, rest = Slopes(*arrays[:5]), Slopes(*arrays[5:10]), arrays[10:]
    beside: dict[str, Any] = {"metadata": dict(ramp.metadata), "file": ramp.file}
    if len(rest) == 1:
        return rate, rateints, {"likely_chisq": Plane(_header(ramp), *rest, **beside)}
    if rest:
        fits = SegmentFits(_header(ramp), **dict(zip(SEGMENT_PLANES, rest, strict=True)), **beside)
        return rate, rateints, {"fitopt": fits}
    return rate, rateints, {}


def _header(ramp: Ramp) -> Header:
    """That of a product beside the rates, which has no unit of its own."""
    header = ramp.header.copy()
    header.pop("BUNIT", None)
    return header


def _image(ramp: Ramp, slopes: Slopes) -> Image:
    """Rates with the header of their ramp."""
    header = ramp.header.copy()
    header["BUNIT"] = "DN/s"
    return Image(
        header=header,
        **slopes._asdict(),
        metadata=dict(ramp.metadata),
        file=ramp.file,
    )


__all__ = [
    "RampFitParams",
    "Slopes",
    "Times",
    "fit_likelihood",
    "fit_slopes",
    "ramp_fit",
    "regular_reads",
    "select_groups",
    "trim",
    "unusable_groups",
    "weight_table",
]
