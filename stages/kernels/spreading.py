"""What jumps do to the pixels around them and to the groups after them."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.kernels import helper, kernel
from calwebbd.stages.kernels.differences import BAD, difference_tile, noise, sort_usable
from calwebbd.stages.kernels.sorting import middle
from calwebbd.stages.kernels.tiles import tile_width

JUMP = flags.JUMP_DET
NOT_JUMP = 0xFF & ~flags.JUMP_DET


@helper
def jumps_of_tile(groupdq: Any, y: int, x0: int, width: int) -> int:
    """How many flags of jumps there are in the tile from pixel (y, x0) on."""
    width = min(width, groupdq.shape[3] - x0)
    total = 0
    for i in range(groupdq.shape[0]):
        for g in range(groupdq.shape[1]):
            bits = groupdq[i, g, y, x0 : x0 + width]
            for x in range(width):
                total += 1 if bits[x] & JUMP else 0
    return total


@helper
def tile_medians(
    sci: Any, groupdq: Any, gain: Any, known: Any, y: int, x0: int, differences: Any, ordered: Any,
    count: Any, out: Any,
) -> None:  # fmt: skip
    """Differences of a tile, and the median of each pixel of it, e-.

    known : (ny, nx), the medians; or no rows, and they are found
    differences, ordered : (nints * (ngroups - 1), width); count, out : (width,)
    """
    difference_tile(sci, groupdq, gain, y, x0, 0, differences)
    if known.shape[0]:
        here = min(out.size, known.shape[1] - x0)
        out[:here] = known[y, x0 : x0 + here]
        return
    sort_usable(differences, False, np.inf, ordered, count)
    for x in range(out.size):
        out[x] = middle(ordered, x, 0, count[x])


@kernel(
    "(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], f4[:, ::1], f8, f8, f8,"
    " f8[:, ::1], u1[:, :, :, ::1], i8[::1])"
)
def mark_spreading(
    start: int,
    stop: int,
    sci: Any,
    groupdq: Any,
    gain: Any,
    readnoise: Any,
    nframes: float,
    least: float,
    most: float,
    known: Any,
    spreading: Any,
    counts: Any,
) -> None:
    """Mark the jumps between `least` and `most` sigma, which spread to their neighbours; count all jumps.

    known : (ny, nx), median difference of each pixel, e-; or no rows, and they are found here
    spreading : (nints, ngroups, ny, ceil(nx / 8)), a bit for each pixel, lowest first
    counts : jumps in each row
    """
    width = tile_width(sci.shape[3])
    steps = sci.shape[1] - 1
    differences = np.full((sci.shape[0] * steps, width), np.nan, np.float32)
    ordered = np.empty_like(differences)
    count = np.empty(width, np.int64)
    medians, sigmas = np.empty(width), np.empty(width)
    for y in range(start, stop):
        for x0 in range(0, sci.shape[3], width):
            total = jumps_of_tile(groupdq, y, x0, width)
            counts[y] += total
            if total == 0:
                continue
            here = min(width, sci.shape[3] - x0)
            tile_medians(sci, groupdq, gain, known, y, x0, differences, ordered, count, medians)
            for x in range(here):
                sigmas[x] = noise(medians[x], gain[y, x0 + x], readnoise[y, x0 + x], nframes)
            for k in range(differences.shape[0]):
                i, g = k // steps, k % steps + 1
                bits = groupdq[i, g, y, x0 : x0 + here]
                for x in range(here):
                    if bits[x] & JUMP and sigmas[x] > 0:
                        ratio = abs(differences[k, x] - medians[x]) / sigmas[x]
                        if least < ratio < most:
                            spreading[i, g, y, (x0 + x) // 8] |= 1 << ((x0 + x) % 8)


@helper
def flag_neighbours(groupdq: Any, spreading: Any, i: int, g: int, y: int, near: Any) -> None:
    """Flag the pixels of one row that are beside, above or below one that spreads.

    spreading : with one more row at either end, so that row y is at y + 1
    near : room for the bits of one row
    """
    below, own, above = spreading[i, g, y], spreading[i, g, y + 1], spreading[i, g, y + 2]
    nx, last = groupdq.shape[3], own.size - 1
    some = np.uint8(0)
    for k in range(last + 1):
        near[k] = below[k] | (own[k] << 1) | (own[k] >> 1) | above[k]
        some |= near[k] | own[k]
    if some == 0:  # as in most rows
        return
    for k in range(last):
        near[k] |= own[k + 1] << 7
        near[k + 1] |= own[k] >> 7
    for k in range(last + 1):
        for x in range(8 * k, min(8 * k + 8, nx) if near[k] else 0):
            if (near[k] >> (x - 8 * k)) & 1 and groupdq[i, g, y, x] & BAD == 0:
                groupdq[i, g, y, x] |= JUMP


@helper
def unflag_unusable(row: Any) -> None:
    """Take the flags of jumps from unusable samples of one row."""
    for x in range(row.size):
        row[x] = row[x] & NOT_JUMP if row[x] & BAD else row[x]


@helper
def flag_after(
    groupdq: Any, y: int, x0: int, differences: Any, medians: Any, limits: Any, lasts: Any, left: Any
) -> None:
    """Flag the groups after each jump of a tile that is large enough.

    limits : least jumps above the median, e-; lasts : groups that each affects
    left : room for how many groups are still affected, by pixel
    """
    steps = groupdq.shape[1] - 1
    width = min(left.size, groupdq.shape[3] - x0)
    for i in range(groupdq.shape[0]):
        left[:] = 0
        for g in range(1, steps + 1):
            row = groupdq[i, g, y, x0 : x0 + width]
            for x in range(width):
                bits = row[x]
                if left[x] > 0 and bits & BAD == 0:
                    row[x] = bits | JUMP
                left[x] -= 1
                if bits & JUMP:
                    jump = differences[i * steps + g - 1, x] - medians[x]
                    for k in range(limits.size):
                        if jump >= limits[k] and lasts[k] > left[x]:
                            left[x] = lasts[k]


@kernel(
    "(i8, i8, f4[:, :, :, ::1], u1[:, :, :, ::1], f4[:, ::1], f8[:, ::1], u1[:, :, :, ::1], f8[::1], i8[::1])"
)
def spread(
    start: int, stop: int, sci: Any, groupdq: Any, gain: Any, known: Any, spreading: Any, limits: Any,
    lasts: Any,
) -> None:  # fmt: skip
    """Flag the neighbours of marked jumps and the groups after large ones; unflag unusable samples.

    sci : not looked at unless groups afterwards are to be flagged
    known : as for `mark_spreading`
    spreading : as `mark_spreading` leaves it, with one more row at either end
    limits, lasts : least jump, e-, and number of groups it affects afterwards
    """
    nints, ngroups, _, nx = groupdq.shape
    width, steps = tile_width(nx), ngroups - 1
    differences = np.full((nints * steps, width), np.nan, np.float32)
    ordered = np.empty_like(differences)
    count = np.empty(width, np.int64)
    medians, left = np.empty(width), np.empty(width, np.int64)
    near = np.empty(spreading.shape[3], np.uint8)
    for i in range(nints):
        for g in range(1, ngroups):
            for y in range(start, stop):  # innermost, as rows of a plane lie together
                flag_neighbours(groupdq, spreading, i, g, y, near)
    if lasts[0] > 0 or lasts[1] > 0:
        for y in range(start, stop):
            for x0 in range(0, nx, width):
                if jumps_of_tile(groupdq, y, x0, width) > 0:
                    tile_medians(sci, groupdq, gain, known, y, x0, differences, ordered, count, medians)
                    flag_after(groupdq, y, x0, differences, medians, limits, lasts, left)
    for i in range(nints):
        for g in range(ngroups):
            for y in range(start, stop):
                unflag_unusable(groupdq[i, g, y])
