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
from calwebbd.stages.kernels.sorting import middle, sort_columns

DNU = flags.DO_NOT_USE
SATURATED = flags.SATURATED
JUMP = flags.JUMP_DET
CHARGELOSS = flags.CHARGELOSS
PERSISTENCE = flags.PERSISTENCE
UNUSABLE = DNU | SATURATED
TOO_LARGE = 1e6  # variances from here on mean that there is none
TILE = 64

NORMAL, FIRST_GROUP, ZERO_FRAME = 0, 1, 2  # which time the first group of a ramp stands for


@helper
def load_tile(
    sci: Any,
    groupdq: Any,
    zeroframe: Any,
    y: int,
    x0: int,
    suppress: bool,
    values: Any,
    bits: Any,
    kinds: Any,
) -> None:
    """Copy the ramps from (y, x0) on; saturated samples are NaN, suppressed ramps DO_NOT_USE.

    values : (nints * ngroups, width), DN; bits : their flags
    kinds : (nints, width), NORMAL, FIRST_GROUP (the only good one) or ZERO_FRAME (in its place)
    """
    nints, ngroups = sci.shape[0], sci.shape[1]
    width = min(values.shape[1], sci.shape[3] - x0)
    good = np.empty(values.shape[1], np.int64)
    lasting = np.empty(values.shape[1], np.int64)
    for i in range(nints):
        good[:] = 0
        lasting[:] = 0
        for g in range(ngroups):
            samples, groups = sci[i, g, y, x0 : x0 + width], groupdq[i, g, y, x0 : x0 + width]
            row, marks = values[i * ngroups + g], bits[i * ngroups + g]
            for x in range(width):
                q = groups[x]
                row[x] = np.nan if q & SATURATED else samples[x]
                marks[x] = q
                good[x] += 1 if q == 0 else 0
                lasting[x] += 1 if q & (0xFF ^ PERSISTENCE) == 0 else 0
        for x in range(width):
            kinds[i, x] = NORMAL
            if suppress:
                if lasting[x] == 1:
                    for g in range(ngroups):
                        bits[i * ngroups + g, x] |= DNU
            elif good[x] == 1 and bits[i * ngroups, x] == 0:
                kinds[i, x] = FIRST_GROUP
            elif good[x] == 0 and zeroframe.shape[0] == nints and zeroframe[i, y, x0 + x] != 0:
                kinds[i, x] = ZERO_FRAME
                values[i * ngroups, x] = zeroframe[i, y, x0 + x]
                bits[i * ngroups, x] = 0


@helper
def rate_differences(
    values: Any, bits: Any, first: int, ngroups: int, time: float, out: Any, count: Any
) -> None:
    """Sorted differences of one integration's ramps over the group time, unusable ones last; their number.

    out : (ngroups - 1, width), DN/s. Without any difference, the first group over the time stands for it.
    """
    count[:] = 0
    for g in range(ngroups - 1):
        k = first + g
        for x in range(values.shape[1]):
            usable = (bits[k, x] | bits[k + 1, x]) & DNU == 0 and bits[k + 1, x] & JUMP == 0
            rate = values[k + 1, x] / time - values[k, x] / time
            usable = usable and rate == rate
            out[g, x] = rate if usable else np.inf
            count[x] += 1 if usable else 0
    for x in range(values.shape[1]):
        if count[x] == 0 and bits[first, x] & DNU == 0 and values[first, x] == values[first, x]:
            out[0, x] = values[first, x] / time
            count[x] = 1
    sort_columns(out, ngroups - 1)


@helper
def median_rates(values: Any, bits: Any, kinds: Any, times: Any, ordered: Any, count: Any, out: Any) -> None:
    """Mean over the integrations of the median rate of each pixel of a tile, DN/s.

    times : of a group, of one first group alone, of a zero frame, s
    An integration without a rate counts as 0.
    """
    nints = kinds.shape[0]
    ngroups = values.shape[0] // nints
    out[:] = 0.0
    for i in range(nints):
        first = i * ngroups
        if ngroups > 1:
            rate_differences(values, bits, first, ngroups, times[0], ordered, count)
        for x in range(out.size):
            if ngroups == 1:
                rate = values[first, x] / times[FIRST_GROUP]
            elif kinds[i, x] != NORMAL:
                rate = values[first, x] / times[kinds[i, x]]
            else:
                rate = middle(ordered, x, 0, count[x])
            out[x] += rate if rate == rate or ngroups == 1 else 0.0
    for x in range(out.size):
        out[x] /= nints


