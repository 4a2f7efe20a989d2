"""Slopes of ramps by least squares with optimal weights.

Arithmetic is double throughout and its order that of the reference pipeline, so that
results agree to the last bit of single precision. Pixels are taken in tiles, and the
integrations of a tile one after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper, kernel
from calwebbd.stages.kernels.samples import add_median_rates, gather_flags, load_tile
from calwebbd.stages.kernels.segments import (
    find_others,
    fit_integration,
    fit_single_segments,
    without_chargeloss,
)
from calwebbd.stages.kernels.tiles import new_tile

DNU = flags.DO_NOT_USE
SATURATED = flags.SATURATED
JUMP = flags.JUMP_DET
CHARGELOSS = flags.CHARGELOSS
PERSISTENCE = flags.PERSISTENCE
UNUSABLE = DNU | SATURATED
TOO_LARGE = 1e6  # variances from here on mean that there is none

GROUPS_BEFORE = 3  # where `times` has what the pedestal is reckoned by


@helper
def capped(variance: float) -> float:
    """0 for a variance too large to mean anything."""
    return 0.0 if variance >= TOO_LARGE else variance


@helper
def describe_pixels(
    tile: Any, nints: int, y: int, x0: int, pixeldq: Any, gain: Any, readnoise: Any, root: float, dark: Any
) -> None:
    """Flags, gain, noise and expected rate of the pixels from (y, x0) on; nothing seen of them yet."""
    for c in range(min(tile.own.size, gain.shape[1] - x0)):
        x = x0 + c
        tile.gain[c] = gain[y, x]
        tile.noise[c] = np.float32(np.float64(readnoise[y, x]) * (tile.gain[c] / root))
        rate = tile.expected[c] / nints
        current = np.float64(dark[min(y, dark.shape[0] - 1), min(x, dark.shape[1] - 1)])
        tile.expected[c] = (rate if rate > 0.0 else 0.0) + current
        tile.flagged[c] = pixeldq[y, x]
        if not tile.gain[c] > 0.0:
            tile.flagged[c] |= flags.NO_GAIN_VALUE | DNU
    tile.total[:] = 0.0
    tile.seen[:] = 0
    tile.always[:] = UNUSABLE


@helper
def fit_tile(tile: Any, i: int, y: int, x0: int, weights: Any, times: Any, planes: Any) -> None:
    """Fit the ramps of one integration: those of one segment side by side, the others one by one.

    All are fitted one by one if the numbers of each segment are asked for.
    """
    ngroups, width = tile.bits.shape
    starts, lengths = np.empty(ngroups, np.int64), np.empty(ngroups, np.int64)
    ramp, bits, fit = np.empty(ngroups), np.empty(ngroups, np.uint8), np.empty(7)
    if planes.shape[0]:
        number = min(width, planes.shape[3] - x0)
        for c in range(width):
            tile.others[c] = c
    else:
        number = find_others(tile, starts, lengths)
        fit_single_segments(tile, weights, times[0])
    for n in range(number):
        c = tile.others[n]
        tile.sums[:, c] = 0.0
        if tile.usable[c]:
            for g in range(ngroups):
                ramp[g], bits[g] = tile.values[g, c], tile.bits[g, c]
            fit_integration(
                ramp, bits, weights, tile.noise[c], tile.gain[c], tile.expected[c], times, tile.kinds[c],
                starts, lengths, fit, tile.sums[:, c], planes, i, y, x0 + c,
            )  # fmt: skip


@helper
def integration_rates(tile: Any) -> None:
    """The results of one integration from the sums of its fits."""
    sums, results = tile.sums, tile.results
    for c in range(tile.own.size):
        inverse_photons, inverse_read, slopes = sums[0, c], sums[1, c], sums[3, c]
        useless = tile.own[c] & UNUSABLE != 0
        gone = useless | (inverse_read == 0.0)
        photons = capped(1.0 / inverse_photons) if inverse_photons > 0.0 else 0.0
        read = 0.0 if gone else capped(1.0 / inverse_read)
        variance = 1.0 / sums[2, c]
        results[0, c] = np.nan if useless else slopes * read
        results[1, c] = 0.0 if gone | (variance > TOO_LARGE) else np.sqrt(variance)
        results[2, c] = 0.0 if gone else photons
        results[3, c] = read
        sums[4, c] = 1.0 / read if read > 0.0 else 0.0


@helper
def undo_chargeloss(tile: Any, groupdq: Any, i: int, first: int, y: int, x0: int, times: Any) -> None:
    """Give the variance by read noise that there would be had charge migration flagged nothing."""
    ngroups = tile.bits.shape[0]
    starts, lengths = np.empty(ngroups, np.int64), np.empty(ngroups, np.int64)
    bits = np.empty(ngroups, np.uint8)
    for c in range(min(tile.own.size, groupdq.shape[3] - x0)):
        if tile.every[c] & CHARGELOSS:
            inverse = without_chargeloss(
                groupdq, i, first, y, x0 + c, tile.noise[c], tile.gain[c], times, tile.kinds[c], bits, starts,
                lengths,
            )  # fmt: skip
            tile.results[3, c] = capped(1.0 / inverse)
            tile.sums[4, c] = inverse


@helper
def put_pedestals(tile: Any, i: int, y: int, x0: int, times: Any, planes: Any) -> None:
    """Signal at the beginning of each ramp, DN; 0 where it is not known."""
    for c in range(min(tile.own.size, planes.shape[3] - x0)):
        read = capped(1.0 / tile.sums[1, c]) if tile.sums[1, c] != 0.0 else 0.0
        pedestal = tile.values[0, c] - tile.sums[3, c] * read * times[GROUPS_BEFORE]
        known = tile.own[c] & UNUSABLE == 0 and pedestal == pedestal
        planes[i, planes.shape[1] - 1, y, x0 + c] = pedestal if known else 0.0


@helper
def add_integration(tile: Any) -> None:
    """Count it among those of the exposure."""
    for k in range(tile.total.shape[0]):
        total, sums = tile.total[k], tile.sums[k]
        for c in range(total.size):
            total[c] += sums[c]
    for c in range(tile.own.size):
        tile.seen[c] |= tile.every[c]
        tile.always[c] &= tile.own[c]


@helper
def exposure_rates(tile: Any) -> None:
    """The results of all integrations together, and their flags."""
    total, results = tile.total, tile.results
    for c in range(tile.own.size):
        tile.own[c] = tile.flagged[c] | (tile.seen[c] & (JUMP | PERSISTENCE)) | tile.always[c]
    for c in range(tile.own.size):
        useless = tile.own[c] & UNUSABLE != 0
        photons = capped(1.0 / total[0, c]) if total[0, c] > 0.0 else 0.0
        read = capped(1.0 / total[1, c] if total[1, c] > 0.0 else total[1, c])
        unlosing = tile.seen[c] & CHARGELOSS != 0 and total[4, c] > 0.0
        results[0, c] = np.nan if useless else total[3, c] * read
        results[1, c] = 0.0 if useless else np.sqrt(photons + read)
        results[2, c] = 0.0 if useless else photons
        results[3, c] = capped(1.0 / total[4, c]) if unlosing else 0.0 if useless else read


@helper
def put_tile(tile: Any, every: Any, y: int, x0: int, images: Any, dq: Any) -> None:
    """Put the results into their images: four (ny, nx), and the flags. every : those of the groups."""
    for x in range(min(tile.own.size, dq.shape[1] - x0)):
        for k in range(4):
            images[k][y, x0 + x] = tile.results[k, x]
        dq[y, x0 + x] = tile.own[x] | (every[x] & SATURATED)


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
    nints, nx = sci.shape[0], sci.shape[3]
    tile = new_tile(weights.shape[2], nx)
    for y in range(start, stop):
        for x0 in range(0, nx, tile.own.size):
            tile.expected[:] = 0.0
            for i in range(nints):
                load_tile(tile, sci, groupdq, zeroframe, i, first, y, x0, suppress)
                add_median_rates(tile, times)
            describe_pixels(tile, nints, y, x0, pixeldq, gain, readnoise, root, dark)
            for i in range(nints):
                if nints > 1:
                    load_tile(tile, sci, groupdq, zeroframe, i, first, y, x0, suppress)
                gather_flags(tile, groupdq, i, first, y, x0)
                fit_tile(tile, i, y, x0, weights, times, planes)
                if planes.shape[0]:
                    put_pedestals(tile, i, y, x0, times, planes)
                integration_rates(tile)
                undo_chargeloss(tile, groupdq, i, first, y, x0, times)
                add_integration(tile)
                images = (rateints[0][i], rateints[1][i], rateints[2][i], rateints[3][i])
                put_tile(tile, tile.every, y, x0, images, rateints_dq[i])
            exposure_rates(tile)
            put_tile(tile, tile.seen, y, x0, rate, rate_dq)
