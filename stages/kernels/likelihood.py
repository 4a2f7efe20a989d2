"""Slopes of ramps by generalised least squares on the differences of their groups, and jumps among them.

Neighbouring differences share a group, so that their covariance is tridiagonal; it is
factored as L D Lᵀ for many pixels side by side. Names follow the papers: C is the
covariance of the differences D, and a slope is 1ᵀC⁻¹D / 1ᵀC⁻¹1.
Source: Brandt 2024, doi:10.1088/1538-3873/ad38d9 (I) and doi:10.1088/1538-3873/ad38da (II).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper, kernel
from calwebbd.stages.kernels.sorting import middle, sort_columns

JUMP = flags.JUMP_DET
DNU = flags.DO_NOT_USE
SATURATED = flags.SATURATED
TILE = 64
ONE, TWO = 4.5**2, 23.8  # gains in χ² for which one difference is dropped, or two together
FEWEST = 2  # usable differences to search; for another find there must be more than three
SURELY, ALIKE = 1e-9, 1e-12  # relative: what is more than rounding; what is no more, in χ²
INTERVAL, PHOTONS, READING, SHARED_PHOTONS, SHARED_READING, MANY = range(6)  # rows of `timing`


@helper
def load_differences(
    sci: Any, groupdq: Any, zeroframe: Any, i: int, y: int, x0: int, width: int, nframes: Any, timing: Any,
    differences: Any, use: Any, before: Any, marks: Any,
) -> None:  # fmt: skip
    """Differences over their time, DN/s, of a tile of one integration; rows 1 … n.

    use : 1.0 where neither group has a flag
    before : work space; marks : flags of the last group, in any group, and unusable in all
    """
    extra = differences.shape[0] - 1 - sci.shape[1]  # 1 with a zero frame
    for k in range(differences.shape[0] - 1):
        g = max(k - extra, 0)
        for c in range(width):
            q = groupdq[i, g, y, x0 + c]
            value = sci[i, g, y, x0 + c]
            if extra and k < 2:
                zero = zeroframe[i, y, x0 + c]
                value = (value * nframes - zero) / (nframes - np.float32(1)) if k else zero
            unusable = DNU if q & (DNU | SATURATED) else 0
            if k:
                differences[k, c] = np.float64(value - before[c]) / timing[INTERVAL, k]
                use[k, c] = 0.0 if q | marks[0, c] else 1.0
                marks[1, c] |= q
                marks[2, c] &= unusable
            else:
                marks[1, c] = q
                marks[2, c] = unusable
            before[c] = value
            marks[0, c] = q


@helper
def median_differences(differences: Any, ordered: Any, out: Any) -> None:
    """Median of each column's rows 1 … n, 0 if it is negative; NaN where a value is not finite."""
    n = differences.shape[0] - 2
    for c in range(TILE):
        out[c] = 0.0
    for k in range(n):
        for c in range(TILE):
            ordered[k, c] = differences[k + 1, c]
            out[c] += 0.0 * ordered[k, c]
    sort_columns(ordered, n)
    for c in range(TILE):
        out[c] += max(middle(ordered, c, 0, n), 0.0)


@helper
def solve(
    differences: Any, use: Any, photons: Any, reading: Any, timing: Any, width: int, ratio: Any, inverse: Any,
    ones: Any, data: Any, total: Any, slope: Any,
) -> None:  # fmt: skip
    """Solve C x = 1 and C x = D by columns; rows 1 … n, between rows of zeros.

    photons, reading : of each column, slope over gain and square of the read noise
    ratio : subdiagonal of L; inverse : diagonal of C⁻¹; ones, data : C⁻¹1 and C⁻¹D, 0 where not used
    total, slope : 1ᵀC⁻¹1 and 1ᵀC⁻¹D over it
    """
    n = differences.shape[0] - 2
    for c in range(width):
        total[c] = slope[c] = 0.0
    for k in range(1, n + 1):
        for c in range(width):
            shared = photons[c] * timing[SHARED_PHOTONS, k] + reading[c] * timing[SHARED_READING, k]
            shared *= use[k - 1, c] * use[k, c]
            lower = shared * inverse[k - 1, c]
            own = photons[c] * timing[PHOTONS, k] + reading[c] * timing[READING, k]
            ratio[k, c] = lower
            inverse[k, c] = 1.0 / (own - lower * shared)
            ones[k, c] = use[k, c] - lower * ones[k - 1, c]
            data[k, c] = use[k, c] * differences[k, c] - lower * data[k - 1, c]
    for k in range(n, 0, -1):
        for c in range(width):
            lower = ratio[k + 1, c]
            ones[k, c] = ones[k, c] * inverse[k, c] - lower * ones[k + 1, c]
            data[k, c] = data[k, c] * inverse[k, c] - lower * data[k + 1, c]
            inverse[k, c] += lower * lower * inverse[k + 1, c]
            total[c] += ones[k, c]
            slope[c] += ones[k, c] * differences[k, c]
    for c in range(width):
        slope[c] /= total[c]