@helper
def find_segments(bits: Any, starts: Any, lengths: Any) -> int:
    """Runs of good groups, each with the jump just before it; how many.

    Runs of one group count only if there are no others, and then only the first.
    """
    number = 0
    longest = 0
    inside = False
    for g in range(bits.size):
        if bits[g] & (0xFF ^ PERSISTENCE) == 0:
            if not inside:
                jump = g > 0 and bits[g - 1] & (0xFF ^ PERSISTENCE) == JUMP
                starts[number] = g - 1 if jump else g
                lengths[number] = 1 if jump else 0
                number += 1
            inside = True
            lengths[number - 1] += 1
            longest = max(longest, lengths[number - 1])
        else:
            inside = False
    if longest < 2:
        return min(number, 1)
    kept = 0
    for k in range(number):
        if lengths[k] > 1:
            starts[kept], lengths[kept] = starts[k], lengths[k]
            kept += 1
    return kept


@helper
def read_variance(length: int, time: float, noise: float, gain: float) -> float:
    """Variance by read noise of a segment's slope, (DN/s)².

    12 (R/t)² / ((n³ - n) G²), where one group counts as two.
    """
    if length > 2 and not gain > 0.0:
        return 0.0
    ratio = noise / time
    n = float(length)
    spread = n * n * n - n if length > 2 else 6.0
    return 12.0 * ratio * ratio / (spread * gain * gain)


@helper
def weight_power(signal: float, noise: float, gain: float) -> int:
    """Row of the table of weights for a segment that rises by `signal`, DN."""
    square = noise * noise + signal * gain
    if square <= 0.0 or gain == 0.0:
        return 0
    ratio = signal * gain / np.sqrt(square)
    if ratio < 5.0:
        return 0
    if ratio < 10.0:
        return 1
    if ratio < 20.0:
        return 2
    if ratio < 50.0:
        return 3
    return 4 if ratio < 100.0 else 5


@helper
def segment_slope(ramp: Any, start: int, length: int, weights: Any, noise: float, gain: float) -> float:
    """Slope of three or more groups, DN per group.

    weights : (6, ngroups + 1, ngroups), by power, length and place in the segment
    """
    table = weights[weight_power(ramp[start + length - 1] - ramp[start], noise, gain), length]
    scale = 1.0 / (noise * noise)
    w = wx = wxx = wy = wxy = 0.0
    for k in range(length):
        weight = table[k] * scale
        x = float(start + k)
        y = ramp[start + k]
        if y != y:
            y = 0.0
        xw = x * weight
        w += weight
        wx += xw
        wxx += x * xw
        wy += y * weight
        wxy += y * xw
    return float((w * wxy - wx * wy) * (1.0 / (w * wxx - wx * wx)))


@helper
def fit_segment(
    ramp: Any,
    start: int,
    length: int,
    weights: Any,
    noise: float,
    gain: float,
    rate: float,
    times: Any,
    kind: int,
) -> tuple[float, float, float]:
    """Slope, DN/s, and its variances by photons and by read noise, of one segment.

    rate : median rate and dark current, which the photon variance is for
    """
    time = times[kind] if length == 1 else times[0]
    if length == 1:
        slope = ramp[start] / time
    elif length == 2:
        slope = (ramp[start + 1] - ramp[start]) / time
    else:
        slope = segment_slope(ramp, start, length, weights, noise, gain) / time
    elapsed = time * gain * (length - 1.0) if length > 2 else time * gain
    return slope, rate / elapsed, read_variance(length, time, noise, gain)


@helper
def capped(variance: float) -> float:
    """0 for a variance too large to mean anything."""
    return 0.0 if variance >= TOO_LARGE else variance


