"""Sample an image between its pixels."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.kernels import kernel


@kernel("(i8, i8, f4[:, ::1], f8[:, :, ::1], f4[:, ::1])")
def sample(start, stop, image, points, out):  # type: ignore[no-untyped-def]
    """Rows of `out`: the image at the points (ny, nx, 2), x and y in 0-based pixels, in single precision.

    NaN outside 0 <= x < nx, 0 <= y < ny and where a pixel that is used is NaN, even with
    no weight. Beyond the centres of the last column (row) the other axis alone counts.
    """
    ny, nx = image.shape
    one = np.float32(1)
    for j in range(start, stop):
        for i in range(out.shape[1]):
            xf, yf = np.float32(points[j, i, 0]), np.float32(points[j, i, 1])
            out[j, i] = np.nan
            if not (xf >= 0 and xf < nx and yf >= 0 and yf < ny):
                continue
            column, row = np.int64(xf), np.int64(yf)
            sx, sy = xf - np.float32(column), yf - np.float32(row)
            tx, ty = one - sx, one - sy
            here = image[row, column]
            if column == nx - 1 and row == ny - 1:
                out[j, i] = here
            elif column == nx - 1:
                out[j, i] = ty * here + sy * image[row + 1, column]
            elif row == ny - 1:
                out[j, i] = tx * here + sx * image[row, column + 1]
            else:
                lower = tx * ty * here + sx * ty * image[row, column + 1]
                out[j, i] = lower + sy * tx * image[row + 1, column] + sx * sy * image[row + 1, column + 1]
