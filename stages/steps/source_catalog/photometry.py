"""Fluxes in circles, the background around them, and magnitudes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.steps.source_catalog.stamps import blocks, cut

Values = NDArray[np.floating[Any]]
AB_ZERO = 8.9  #: magnitude of 1 Jy
CLIP = 3.0  #: standard deviations


def circular_flux(
    sci: Float, err: Float, x: Values, y: Values, radius: float, background: Values
) -> tuple[Values, Values]:
    """Flux in a circle around each place less that of the background, and its error: (n,), as sci.

    Pixels count by the share of them that is inside; NaN where one of them is NaN. The error is
    that of the pixels, without the background's.
    """
    from photutils.aperture import CircularAperture, aperture_photometry

    circles = CircularAperture(np.transpose((x, y)), radius)
    sums = aperture_photometry(sci, circles, error=err)
    flux = np.asarray(sums["aperture_sum"]) - background * circles.area
    return flux, np.asarray(sums["aperture_sum_err"])


def local_background(sci: Float, x: Values, y: Values, inner: float, outer: float) -> tuple[Values, Values]:
    """Clipped median of the pixels whose centres are in an annulus around each place, and its error.

    NaN pixels do not count; both are NaN where none is left. The error is σ √(π / 2N).
    """
    from astropy.stats import SigmaClip

    half = int(np.ceil(outer)) + 1
    clip = SigmaClip(sigma=CLIP)
    level, error = np.full(len(x), np.nan), np.full(len(x), np.nan)
    for part in blocks(len(x), half):
        columns, rows = (np.rint(place[part]).astype(np.intp) for place in (x, y))
        stamps = cut(sci, rows, columns, half, np.nan).astype(np.float64)
        dy = np.arange(-half, half + 1) + (rows - y[part])[:, None]
        dx = np.arange(-half, half + 1) + (columns - x[part])[:, None]
        distance2 = dy[:, :, None] ** 2 + dx[:, None, :] ** 2
        stamps[(distance2 < inner**2) | (distance2 >= outer**2) | ~np.isfinite(stamps)] = np.nan
        level[part], error[part] = _median(stamps.reshape(len(stamps), -1), clip)
    return level, error


def _median(values: Values, clip: Any) -> tuple[Values, Values]:
    """Of each row what is left after clipping: median and standard error of it."""
    some = np.isfinite(values).any(axis=1)
    median, error = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if some.any():
        kept = np.ma.filled(clip(np.ma.masked_invalid(values[some]), axis=1), np.nan)
        number = np.isfinite(kept).sum(axis=1)
        median[some] = np.nanmedian(kept, axis=1)
        error[some] = np.sqrt(np.pi / (2 * number)) * np.nanstd(kept, axis=1)
    return median, error


def ab_magnitude(flux: Values, flux_err: Values) -> tuple[Values, Values]:
    """Of a flux in Jy, with its error; NaN where it is negative.

    Source: specification image3 §7, 5.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        magnitude = -2.5 * np.log10(flux) + AB_ZERO
        error = 2.5 * np.log10(1 + flux_err / flux)
    error[flux < 0] = np.nan
    return magnitude, error
