"""Correct the detector's nonlinear response."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, GroupDQ, PixelDQ, Ramp
from calwebbd.stages.kernels import by_rows
from calwebbd.stages.kernels.polynomial import evaluate, evaluate_means, make_identity
from calwebbd.stages.readout import zero_frame
from calwebbd.stages.references import Reference, References, bands
from calwebbd.stages.step import NoParams, step


def usable_coefficients(coeffs: Float, dq: PixelDQ) -> NDArray[np.bool_]:
    """Make coefficients the identity, in place, where there is no correction.

    coeffs : (ncoeffs, ny, nx), DN**(1 - k) for the k-th
    dq : (ny, nx); NO_LIN_CORR leaves the pixel as it is

    Returns the pixels where they had to be replaced although NO_LIN_CORR is not set: a
    coefficient is NaN, or the linear one is 0.
    Source: specification detector1 §3 linearity.
    """
    replaced = np.zeros(dq.shape, np.bool_)
    by_rows(make_identity, dq.shape[0], coeffs, (dq & flags.NO_LIN_CORR) != 0, replaced)
    return replaced


def correct_linearity(sci: Float, groupdq: GroupDQ, coeffs: Float, top: int = 0) -> None:
    """Replace each unsaturated group by its pixel's polynomial in it, in place, in float32.

    sci, groupdq : (nints, ngroups, ny, nx), DN; SATURATED groups stay as they are
    coeffs : (ncoeffs, nrows, nx), DN**(1 - k) for the k-th, of the rows from `top` on: no others change
    """
    by_rows(evaluate, coeffs.shape[1], top, coeffs, sci, groupdq, flags.SATURATED)


def correct_averages(
    sci: Float, groupdq: GroupDQ, coeffs: Float, inverse: Float, nframes: int, top: int = 0
) -> None:
    """Correct groups that are means of frames as if each frame had been, in place.

    sci, groupdq : (nints, ngroups, ny, nx), DN, ngroups at least 2; SATURATED groups stay as they are
    coeffs, inverse : (ncoeffs, nrows, nx), of the correction and of the response, from row `top` on
    Frames are counted as if none were dropped between groups, as in the reference pipeline.
    Source: specification detector1 §3 linearity.
    """
    ngroups = sci.shape[1]
    frames = np.arange(1.0, ngroups * nframes + 1).reshape(ngroups, nframes)
    by_rows(evaluate_means, coeffs.shape[1], top, coeffs, inverse, sci, groupdq, flags.SATURATED, frames)


@step(keyword="S_LINEAR", references=("linearity",))
def linearity(ramp: Ramp, references: References, params: NoParams) -> Ramp:
    """Correct nonlinear response, for each frame of averaged groups where that is known."""
    reference = references["linearity"]
    dq = reference.dq()
    replaced = np.zeros(dq.shape, np.bool_)
    nframes = ramp.header.integer("NFRAMES")
    # one group alone has no slope to place its frames by; there the reference pipeline fails
    regular = nframes > 1 and ramp.sci.shape[1] > 1 and ramp.read_times is None
    averages = regular and reference.has("INV_COEFFS")
    zeroframe = zero_frame(ramp)
    if zeroframe is not None:
        bad = np.where(zeroframe == 0, np.uint8(flags.SATURATED), np.uint8(0))

    def correct(rows: slice) -> None:
        coeffs = _coefficients(reference, "COEFFS", dq, rows, replaced)
        if averages:
            inverse = _coefficients(reference, "INV_COEFFS", dq, rows, replaced)
            correct_averages(ramp.sci, ramp.groupdq, coeffs, inverse, nframes, rows.start)
        else:
            correct_linearity(ramp.sci, ramp.groupdq, coeffs, rows.start)
        if zeroframe is not None:
            correct_linearity(zeroframe[:, np.newaxis], bad[:, np.newaxis], coeffs, rows.start)

    with reference.held():
        for rows in bands(dq.shape, reference.shape("COEFFS")[0]):
            correct(rows)
    dq[replaced] |= np.uint32(flags.NO_LIN_CORR)
    ramp.pixeldq |= dq
    return ramp


def _coefficients(
    reference: Reference, name: str, dq: PixelDQ, rows: slice, replaced: NDArray[np.bool_]
) -> Float:
    """Usable ones of some rows; adds to `replaced` where they had to be."""
    coeffs = reference.floats(name, rows=rows)
    replaced[rows] |= usable_coefficients(coeffs, dq[rows])
    return coeffs
