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
PERSISTENCE = flags.PERSISTENCE


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
