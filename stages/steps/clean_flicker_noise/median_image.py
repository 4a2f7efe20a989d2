"""The typical ramp of a series of integrations, and how bright each is beside it."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np

from calwebbd.stages import exptypes
from calwebbd.stages.errors import ParameterError
from calwebbd.stages.exposure import Float, Header, Ramp
from calwebbd.stages.kernels import by_rows
from calwebbd.stages.scratch import in_bands
from calwebbd.stages.step import Failed

SPECTRA = frozenset({"NIS_SOSS", "NRS_BRIGHTOBJ", "NRC_TSGRISM"})


def check_mode(header: Header) -> None:
    """Raise ParameterError for exposures whose brightness takes stage 2 to tell."""
    kind = exptypes.exp_type(header)
    if kind in SPECTRA:
        raise ParameterError(
            f"background_method median_image needs the extraction of spectra for {kind}, "
            "which this version does not have"
        )
    if kind == "NRC_TSIMAGE" or (kind == "MIR_IMAGE" and exptypes.is_tso(header)):
        raise ParameterError(
            f"background_method median_image needs tso_photometry for {kind}, "
            "which this version does not have"
        )


def brightness(rates: Float) -> Float:
    """Median of each integration's rate over that of all; 1 for those without one, (nints,).

    rates : (nints, ny, nx). Raises Failed if no integration has one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        medians = np.array([np.nanmedian(rate) for rate in rates], np.float32)
        scale = medians / np.nanmedian(medians)
    known = np.isfinite(scale)
    if not known.any():
        raise Failed("no integration has a flux by which it could be scaled")
    scale[~known] = np.median(scale[known])
    return scale


def median_ramp(ramp: Ramp) -> Float:
    """Median over integrations of each group, (ngroups, ny, nx), DN; NaN where all are.

    Raises Failed if there is but one integration.
    """
    if len(ramp.sci) < 2:
        raise Failed("background_method median_image needs more than one integration")
    typical = np.empty(ramp.sci.shape[1:], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for rows, sci in in_bands(ramp.sci):
            by_rows(partial(_medians, sci, typical[:, rows]), sci.shape[2])
    return typical


def _medians(sci: Float, out: Float, start: int, stop: int) -> None:
    for g in range(len(out)):
        rows = sci[:, g, start:stop].copy()
        out[g, start:stop] = np.nanmedian(rows, axis=0, overwrite_input=True)
