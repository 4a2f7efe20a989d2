"""From detector pixels to the telescope's (V2, V3) frame and back.

Per detector a polynomial of fifth degree takes pixels to ideal arcseconds, a
rotation takes these to V2, V3. The inverse is a polynomial fitted to it. Written as
astropy models, they are what the CRDS distortion reference holds.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from astropy.modeling import models
from scipy.interpolate import RectBivariateSpline

from calwebbd.stages.exposure import Float, Subarray
from calwebbd.stages.simulate import fields
from calwebbd.stages.simulate.detectors import DETECTORS, SIDE, Detector

DEGREE = 5
INVERSE_DEGREE = 7
#: Bend at the edge of the detector by the terms of each degree, pixels.
BEND = {2: 3.0, 3: 0.6, 4: 0.04, 5: 0.02}

Terms = dict[tuple[int, int], float]


def terms(detector: Detector) -> tuple[Terms, Terms]:
    """Coefficients of xⁱyʲ, pixels from the centre to ideal arcsec, for the two axes."""
    rng = fields.stream("distortion", detector.name)
    out = []
    for axis, scale in enumerate(detector.scale):
        c: Terms = {(0, 0): 0.0, (1, 0): 0.0, (0, 1): 0.0}
        c[(1 - axis, axis)] = scale
        c[(axis, 1 - axis)] = scale * float(rng.uniform(-2e-3, 2e-3))
        for degree, bend in BEND.items():
            for j in range(degree + 1):
                c[(degree - j, j)] = bend * scale * float(rng.uniform(-1, 1)) / (SIDE / 2) ** degree
        out.append(c)
    return out[0], out[1]


def _polynomial(c: Terms, degree: int) -> Any:
    return models.Polynomial2D(degree, **{f"c{i}_{j}": value for (i, j), value in c.items()})


def centre(detector: Detector) -> tuple[float, float]:
    """(x, y) of the middle of the detector, zero-based."""
    ny, nx = detector.shape
    return (nx - 1) / 2, (ny - 1) / 2


def fit_inverse(forward: Any, reach: float, degree: int = INVERSE_DEGREE, nodes: int = 41) -> tuple[Any, Any]:
    """Polynomials from ideal arcsec to pixels from the centre, by least squares on a grid.

    reach : half the side of the grid, pixels
    """
    grid = np.linspace(-reach, reach, nodes)
    x, y = (a.ravel() for a in np.meshgrid(grid, grid))
    xi, yi = forward(x, y)
    unit = np.abs([xi, yi]).max()  # powers of numbers of order one keep the matrix well conditioned
    powers = [(i, total - i) for total in range(degree + 1) for i in range(total + 1)]
    matrix = np.stack([(xi / unit) ** i * (yi / unit) ** j for i, j in powers], axis=1)
    solution = np.linalg.lstsq(matrix, np.stack([x, y], axis=1), rcond=None)[0]
    cx, cy = (
        _polynomial({p: float(v) / unit ** sum(p) for p, v in zip(powers, column, strict=True)}, degree)
        for column in solution.T
    )
    return cx, cy


@cache
def _transform(name: str) -> Any:
    detector = DETECTORS[name]
    both = models.Mapping((0, 1, 0, 1))
    cx, cy = terms(detector)
    forward = both | _polynomial(cx, DEGREE) & _polynomial(cy, DEGREE)
    x, y = centre(detector)
    ix, iy = fit_inverse(forward, max(x, y) + 1)
    # ideal x points towards -V2 (VIdlParity = -1), so the rotation is its own inverse
    sin, cos = np.sin(np.deg2rad(detector.yangle)), np.cos(np.deg2rad(detector.yangle))
    turn = both | _polynomial({(1, 0): -cos, (0, 1): sin}, 1) & _polynomial({(1, 0): sin, (0, 1): cos}, 1)
    place = models.Shift(detector.v2) & models.Shift(detector.v3)
    unplace = models.Shift(-detector.v2) & models.Shift(-detector.v3)
    to_centre = models.Shift(-x) & models.Shift(-y)
    from_centre = models.Shift(x) & models.Shift(y)
    transform = to_centre | forward | turn | place
    transform.inverse = unplace | turn | both | ix & iy | from_centre
    return transform


def transform(detector: Detector) -> Any:
    """Zero-based full-frame pixels (x, y) to (V2, V3) in arcsec; its `inverse` is good to 1e-4 pixel."""
    return _transform(detector.name).copy()


def pixel_area(detector: Detector, window: Subarray, nodes: int = 65) -> Float:
    """(ny, nx) solid angle of each pixel in units of the nominal one.

    The Jacobian is taken on a grid over the whole detector and splined, so that a
    window does not change it.
    """
    model = _transform(detector.name)
    across, along = (np.linspace(0, size - 1, nodes) for size in detector.shape)
    x, y = np.meshgrid(along, across)
    ax, ay = np.subtract(model(x + 0.5, y), model(x - 0.5, y))
    bx, by = np.subtract(model(x, y + 0.5), model(x, y - 0.5))
    jacobian = np.abs(ax * by - ay * bx) / np.prod(detector.scale)
    rows, columns = fields.pixels(window)
    return np.asarray(RectBivariateSpline(across, along, jacobian)(rows, columns), np.float32)