@helper
def fit_integration(
    ramp: Any, bits: Any, weights: Any, noise: float, gain: float, rate: float, times: Any, kind: int,
    starts: Any, lengths: Any, sums: Any,
) -> None:  # fmt: skip
    """Combine the slopes of an integration's segments by their read noise.

    sums : Σ 1/V_P, Σ 1/V_R, Σ 1/(V_P + V_R), Σ slope/V_R; 0 without a segment
    """
    for s in range(find_segments(bits, starts, lengths)):
        slope, photons, read = fit_segment(
            ramp, starts[s], lengths[s], weights, noise, gain, rate, times, kind
        )
        if photons > 0.0:
            sums[0] += 1.0 / photons
        sums[1] += 1.0 / read
        sums[2] += 1.0 / (photons + read)
        sums[3] += slope / read


@helper
def without_chargeloss(
    groupdq: Any, i: int, y: int, x: int, noise: float, gain: float, times: Any, kind: int, bits: Any,
    starts: Any, lengths: Any,
) -> float:  # fmt: skip
    """Inverse variance by read noise of an integration, had charge migration flagged nothing."""
    for g in range(bits.size):
        q = groupdq[i, g, y, x]
        bits[g] = q ^ (CHARGELOSS | DNU) if q & CHARGELOSS else q
    total = np.float64(0.0)
    for s in range(find_segments(bits, starts, lengths)):
        time = times[kind] if lengths[s] == 1 else times[0]
        read = read_variance(lengths[s], time, noise, gain)
        if read > 0.0:
            total += 1.0 / read
    return total


@helper
def store(images: Any, index: Any, slope: float, error: float, photons: float, read: float) -> None:
    """Write one pixel's results, rounded to single precision."""
    images[0][index] = slope
    images[1][index] = error
    images[2][index] = photons
    images[3][index] = read


@helper
def group_flags(groupdq: Any, i: int, y: int, x: int, bits: Any, kind: int) -> tuple[int, bool]:
    """All flags of an integration's groups together; whether every group is unusable."""
    every = 0
    unusable = True
    for g in range(bits.size):
        every |= bits[g]
        unusable = unusable and bits[g] & UNUSABLE != 0
    if kind == ZERO_FRAME:  # the flags of the group it stands for count, but for a lone group's SATURATED
        every |= groupdq[i, 0, y, x] if bits.size > 1 else groupdq[i, 0, y, x] & (0xFF ^ SATURATED)
    return every, unusable


@helper
def store_integration(images: Any, dq: Any, index: Any, flagged: int, every: int, sums: Any) -> float:
    """Write one integration's results from the sums of its fit; its variance by read noise."""
    slope = error = photons = read = 0.0
    if sums[1] != 0.0:
        photons = capped(1.0 / sums[0]) if sums[0] > 0.0 else 0.0
        read = capped(1.0 / sums[1])
        slope = sums[3] * read
        variance = 1.0 / sums[2]
        error = 0.0 if variance > TOO_LARGE else np.sqrt(variance)
    if flagged & UNUSABLE:
        slope, error, photons, read = np.nan, 0.0, 0.0, 0.0
    store(images, index, slope, error, photons, read)
    dq[index] = flagged | (every & SATURATED)
    return read


@helper
def store_exposure(images: Any, dq: Any, index: Any, flagged: int, partly: int, sums: Any) -> None:
    """Write the results of all integrations together."""
    photons = sums[0]
    if photons > 0.0:
        photons = 1.0 / photons
    if photons >= TOO_LARGE or photons < 0.0:
        photons = 0.0
    read = capped(1.0 / sums[1] if sums[1] > 0.0 else sums[1])
    slope = sums[3] * read
    error = np.sqrt(photons + read)
    if flagged & UNUSABLE:
        slope, error, photons, read = np.nan, 0.0, 0.0, 0.0
    store(images, index, slope, error, photons, read)
    dq[index] = flagged | partly


