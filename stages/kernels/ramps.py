"""Slopes of ramps by least squares with optimal weights.

Arithmetic is double throughout and its order that of the reference pipeline, so that
results agree to the last bit of single precision. Pixels are taken in tiles: their
samples are copied once into arrays that stay in the processor's first cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper, kernel
from calwebbd.stages.kernels.samples import ZERO_FRAME, load_tile, median_rates
from calwebbd.stages.kernels.segments import fit_integration, without_chargeloss

DNU = flags.DO_NOT_USE
SATURATED = flags.SATURATED
JUMP = flags.JUMP_DET
CHARGELOSS = flags.CHARGELOSS
PERSISTENCE = flags.PERSISTENCE
UNUSABLE = DNU | SATURATED
TOO_LARGE = 1e6  # variances from here on mean that there is none
TILE = 64

GROUPS_BEFORE = 3  # where `times` has what the pedestal is reckoned by


@helper
def capped(variance: float) -> float:
    """0 for a variance too large to mean anything."""
    return 0.0 if variance >= TOO_LARGE else variance


@helper
def group_flags(groupdq: Any, i: int, first: int, y: int, x: int, bits: Any, kind: int) -> Any:
    """All flags of an integration's groups together; whether every group is unusable."""
    every = 0
    unusable = True
    for g in range(bits.size):
        every |= bits[g]
        unusable = unusable and bits[g] & UNUSABLE != 0
    if kind == ZERO_FRAME:  # the flags of the group it stands for count, but for a lone group's SATURATED
        own = groupdq[i, first, y, x]
        every |= own if bits.size > 1 else own & (0xFF ^ SATURATED)
    return every, unusable


@helper
def integration_rate(results: Any, c: int, flagged: int, sums: Any) -> Any:
    """Write one integration's results, of a pixel in column c, from the sums of its fit.

    results : (4, width), slope, error, photon and read-noise variances
    Returns the slope and its read variance.
    """
    slope = error = photons = read = 0.0
    if sums[1] != 0.0:
        photons = capped(1.0 / sums[0]) if sums[0] > 0.0 else 0.0
        read = capped(1.0 / sums[1])
        slope = sums[3] * read
        variance = 1.0 / sums[2]
        error = 0.0 if variance > TOO_LARGE else np.sqrt(variance)
    if flagged & UNUSABLE:
        slope, error, photons, read = np.nan, 0.0, 0.0, 0.0
    results[0, c], results[1, c], results[2, c], results[3, c] = slope, error, photons, read
    return slope, read


@helper
def exposure_rate(results: Any, c: int, flagged: int, sums: Any) -> None:
    """Write the results of all integrations together."""
    photons = capped(1.0 / sums[0]) if sums[0] > 0.0 else 0.0
    read = capped(1.0 / sums[1] if sums[1] > 0.0 else sums[1])
    slope = sums[3] * read
    error = np.sqrt(photons + read)
    if flagged & UNUSABLE:
        slope, error, photons, read = np.nan, 0.0, 0.0, 0.0
    results[0, c], results[1, c], results[2, c], results[3, c] = slope, error, photons, read


@helper
def fit_tile(
    groupdq: Any, first: int, y: int, x0: int, values: Any, bits: Any, kinds: Any, flagged: Any, noise: Any,
    gain: Any, expected: Any, weights: Any, times: Any, results: Any, marks: Any, planes: Any,
) -> None:  # fmt: skip
    """Fit the ramps of the tile that begins at pixel (y, x0).

    flagged, noise, gain, expected : flags of each pixel itself; e- of a group; e-/DN;
        median rate with dark current, DN/s
    results, marks : (nints + 1, 4, width) and the flags, (nints + 1, width); the last is the exposure's
    """
    nints, ngroups = groupdq.shape[0], weights.shape[2]
    ramp, q = np.empty(ngroups), np.empty(ngroups, np.uint8)
    starts, lengths = np.empty(ngroups, np.int64), np.empty(ngroups, np.int64)
    sums, total, fit = np.empty(4), np.empty(4), np.empty(7)
    for c in range(min(TILE, groupdq.shape[3] - x0)):
        for k in range(4):
            total[k] = 0.0
        unlosing = 0.0  # Σ 1/V_R, had charge migration flagged nothing
        seen, always = 0, UNUSABLE
        for i in range(nints):
            kind = kinds[i, c]
            for g in range(ngroups):
                ramp[g], q[g] = values[i * ngroups + g, c], bits[i * ngroups + g, c]
            every, unusable = group_flags(groupdq, i, first, y, x0 + c, q, kind)
            own = flagged[c] | (every & (JUMP | PERSISTENCE))
            for k in range(4):
                sums[k] = 0.0
            if q[0] & SATURATED:
                own |= UNUSABLE
            elif unusable:
                own |= DNU
            else:
                fit_integration(
                    ramp, q, weights, noise[c], gain[c], expected[c], times, kind, starts, lengths, fit, sums,
                    planes, i, y, x0 + c,
                )  # fmt: skip
            slope, read = integration_rate(results[i], c, own, sums)
            if planes.shape[0]:
                pedestal = 0.0 if own & SATURATED else ramp[0] - slope * times[GROUPS_BEFORE]
                planes[i, planes.shape[1] - 1, y, x0 + c] = pedestal if pedestal == pedestal else 0.0
            marks[i, c] = own | (every & SATURATED)
            if every & CHARGELOSS:
                inverse = without_chargeloss(
                    groupdq, i, first, y, x0 + c, noise[c], gain[c], times, kind, q, starts, lengths
                )
                results[i, 3, c] = capped(1.0 / inverse)
                unlosing += inverse
            elif read > 0.0:
                unlosing += 1.0 / read
            for k in range(4):
                total[k] += sums[k]
            seen |= every
            always &= own
        own = flagged[c] | (seen & (JUMP | PERSISTENCE)) | always
        exposure_rate(results[nints], c, own, total)
        marks[nints, c] = own | (seen & SATURATED)
        if seen & CHARGELOSS and unlosing > 0.0:
            results[nints, 3, c] = capped(1.0 / unlosing)


