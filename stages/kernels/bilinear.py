"""Sample an image between its pixels."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.kernels import kernel


@kernel("(i8, i8, f4[:, ::1], i8, i8, i8, i8, f8[:, :, ::1], f4[:, ::1])")
def sample(start, stop, window, x0, y0, nx, ny, points, out):  # type: ignore[no-untyped-def]
    """Rows of `out`: an image at points (rows, columns, 2): x and y, 0-based pixels, in single precision.

    window : the part of the image that is needed; x0, y0 : its first pixel
    nx, ny : size of the whole image

    NaN outside 0 <= x < nx, 0 <= y < ny and where a pixel that is used is NaN, even with
    no weight. Beyond the centres of the last column (row) the other axis alone counts.
    """
    one = np.float32(1)
    for j in range(start, stop):
        for i in range(out.shape[1]):
            xf, yf = np.float32(points[j, i, 0]), np.float32(points[j, i, 1])
            out[j, i] = np.nan
            if not (xf >= 0 and xf < nx and yf >= 0 and yf < ny):
                continue
            x, y = np.int64(xf), np.int64(yf)
            sx, sy = xf - np.float32(x), yf - np.float32(y)
            tx, ty = one - sx, one - sy
            column, row = x - x0, y - y0
            here = window[row, column]
            if x == nx - 1 and y == ny - 1:
                out[j, i] = here
            elif x == nx - 1:
                out[j, i] = ty * here + sy * window[row + 1, column]
            elif y == ny - 1:
                out[j, i] = tx * here + sx * window[row, column + 1]
            else:
                lower = tx * ty * here + sx * ty * window[row, column + 1]
                out[j, i] = lower + sy * tx * window[row + 1, column] + sx * sy * window[row + 1, column + 1]