@helper
def fit_tile(
    groupdq: Any, y: int, x0: int, values: Any, bits: Any, kinds: Any, flagged: Any, noise: Any, gain: Any,
    expected: Any, weights: Any, times: Any, rate: Any, rate_dq: Any, rateints: Any, rateints_dq: Any,
) -> None:  # fmt: skip
    """Fit the ramps of the tile that begins at pixel (y, x0), and write its results.

    flagged, noise, gain, expected : flags of each pixel itself; e- of a group; e-/DN;
        median rate with dark current, DN/s
    """
    nints, ngroups = groupdq.shape[0], groupdq.shape[1]
    ramp, q = np.empty(ngroups), np.empty(ngroups, np.uint8)
    starts, lengths = np.empty(ngroups, np.int64), np.empty(ngroups, np.int64)
    sums, total = np.empty(4), np.empty(4)
    for c in range(min(TILE, groupdq.shape[3] - x0)):
        total[:] = 0.0
        unlosing = 0.0  # Σ 1/V_R, had charge migration flagged nothing
        seen = 0
        always = UNUSABLE
        for i in range(nints):
            for g in range(ngroups):
                ramp[g] = values[i * ngroups + g, c]
                q[g] = bits[i * ngroups + g, c]
            every, unusable = group_flags(groupdq, i, y, x0 + c, q, kinds[i, c])
            own = flagged[c] | (every & (JUMP | PERSISTENCE))
            sums[:] = 0.0
            if q[0] & SATURATED:
                own |= UNUSABLE
            elif unusable:
                own |= DNU
            else:
                fit_integration(
                    ramp,
                    q,
                    weights,
                    noise[c],
                    gain[c],
                    expected[c],
                    times,
                    kinds[i, c],
                    starts,
                    lengths,
                    sums,
                )
            read = store_integration(rateints, rateints_dq, (i, y, x0 + c), own, every, sums)
            if every & CHARGELOSS:
                inverse = without_chargeloss(
                    groupdq, i, y, x0 + c, noise[c], gain[c], times, kinds[i, c], q, starts, lengths
                )
                rateints[3][i, y, x0 + c] = capped(1.0 / inverse)
                unlosing += inverse
            elif read > 0.0:
                unlosing += 1.0 / read
            for k in range(4):
                total[k] += sums[k]
            seen |= every
            always &= own
        own = flagged[c] | (seen & (JUMP | PERSISTENCE)) | always
        store_exposure(rate, rate_dq, (y, x0 + c), own, seen & SATURATED, total)
        if seen & CHARGELOSS and unlosing > 0.0:
            rate[3][y, x0 + c] = capped(1.0 / unlosing)


@kernel(
    "(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], u4[:, ::1], f4[:, ::1], f4[:, ::1], f8, f4[:, ::1],"
    " f4[:, :, ::1], f4[:, :, ::1], f8[::1], b1, UniTuple(f4[:, ::1], 4), u4[:, ::1],"
    " UniTuple(f4[:, :, ::1], 4), u4[:, :, ::1])"
)
def fit_ramps(
    start: int, stop: int, sci: Any, groupdq: Any, pixeldq: Any, gain: Any, readnoise: Any, root: float,
    dark: Any, zeroframe: Any, weights: Any, times: Any, suppress: bool, rate: Any, rate_dq: Any,
    rateints: Any, rateints_dq: Any,
) -> None:  # fmt: skip
    """Fit slopes by integration and for the exposure.

    sci, groupdq : (nints, ngroups, ny, nx); pixeldq, gain, readnoise : (ny, nx)
    dark : (ny, nx), or (1, 1) for all pixels
    root : by which the read noise of a difference, DN, times gain is that of a group, e-
    zeroframe : (nints, ny, nx), or no integrations
    weights : (6, ngroups + 1, ngroups); times : s, of a group, of the first group, of a frame
    suppress : treat ramps with one good group as having none
    rate, rateints : slope, error, photon and read-noise variances, each (ny, nx) or (nints, ny, nx)
    """
    nints, ngroups, nx = sci.shape[0], sci.shape[1], sci.shape[3]
    values = np.zeros((nints * ngroups, TILE))
    bits = np.zeros((nints * ngroups, TILE), np.uint8)
    kinds = np.zeros((nints, TILE), np.uint8)
    ordered = np.empty((max(ngroups - 1, 1), TILE))
    count = np.empty(TILE, np.int64)
    flagged = np.zeros(TILE, np.int64)
    noise, gains, expected = np.zeros(TILE), np.zeros(TILE), np.zeros(TILE)
    for y in range(start, stop):
        for x0 in range(0, nx, TILE):
            load_tile(sci, groupdq, zeroframe, y, x0, suppress, values, bits, kinds)
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
                groupdq, y, x0, values, bits, kinds, flagged, noise, gains, expected, weights, times,
                rate, rate_dq, rateints, rateints_dq,
            )  # fmt: skip
