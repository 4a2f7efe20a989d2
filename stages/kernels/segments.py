"""Slopes of the segments of one ramp: runs of good groups, each perhaps begun by a jump.

Arithmetic is double throughout and its order that of the reference pipeline, so that
results agree to the last bit of single precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper

DNU = flags.DO_NOT_USE
JUMP = flags.JUMP_DET
CHARGELOSS = flags.CHARGELOSS
NOT_PERSISTENCE = 0xFF ^ flags.PERSISTENCE
SQRT2 = 1.41421356  # as the reference pipeline has it


@helper
def find_segments(bits: Any, starts: Any, lengths: Any) -> int:
    """Runs of good groups, each with the jump just before it; how many.

    Runs of one group count only if there are no others, and then only the first.
    """
    number = 0
    longest = 0
    inside = False
    for g in range(bits.size):
        if bits[g] & NOT_PERSISTENCE == 0:
            if not inside:
                jump = g > 0 and bits[g - 1] & NOT_PERSISTENCE == JUMP
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
def segment_sums(ramp: Any, start: int, length: int, weights: Any, noise: float, gain: float) -> Any:
    """Weighted sums of three or more groups: of 1, x, x², y and xy, where x counts groups.

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
    return w, wx, wxx, wy, wxy


@helper
def fit_segment(
    ramp: Any, start: int, length: int, weights: Any, noise: float, gain: float, rate: float, times: Any,
    kind: int, detailed: bool, out: Any,
) -> None:  # fmt: skip
    """Fit one segment; `out` in the order of the optional product.

    rate : median rate and dark current, which the photon variance is for
    out : slope, DN/s, its standard error, its variances by photons and by read noise, intercept
        and its standard error, weight; errors, intercept and weight only if `detailed`
    """
    time = times[kind] if length == 1 else times[0]
    w = wx = wxx = wy = wxy = inverse = 0.0
    if length == 1:
        out[0] = ramp[start] / time
    elif length == 2:
        out[0] = (ramp[start + 1] - ramp[start]) / time
    else:
        w, wx, wxx, wy, wxy = segment_sums(ramp, start, length, weights, noise, gain)
        inverse = 1.0 / (w * wxx - wx * wx)
        out[0] = (w * wxy - wx * wy) * inverse / time
    out[2] = rate / (time * gain * (length - 1.0) if length > 2 else time * gain)
    out[3] = read_variance(length, time, noise, gain)
    if detailed:
        out[1] = np.sqrt(w * inverse)
        out[4] = (wxx * wy - wx * wxy) * inverse
        out[5] = np.sqrt(wxx * inverse)
        out[6] = 1.0 / out[3]
        if length == 2:
            out[1] = out[5] = SQRT2 * noise
            out[4] = ramp[start] * (start + 1.0) - ramp[start + 1] * start


@helper
def fit_integration(
    ramp: Any, bits: Any, weights: Any, noise: float, gain: float, rate: float, times: Any, kind: int,
    starts: Any, lengths: Any, fit: Any, sums: Any, planes: Any, i: int, y: int, x: int,
) -> None:  # fmt: skip
    """Combine the slopes of an integration's segments by their read noise.

    fit : work space, 7
    sums : Σ 1/V_P, Σ 1/V_R, Σ 1/(V_P + V_R), Σ slope/V_R; 0 without a segment
    planes : (nints, 7 nsegments + 1, ny, nx), each number of each segment; or no integrations
    """
    most = planes.shape[1] // 7
    for s in range(find_segments(bits, starts, lengths)):
        fit_segment(
            ramp, starts[s], lengths[s], weights, noise, gain, rate, times, kind, planes.shape[0] > 0, fit
        )
        if fit[2] > 0.0:
            sums[0] += 1.0 / fit[2]
        sums[1] += 1.0 / fit[3]
        sums[2] += 1.0 / (fit[2] + fit[3])
        sums[3] += fit[0] / fit[3]
        if planes.shape[0]:
            for k in range(7):
                planes[i, k * most + s, y, x] = fit[k]


@helper
def find_others(tile: Any, starts: Any, lengths: Any) -> int:
    """Find the ramps that are one segment, of three groups or more, and the others; how many others.

    starts, lengths : work space, (ngroups,)
    """
    ngroups, width = tile.bits.shape
    bits = np.empty(ngroups, np.uint8)
    number = 0
    for c in range(width):
        tile.starts[c], tile.lengths[c] = 0, ngroups
        if ngroups > 2 and tile.every[c] & NOT_PERSISTENCE == 0:
            continue
        for g in range(ngroups):
            bits[g] = tile.bits[g, c]
        if tile.usable[c] and find_segments(bits, starts, lengths) == 1 and lengths[0] > 2:
            tile.starts[c], tile.lengths[c] = starts[0], lengths[0]
        else:
            tile.others[number] = c
            number += 1
    return number


@helper
def fit_single_segments(tile: Any, weights: Any, time: float) -> None:
    """What `fit_integration` does for each, done for all ramps of a tile as if each were one segment."""
    starts, lengths, powers = tile.starts, tile.lengths, tile.count
    noise, gain, sums = tile.noise, tile.gain, tile.sums
    w, wx, wxx, wy, wxy, scale = (
        tile.work[0], tile.work[1], tile.work[2], tile.work[3], tile.work[4], tile.work[5]
    )  # fmt: skip
    width = starts.size
    for c in range(width):
        scale[c] = tile.values[starts[c] + lengths[c] - 1, c] - tile.values[starts[c], c]
    for c in range(width):
        powers[c] = weight_power(scale[c], noise[c], gain[c])
    for c in range(width):
        scale[c] = 1.0 / (noise[c] * noise[c])
        w[c] = wx[c] = wxx[c] = wy[c] = wxy[c] = 0.0
    for k in range(starts.min(), (starts + lengths).max()):
        x = float(k)
        values = tile.values[k]
        for c in range(width):
            place = k - starts[c]
            inside = (place >= 0) & (place < lengths[c])
            weight = weights[powers[c], lengths[c], place if inside else 0] * scale[c] if inside else 0.0
            y = values[c] if inside & (values[c] == values[c]) else 0.0
            xw = x * weight
            w[c] += weight
            wx[c] += xw
            wxx[c] += x * xw
            wy[c] += y * weight
            wxy[c] += y * xw
    for c in range(width):
        inverse = 1.0 / (w[c] * wxx[c] - wx[c] * wx[c])
        slope = (w[c] * wxy[c] - wx[c] * wy[c]) * inverse / time
        photons = tile.expected[c] / (time * gain[c] * (lengths[c] - 1.0))
        read = read_variance(lengths[c], time, noise[c], gain[c])
        sums[0, c] = 1.0 / photons if photons > 0.0 else 0.0
        sums[1, c] = 1.0 / read
        sums[2, c] = 1.0 / (photons + read)
        sums[3, c] = slope / read


@helper
def without_chargeloss(
    groupdq: Any, i: int, first: int, y: int, x: int, noise: float, gain: float, times: Any, kind: int,
    bits: Any, starts: Any, lengths: Any,
) -> float:  # fmt: skip
    """Inverse variance by read noise of an integration, had charge migration flagged nothing."""
    for g in range(bits.size):
        q = groupdq[i, first + g, y, x]
        bits[g] = q ^ (CHARGELOSS | DNU) if q & CHARGELOSS else q
    total = np.float64(0.0)
    for s in range(find_segments(bits, starts, lengths)):
        time = times[kind] if lengths[s] == 1 else times[0]
        read = read_variance(lengths[s], time, noise, gain)
        if read > 0.0:
            total += 1.0 / read
    return total
