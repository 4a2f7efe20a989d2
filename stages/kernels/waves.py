"""Periodic waves, given as cubic pieces of equal length."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.kernels import kernel


@kernel("(i8, i8, f4[:, ::1], f8[:, ::1], f8, f8[:, ::1])")
def subtract_wave(start: int, stop: int, plane: Any, phases: Any, shift: float, pieces: Any) -> None:
    """Subtract a wave from rows, in place.

    plane : (ny, nx)
    phases : (ny, nx / n), periods; each is that of n pixels side by side, and `shift` adds to all
    pieces : (4, npieces + 1), coefficients from the cube down, by the way along the piece, from 0 to 1;
        the wave begins, at phase 0, in the middle of the first
    """
    npieces = pieces.shape[1] - 1
    each = plane.shape[1] // phases.shape[1]
    cube, square, slope, level = pieces[0], pieces[1], pieces[2], pieces[3]
    for y in range(start, stop):
        row = plane[y]
        for q in range(phases.shape[1]):
            phase = phases[y, q] + shift
            place = (phase - np.floor(phase)) * npieces + 0.5
            k = np.int64(place)
            t = place - k
            value = ((cube[k] * t + square[k]) * t + slope[k]) * t + level[k]
            for x in range(q * each, (q + 1) * each):
                row[x] = np.float32(row[x] - value)
