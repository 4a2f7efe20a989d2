"""Where the spectra of NIRISS SOSS fall, by the position of the pupil wheel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header

Real = NDArray[np.float64]
TOP = 255.0  # row above which traces are not known
SUBSTRIP96 = 10  # its first row in SUBSTRIP256


def soss_traces(reference: Mapping[str, Any], header: Header) -> Iterator[tuple[Real, Real]]:
    """Columns and rows of the traces of all orders, pixels, at equal steps of wavelength.

    reference : tree of the pastasoss reference

    Raises InputError if the wheel (PWCPOS) is not where the reference holds.
    Source: specification tso3 §7.1; Baines et al. 2023, JWST-STScI-008571.
    """
    meta = reference["meta"]
    low, high = meta["pwcpos_bounds"]
    position = header.real("PWCPOS")
    if not low <= position <= high:
        raise InputError(f"PWCPOS is {position}, the pastasoss reference holds for {low} to {high}")
    angle = position - meta["pwcpos_cmd"]
    wavelengths = np.linspace(meta["wavemap_wlmin"], meta["wavemap_wlmax"], meta["wavemap_nwl"])
    for trace, model in zip(reference["traces"], reference["wavecal_models"], strict=True):
        x, y = np.array(trace["trace"], np.float64).T
        if header.text("SUBARRAY") == "SUBSTRIP96":
            y = y - SUBSTRIP96
        x, y = rotated(x, y, angle, (trace["pivot_x"], trace["pivot_y"]))
        at = _wavelengths(model, x, angle)
        yield extrapolated(wavelengths, at, x), extrapolated(wavelengths, at, y)


def rotated(x: Real, y: Real, angle: float, pivot: tuple[float, float]) -> tuple[Real, Real]:
    """A trace turned by an angle, degrees, at its former columns; what rises above row 255 is dropped."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    dx, dy = x - pivot[0], y - pivot[1]
    at, turned = cosine * dx - sine * dy + pivot[0], sine * dx + cosine * dy + pivot[1]
    rows = extrapolated(x, at, turned)
    return x[rows <= TOP], rows[rows <= TOP]


def extrapolated(x: Real, known: Real, values: Real) -> Real:
    """Linear interpolation, continued beyond the ends by the first and the last two points."""
    order = np.argsort(known)
    known, values = known[order], values[order]
    inside = np.interp(x, known, values)
    left = values[0] + (x - known[0]) * (values[1] - values[0]) / (known[1] - known[0])
    right = values[-1] + (x - known[-1]) * (values[-1] - values[-2]) / (known[-1] - known[-2])
    return np.where(x < known[0], left, np.where(x > known[-1], right, inside))


def _wavelengths(model: Mapping[str, Any], x: Real, angle: float) -> Real:
    """Of columns: a polynomial in column and angle, both scaled to 0 … 1, by total order."""
    (x_low, angle_low), (x_high, angle_high) = np.asarray(model["scale_extents"])[:2]
    u, v = (x - x_low) / (x_high - x_low), (angle - angle_low) / (angle_high - angle_low)
    coefficients = np.asarray(model["coefficients"], np.float64)
    total, k = np.zeros(len(u)), 0
    for order in range(int(np.sqrt(2 * len(coefficients)))):
        for power in range(order + 1):
            total += coefficients[k] * u ** (order - power) * v**power
            k += 1
    return total
