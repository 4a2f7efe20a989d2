"""Footprints on the sky as S_REGION writes them: polygons of ICRS right ascension and declination."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]  # (vertices, 2): right ascension, declination, degrees


def parse(text: str) -> list[Polygon]:
    """All polygons of an S_REGION; none in an empty one.

    Raises ValueError if it holds anything but polygons in ICRS.
    """
    polygons = []
    for part in re.split(r"POLYGON\s+ICRS", text)[1:]:
        polygons.append(np.array(part.split(), np.float64).reshape(-1, 2))
    if text.strip() and not polygons:
        raise ValueError(f"S_REGION {text!r} has no POLYGON ICRS")
    return polygons


def write(polygons: Iterable[Polygon | Sequence[Sequence[float]]]) -> str:
    """The polygons with nine decimals, joined by two blanks.

    Later steps read them back, so that the rounding (4 µas) is part of the result.
    """
    return "  ".join(
        "POLYGON ICRS  " + " ".join(f"{ra:.9f} {dec:.9f}" for ra, dec in polygon) for polygon in polygons
    )


def directions(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3) unit vectors of (..., 2) right ascension and declination, degrees."""
    lon, lat = np.deg2rad(places[..., 0]), np.deg2rad(places[..., 1])
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