@helper
def find_worst(
    use: Any, timing: Any, width: int, ratio: Any, inverse: Any, ones: Any, data: Any, total: Any, slope: Any,
    best: Any, which: Any,
) -> None:  # fmt: skip
    """The difference, k, or the two from it, −k, without which χ² falls most beyond its threshold; 0 if none.

    The gain in χ² is that of the differences' residuals over their own covariance,
    which is what paper II, sections 3.1 and 3.2, comes to. It is the same for two that
    are the only ones: then the greater is the worst, as jumps go up.
    """
    for c in range(width):
        best[c], which[c] = 0.0, 0
    for k in range(1, use.shape[0] - 1):
        for c in range(width):
            r = data[k, c] - slope[c] * ones[k, c]
            p = inverse[k, c] - ones[k, c] * ones[k, c] / total[c]
            gain = r * r / p * (1.0 + ALIKE if r > 0.0 else 1.0) - ONE
            if use[k, c] != 0.0 and gain > best[c]:
                best[c], which[c] = gain, k
            r2 = data[k + 1, c] - slope[c] * ones[k + 1, c]
            p2 = inverse[k + 1, c] - ones[k + 1, c] * ones[k + 1, c] / total[c]
            off = -ratio[k + 1, c] * inverse[k + 1, c] - ones[k, c] * ones[k + 1, c] / total[c]
            area = p * p2 - off * off  # 0 if there are no others
            gain = (r * r * p2 - 2.0 * r * r2 * off + r2 * r2 * p) / area - TWO
            allowed = use[k, c] * use[k + 1, c] * timing[MANY, k + 1] != 0.0 and area > SURELY * p * p2
            if allowed and gain > best[c]:
                best[c], which[c] = gain, -k


@helper
def drop_worst(use: Any, which: Any, least: int, width: int, place: Any, usable: Any, marks: Any) -> int:
    """Use no more what `find_worst` named where `least` differences are left; how many columns lost some.

    place : column of the tile of each column worked on; of the first ones, after this, that lost some
    usable, marks : of the tile: what `use` is of the columns worked on, and its flags
    """
    kept = 0
    for c in range(width):
        left = 0.0
        for k in range(1, use.shape[0] - 1):
            left += use[k, c]
        if which[c] != 0 and left >= least:
            usable[abs(which[c]), place[c]] = 0.0
            if which[c] < 0:
                usable[1 - which[c], place[c]] = 0.0
            marks[1, place[c]] |= JUMP
            place[kept] = place[c]
            kept += 1
    return kept


@helper
def write_fits(
    differences: Any, use: Any, photons: Any, reading: Any, timing: Any, width: int, ones: Any, data: Any,
    total: Any, slope: Any, i: int, y: int, x0: int, images: Any, chisq: Any,
) -> None:  # fmt: skip
    """Slopes, errors and variances of a tile into their images; χ² if that is not empty."""
    for c in range(width):
        photon = read = misfit = 0.0
        for k in range(1, differences.shape[0] - 1):
            w, neighbour = ones[k, c], 2.0 * ones[k - 1, c]
            photon += w * (w * timing[PHOTONS, k] + neighbour * timing[SHARED_PHOTONS, k])
            read += w * (w * timing[READING, k] + neighbour * timing[SHARED_READING, k])
            misfit += use[k, c] * (differences[k, c] - slope[c]) * (data[k, c] - slope[c] * w)
        square = total[c] * total[c]
        images[0][i, y, x0 + c] = slope[c]
        images[1][i, y, x0 + c] = np.sqrt(1.0 / total[c])
        images[2][i, y, x0 + c] = photon * photons[c] / square
        images[3][i, y, x0 + c] = read * reading[c] / square
        if chisq.shape[0]:
            chisq[i, y, x0 + c] = misfit


