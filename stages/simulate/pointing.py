"""Where the telescope looks: attitudes, dithers and velocity aberration.

An attitude is the matrix that takes unit vectors of the telescope frame (V2 as
longitude, V3 as latitude) to ICRS. Header and truth differ by the pointing error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

ARCSEC = np.pi / 180 / 3600
VA_SCALE = 1.0000123
RA, DEC, ROLL = 80.4875, -69.4975, 112.3  #: deg, of the target
#: Ideal-frame offsets of successive dithers, arcsec: never whole pixels apart.
DITHERS = (
    (0.0, 0.0), (0.62, -0.41), (-0.47, 0.73), (0.31, 0.89), (-0.83, -0.55), (0.91, 0.22), (-0.24, -0.93),
    (0.53, 0.48),
)  # fmt: skip


def vectors(longitude: ArrayLike, latitude: ArrayLike) -> Array:
    """Unit vectors (3, …) from radians."""
    lon, lat = np.asarray(longitude), np.asarray(latitude)
    return np.stack([np.cos(lon) * np.cos(lat), np.sin(lon) * np.cos(lat), np.sin(lat)])


def angles(v: Array) -> tuple[Array, Array]:
    """Longitude and latitude of vectors (3, …), radians."""
    return np.arctan2(v[1], v[0]), np.arctan2(v[2], np.hypot(v[0], v[1]))


def attitude(v2: float, v3: float, ra: float, dec: float, roll: float) -> Array:
    """The attitude with point (v2, v3), arcsec, at (ra, dec) and +V3 there at position angle roll, deg."""
    sky = Rotation.from_euler("ZYX", [ra, -dec, -roll], degrees=True)
    point = Rotation.from_euler("YZ", [v3 / 3600, -v2 / 3600], degrees=True)
    return np.asarray((sky * point).as_matrix())


def to_sky(att: Array, v2: ArrayLike, v3: ArrayLike) -> tuple[Array, Array]:
    """(V2, V3) in arcsec to (RA, Dec) in degrees, 0 ≤ RA < 360."""
    v = vectors(np.asarray(v2) * ARCSEC, np.asarray(v3) * ARCSEC)
    ra, dec = np.rad2deg(angles(np.tensordot(att, v, axes=1)))
    return ra % 360, dec


def from_sky(att: Array, ra: ArrayLike, dec: ArrayLike) -> tuple[Array, Array]:
    """(RA, Dec) in degrees to (V2, V3) in arcsec."""
    v = np.tensordot(att.T, vectors(np.deg2rad(ra), np.deg2rad(dec)), axes=1)
    v2, v3 = np.rad2deg(angles(v)) * 3600
    return v2, v3


def roll_at(att: Array, v2: float, v3: float) -> float:
    """Position angle of +V3 at (v2, v3), degrees east of north."""
    lon, lat = v2 * ARCSEC, v3 * ARCSEC
    upward = att @ [-np.cos(lon) * np.sin(lat), -np.sin(lon) * np.sin(lat), np.cos(lat)]
    ra, dec = angles(att @ vectors(lon, lat))
    north = np.array([-np.cos(ra) * np.sin(dec), -np.sin(ra) * np.sin(dec), np.cos(dec)])
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    return float(np.rad2deg(np.arctan2(upward @ east, upward @ north)) % 360)


def aberrate(v2: ArrayLike, v3: ArrayLike, reference: tuple[float, float]) -> tuple[Array, Array]:
    """True (V2, V3) to those seen from the moving telescope: a scale about the reference point.

    It is the inverse of what assign_wcs applies with VA_SCALE.
    """
    r2, r3 = reference
    return (np.asarray(v2) - r2) / VA_SCALE + r2, (np.asarray(v3) - r3) / VA_SCALE + r3


@dataclass(frozen=True)
class Pointing:
    """One dither position."""

    number: int  #: from 1
    offset: tuple[float, float]  #: ideal frame, arcsec
    error: tuple[float, float]  #: of the header, along V2 and V3, arcsec
    header: Array  #: attitude the header claims
    true: Array  #: attitude of the telescope


def dither(count: int, target: tuple[float, float], error: float, rng: np.random.Generator) -> list[Pointing]:
    """Dither the point `target` = (V2, V3) of the focal plane about the target on the sky.

    error : rms of the pointing error along each axis, arcsec; the first position has none.
    """
    v2, v3 = target
    nominal = attitude(v2, v3, RA, DEC, ROLL)
    pointings = []
    for i in range(count):
        x, y = DITHERS[i % len(DITHERS)]
        # ideal x points towards -V2
        ra, dec = to_sky(nominal, v2 - x, v3 + y)
        e2, e3 = rng.normal(0, error, 2) if i else (0.0, 0.0)
        header = attitude(v2, v3, float(ra), float(dec), ROLL)
        true = attitude(v2 + e2, v3 + e3, float(ra), float(dec), ROLL)
        pointings.append(Pointing(i + 1, (x, y), (float(e2), float(e3)), header, true))
    return pointings