@helper
def copy_tile(results: Any, marks: Any, y: int, x0: int, images: Any, dq: Any) -> None:
    """Put a tile's results into their images: four (ny, nx), and the flags."""
    for x in range(min(TILE, dq.shape[1] - x0)):
        for k in range(4):
            images[k][y, x0 + x] = results[k, x]
        dq[y, x0 + x] = marks[x]


@kernel(
    "(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], u4[:, ::1], f4[:, ::1], f4[:, ::1], f8, f4[:, ::1],"
    " f4[:, :, ::1], f4[:, :, ::1], f8[::1], i8, b1, UniTuple(f4[:, ::1], 4), u4[:, ::1],"
    " UniTuple(f4[:, :, ::1], 4), u4[:, :, ::1], f4[:, :, :, ::1])"
)
def fit_ramps(
    start: int, stop: int, sci: Any, groupdq: Any, pixeldq: Any, gain: Any, readnoise: Any, root: float,
    dark: Any, zeroframe: Any, weights: Any, times: Any, first: int, suppress: bool, rate: Any, rate_dq: Any,
    rateints: Any, rateints_dq: Any, planes: Any,
) -> None:  # fmt: skip
    """Fit slopes by integration and for the exposure.

    sci, groupdq : (nints, ngroups, ny, nx); pixeldq, gain, readnoise : (ny, nx)
    dark : (ny, nx), or (1, 1) for all pixels
    root : by which the read noise of a difference, DN, times gain is that of a group, e-
    zeroframe : (nints, ny, nx), or no integrations
    weights : (6, n + 1, n) for the n groups from `first` on; the others are left out
    times : s, of a group, of the first group, of a frame; groups before the mean time of the first
    suppress : treat ramps with one good group as having none
    rate, rateints : slope, error, photon and read-noise variances, each (ny, nx) or (nints, ny, nx)
    planes : (nints, 7 nsegments + 1, ny, nx): the numbers of `fit_segment`, each of all segments;
        last the pedestal. Or no integrations
    """
    nints, ngroups, nx = sci.shape[0], weights.shape[2], sci.shape[3]
    values = np.zeros((nints * ngroups, TILE))
    bits = np.zeros((nints * ngroups, TILE), np.uint8)
    kinds = np.zeros((nints, TILE), np.uint8)
    ordered = np.empty((max(ngroups - 1, 1), TILE))
    count = np.empty(TILE, np.int64)
    flagged = np.zeros(TILE, np.int64)
    noise, gains, expected = np.zeros(TILE), np.zeros(TILE), np.zeros(TILE)
    results = np.empty((nints + 1, 4, TILE), np.float32)
    marks = np.empty((nints + 1, TILE), np.uint32)
    for y in range(start, stop):
        for x0 in range(0, nx, TILE):
            load_tile(sci, groupdq, zeroframe, first, y, x0, suppress, values, bits, kinds)
            median_rates(values, bits, kinds, times, ordered, count, expected)
            for c in range(min(TILE, nx - x0)):
                x = x0 + c
                gains[c] = gain[y, x]
                noise[c] = np.float32(np.float64(readnoise[y, x]) * (gains[c] / root))
                current = np.float64(dark[min(y, dark.shape[0] - 1), min(x, dark.shape[1] - 1)])
                expected[c] = (expected[c] if expected[c] > 0.0 else 0.0) + current
                flagged[c] = pixeldq[y, x]
                if not gains[c] > 0.0:
                    flagged[c] |= flags.NO_GAIN_VALUE | DNU
            fit_tile(
                groupdq, first, y, x0, values, bits, kinds, flagged, noise, gains, expected, weights, times,
                results, marks, planes,
            )  # fmt: skip
            copy_tile(results[nints], marks[nints], y, x0, rate, rate_dq)
            for i in range(nints):
                images = (rateints[0][i], rateints[1][i], rateints[2][i], rateints[3][i])
                copy_tile(results[i], marks[i], y, x0, images, rateints_dq[i])
