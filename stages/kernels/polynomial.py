"""Polynomials with coefficients of each pixel's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.kernels import helper, kernel

CHUNK = 512  # pixels at a time, so that their coefficients stay in the nearest cache


@kernel("(i8, i8, f4[:, :, ::1], b1[:, ::1], b1[:, ::1])")
def make_identity(start: int, stop: int, coeffs: Any, wanted: Any, repaired: Any) -> None:
    """Replace unusable coefficients by those of the identity, in place.

    coeffs : (ncoeffs, ny, nx)
    wanted : (ny, nx), pixels that are to be left as they are
    repaired : (ny, nx), becomes True at others with a NaN among their coefficients or no linear term
    """
    ncoeffs, _, nx = coeffs.shape
    nan = np.empty(nx, np.bool_)
    for y in range(start, stop):
        nan[:] = False
        for k in range(ncoeffs):
            for x in range(nx):
                nan[x] |= np.isnan(coeffs[k, y, x])
        for x in range(nx):
            unusable = nan[x] or coeffs[1, y, x] == np.float32(0)
            if wanted[y, x] or unusable:
                repaired[y, x] |= not wanted[y, x]
                for k in range(ncoeffs):
                    coeffs[k, y, x] = np.float32(1 if k == 1 else 0)


@helper
def _horner(coeffs: Any, values: Any, out: Any) -> None:
    """Evaluate the polynomials of some pixels, (ncoeffs, npixels), in the precision of `values`."""
    last = coeffs.shape[0] - 1
    top, bottom = coeffs[last], coeffs[0]
    for x in range(len(out)):
        out[x] = top[x] * values[x]
    for k in range(last - 1, 0, -1):
        term = coeffs[k]
        for x in range(len(out)):
            out[x] = (out[x] + term[x]) * values[x]
    for x in range(len(out)):
        out[x] += bottom[x]


@kernel("(i8, i8, i8, f4[:, :, ::1], f4[:, :, :, ::1], u1[:, :, :, ::1], i8)")
def evaluate(start: int, stop: int, top: int, coeffs: Any, sci: Any, groupdq: Any, keep: int) -> None:
    """Replace each sample by its pixel's polynomial in it, in float32, by Horner's rule.

    coeffs : (ncoeffs, nrows, nx), of the samples' rows from `top` on; `start` and `stop` count them
    sci, groupdq : (nints, ngroups, ny, nx); samples with a flag of `keep` stay as they are
    """
    nints, ngroups, _, nx = sci.shape
    result = np.empty(min(nx, CHUNK), np.float32)
    for y in range(start, stop):
        for x0 in range(0, nx, CHUNK):
            x1 = min(nx, x0 + CHUNK)
            out = result[: x1 - x0]
            terms = np.ascontiguousarray(coeffs[:, y, x0:x1])
            for i in range(nints):
                for g in range(ngroups):
                    values, dq = sci[i, g, top + y, x0:x1], groupdq[i, g, top + y, x0:x1]
                    _horner(terms, values, out)
                    for x in range(len(out)):
                        old, new = values[x], out[x]
                        values[x] = old if dq[x] & np.uint8(keep) else new


@helper
def _rates(coeffs: Any, ramps: Any, dq: Any, keep: int, times: Any, first: Any, rate: Any) -> None:
    """Each ramp's polynomial at its first sample, and its slope to the last but one unflagged sample.

    ramps, dq : (ngroups, nx); times : (ngroups,), of the samples
    """
    ngroups, nx = ramps.shape
    ends = np.empty(nx, np.int64)
    last = np.empty(nx, np.float32)
    value = np.empty(nx, np.float32)
    for x in range(nx):
        usable = -1
        for g in range(ngroups):
            usable += (dq[g, x] & np.uint8(keep)) == 0
        ends[x] = max(usable, 2) - 1
        last[x] = ramps[ends[x], x]
    _horner(coeffs, ramps[0], first)
    _horner(coeffs, last, value)
    for x in range(nx):
        if dq[0, x] & np.uint8(keep):
            first[x] = ramps[0, x]
        if not dq[ends[x], x] & np.uint8(keep):
            last[x] = value[x]
        rate[x] = (last[x] - first[x]) / (times[ends[x]] - times[0])


@kernel("(i8, i8, i8, f4[:, :, ::1], f4[:, :, ::1], f4[:, :, :, ::1], u1[:, :, :, ::1], i8, f8[:, ::1])")
def evaluate_means(
    start: int,
    stop: int,
    top: int,
    coeffs: Any,
    inverse: Any,
    sci: Any,
    groupdq: Any,
    keep: int,
    times: Any,
) -> None:
    """The same where each sample is the mean of values to which the polynomial applies one by one.

    inverse : (ncoeffs, nrows, nx), of the polynomial's inverse
    sci, groupdq : (nints, ngroups, ny, nx), ngroups at least 2
    times : (ngroups, nvalues), of the values in each sample, in any unit

    A straight line from the first to the last but one unflagged sample, taken back through
    the inverse, gives the values up to a constant, which the sample's own mean then sets.
    """
    nints, ngroups, _, nx = sci.shape
    nvalues = times.shape[1]
    means = np.array([times[g].mean() for g in range(ngroups)])
    first, rate = np.empty(nx, np.float32), np.empty(nx)
    line, result, mean, total = np.empty(nx), np.empty(nx), np.empty(nx), np.empty(nx)
    values = np.empty((nvalues, nx))
    for y in range(start, stop):
        there, back = np.ascontiguousarray(coeffs[:, y]), np.ascontiguousarray(inverse[:, y])
        for i in range(nints):
            ramps, dq = sci[i, :, top + y], groupdq[i, :, top + y]
            _rates(there, np.ascontiguousarray(ramps), dq, keep, means, first, rate)
            for g in range(ngroups):
                mean[:] = 0.0
                total[:] = 0.0
                for r in range(nvalues):
                    since = times[g, r] - means[0]
                    for x in range(nx):
                        line[x] = first[x] + rate[x] * since
                    _horner(back, line, values[r])
                    for x in range(nx):
                        mean[x] += values[r, x]
                for r in range(nvalues):
                    for x in range(nx):
                        values[r, x] += ramps[g, x] - mean[x] / nvalues
                    _horner(there, values[r], result)
                    for x in range(nx):
                        total[x] += result[x]
                for x in range(nx):
                    if not dq[g, x] & np.uint8(keep):
                        ramps[g, x] = total[x] / nvalues