@kernel(
    "(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], u4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1],"
    " f4[:, :, ::1], f4, f8[:, ::1], UniTuple(f4[:, :, ::1], 4), u4[:, :, ::1], f4[:, :, ::1])"
)
def fit_differences(
    start: int, stop: int, sci: Any, groupdq: Any, pixeldq: Any, gain: Any, readnoise: Any, dark: Any,
    zeroframe: Any, nframes: Any, timing: Any, rateints: Any, rateints_dq: Any, chisq: Any,
) -> None:  # fmt: skip
    """Fit the slope of each integration, without the differences that jumps have spoilt.

    sci, groupdq : (nints, ngroups, ny, nx); pixeldq, gain, readnoise : (ny, nx)
    dark : (ny, nx), or (1, 1) for all pixels
    zeroframe : (nints, ny, nx), or no integrations; nframes : averaged into the first group with it
    timing : (6, n + 2), by difference 1 … n: its time, s; its variance by photons, per electron a
        second, and by reading; its covariance with the one before by either; whether the group
        at its beginning averages several reads
    rateints : slope, error, photon and read-noise variances, each (nints, ny, nx)
    chisq : as those, or no integrations
    """
    nints, nx = sci.shape[0], sci.shape[3]
    n = timing.shape[1] - 2
    rows, columns = np.zeros((8, n + 2, TILE)), np.zeros((7, TILE))
    found, usable = rows[0], rows[1]  # of the tile; the others of the columns worked on
    differences, use, ratio, inverse, ones, data = rows[2], rows[3], rows[4], rows[5], rows[6], rows[7]
    rate, fitted, photons, reading = columns[0], columns[1], columns[2], columns[3]
    total, slope, best = columns[4], columns[5], columns[6]
    indices, before = np.zeros((2, TILE), np.int64), np.zeros(TILE, np.float32)
    which, place = indices[0], indices[1]
    marks = np.zeros((3, TILE), np.uint8)
    tiles = (nx + TILE - 1) // TILE
    for number in range((stop - start) * tiles * nints):
        i, tile = number % nints, number // nints
        y, x0 = start + tile // tiles, tile % tiles * TILE
        size = min(TILE, nx - x0)
        load_differences(
            sci, groupdq, zeroframe, i, y, x0, size, nframes, timing, found, usable, before, marks
        )
        median_differences(found, ratio, rate)
        width, least, final = size, FEWEST, False
        for c in range(TILE):
            place[c] = c
        while True:
            for c in range(width):
                electrons = gain[y, x0 + place[c]]
                photons[c] = rate[place[c]] / electrons if electrons > 0 else np.nan
                reading[c] = np.float64(readnoise[y, x0 + place[c]]) ** 2 / 2.0
                for k in range(1, n + 1):
                    differences[k, c], use[k, c] = found[k, place[c]], usable[k, place[c]]
            solve(differences, use, photons, reading, timing, width, ratio, inverse, ones, data, total, slope)
            if final:
                break
            for c in range(width):
                fitted[place[c]] = slope[c]
            find_worst(use, timing, width, ratio, inverse, ones, data, total, slope, best, which)
            width = drop_worst(use, which, least, width, place, usable, marks)
            least = 4
            if width == 0:
                width, final = size, True
                for c in range(size):
                    current = dark[min(y, dark.shape[0] - 1), min(x0 + c, dark.shape[1] - 1)]
                    rate[c] = (fitted[c] if fitted[c] > 0.0 else 0.0 * fitted[c]) + current
                    place[c] = c
        write_fits(
            differences, use, photons, reading, timing, size, ones, data, total, slope, i, y, x0, rateints,
            chisq,
        )  # fmt: skip
        for c in range(size):
            bits = marks[1, c] & (JUMP | SATURATED) | marks[2, c]
            rateints_dq[i, y, x0 + c] = pixeldq[y, x0 + c] | bits
