"""Find pixels that stand out of a model of the image."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.kernels import helper, kernel


@helper
def _steepest(model, j, i):  # type: ignore[no-untyped-def]
    """The greatest absolute difference from the four neighbours; 0 if there is none without NaN."""
    ny, nx = model.shape
    greatest = np.float32(0)
    for row, column in ((j - 1, i), (j + 1, i), (j, i - 1), (j, i + 1)):
        if 0 <= row < ny and 0 <= column < nx:
            difference = abs(model[row, column] - model[j, i])
            if difference > greatest:
                greatest = difference
    return greatest


@helper
def _exceeds(sci, err, model, sky, scale, snr, j, i):  # type: ignore[no-untyped-def]
    """True if |sci - model - sky| is more than scale x the model's steepest step + snr x err."""
    noise = err[j, i]
    if np.isnan(noise):
        noise = np.float32(0)
    difference = abs(sci[j, i] - model[j, i] - sky)
    return difference > scale * _steepest(model, j, i) + snr * noise


@kernel("(i8, i8, f4[:, ::1], f4[:, ::1], f4[:, ::1], f4, f4[::1], f4[::1], b1[:, ::1])")
def flag(start, stop, sci, err, model, sky, scale, snr, out):  # type: ignore[no-untyped-def]
    """Rows of `out`: pixels beyond the second limit, next to (or being) one beyond the first.

    scale, snr : (2,), of the first and of the second limit
    NaN in sci or model is never beyond; NaN in err counts as 0.
    """
    ny, nx = sci.shape
    for j in range(start, stop):
        for i in range(nx):
            out[j, i] = False
            if not _exceeds(sci, err, model, sky, scale[1], snr[1], j, i):
                continue
            for row in range(max(0, j - 1), min(ny, j + 2)):
                for column in range(max(0, i - 1), min(nx, i + 2)):
                    if _exceeds(sci, err, model, sky, scale[0], snr[0], row, column):
                        out[j, i] = True
