"""The typical ramp of a series of integrations, and how bright each is beside it."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import exptypes
from calwebbd.stages.exposure import Float, Header, Ramp
from calwebbd.stages.kernels import by_rows
from calwebbd.stages.scratch import in_bands
from calwebbd.stages.step import Failed


def brightness(rates: Float, header: Header) -> Float:
    """How bright each integration is beside the typical one; 1 for those of which nothing is known, (nints,).

    rates : (nints, ny, nx), DN/s
    Of a time series that is how strongly its source shines, of others the median of the image.
    Raises Failed if no integration tells.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        series = exptypes.is_tso(header)
        fluxes = _of_source(rates) if series else np.array([np.nanmedian(rate) for rate in rates], np.float32)
        scale = np.asarray(fluxes / np.nanmedian(fluxes), np.float32)
    known = np.isfinite(scale)
    if not known.any():
        raise Failed("no integration has a flux by which it could be scaled")
    scale[~known] = np.median(scale[known])
    return scale


def _of_source(rates: Float) -> NDArray[np.float64]:
    """By what factor the typical image fits each integration best, both without their background.

    Least squares weigh pixels by the light of the source in them, as an optimal extraction
    does (Horne 1986, doi:10.1086/131801), with neither trace nor aperture to be known.
    """
    typical = np.nanmedian(rates, axis=0)
    typical -= np.nanmedian(typical)
    factors = np.full(len(rates), np.nan)
    for i, rate in enumerate(rates):
        light = rate - np.nanmedian(rate)
        used = np.isfinite(light) & np.isfinite(typical)
        shape = typical[used].astype(np.float64)
        factors[i] = shape @ light[used] / (shape @ shape)
    return factors


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
