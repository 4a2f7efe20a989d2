"""Catalogues of sky positions: the user's, or Gaia's from tiles on disk.

Nothing is fetched. The environment's CALWEBBD_GAIA names a folder, in which, or in the folder
of it that is named like the catalogue (``gaiadr3``), lie any number of tiles: FITS or ECSV
tables with columns

    ra, dec      degrees, ICRS, at the epoch
    pmra, pmdec  mas a year, pmra with the factor cos(dec); rows without them are left out
    ref_epoch    year; 2016.0 where there is no such column

A tile whose name ends in ``_RA_DEC_RADIUS`` (degrees, as ``gaiadr3_80.5_-69.5_0.6.fits``) is a
cone, and is opened only if the exposures reach into it. All others are always opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.steps.tweakreg.fitting import NotAligned

Array = NDArray[np.float64]
FOLDER = "CALWEBBD_GAIA"
GAIA = ("GAIAREFCAT", "GAIADR3", "GAIADR2", "GAIADR1")
EPOCH = 2016.0  #: year, of Gaia's third release
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_CONE = re.compile(rf".*_({_NUMBER})_({_NUMBER})_({_NUMBER})")


def reference_catalog(name: str, corners: Sequence[Array], date: str) -> Any:
    """RA and DEC, degrees, of a catalogue's sources: all of a file's, those of Gaia around the exposures.

    name : a file, or one of `GAIA`
    corners : (n, 2) sky positions of each exposure, degrees
    date : of the observation, to which stars have moved

    Raises NotAligned if there is no such catalogue.
    """
    if name.upper() in GAIA:
        return _gaia(name.upper(), np.concatenate(corners), date)
    path = Path(name)
    if not path.is_file():
        raise NotAligned(f"abs_refcat {name} is no file, and none of {', '.join(GAIA)}")
    return _positions(_read(path), path)


def _read(path: Path) -> Any:
    from astropy.table import Table

    try:
        return Table.read(path)
    except (OSError, ValueError) as error:
        raise NotAligned(f"the catalogue {path} cannot be read: {error}") from error


def _positions(sources: Any, path: Path) -> Any:
    """Columns RA and DEC, by these names in any case, or of sky_centroid."""
    from astropy.table import Table

    named = {column.lower(): column for column in sources.colnames}
    if "ra" in named and "dec" in named:
        ra, dec = sources[named["ra"]], sources[named["dec"]]
    elif "sky_centroid" in named:
        ra, dec = sources[named["sky_centroid"]].ra.deg, sources[named["sky_centroid"]].dec.deg
    else:
        raise NotAligned(f"the catalogue {path} has neither RA and DEC nor sky_centroid")
    return Table({"RA": _filled(ra), "DEC": _filled(dec)})


def _gaia(name: str, around: Array, date: str) -> Any:
    from astropy.table import Table, vstack
    from astropy.time import Time

    folder = os.environ.get(FOLDER)
    if not folder:
        raise NotAligned(f"{name} is not at hand: {FOLDER} names no folder of its tiles")
    place = next((at for at in (Path(folder, name.lower()), Path(folder, name)) if at.is_dir()), Path(folder))
    vectors = _vectors(around)
    centre = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
    radius = float(_angles(centre, vectors).max())
    tables = sorted(path for path in place.glob("*") if path.suffix in (".fits", ".ecsv"))
    tiles = [tile for tile in tables if _reaches(tile, centre, radius)]
    if not tiles:
        raise NotAligned(f"{name} is not at hand: no tile in {place} covers the exposures")
    epoch = float(Time(date).decimalyear)
    stars = vstack([_moved(_read(tile), tile, epoch) for tile in tiles])
    near = _angles(centre, _vectors(np.column_stack([stars["RA"], stars["DEC"]]))) <= radius
    return Table(stars[near])


def _moved(stars: Any, path: Path, epoch: float) -> Any:
    """Positions at the epoch, of the stars that have proper motions."""
    from astropy.table import Table

    named = {column.lower(): stars[column] for column in stars.colnames}
    if missing := [column for column in ("ra", "dec", "pmra", "pmdec") if column not in named]:
        raise NotAligned(f"the tile {path} has no column {', '.join(missing)}")
    ra, dec, pmra, pmdec = (_filled(named[column]) for column in ("ra", "dec", "pmra", "pmdec"))
    years = epoch - (_filled(named["ref_epoch"]) if "ref_epoch" in named else EPOCH)
    across = np.cos(np.deg2rad(dec))
    moved = Table({"RA": ra + pmra * years / across / 3.6e6, "DEC": dec + pmdec * years / 3.6e6})
    return moved[np.isfinite(moved["RA"]) & np.isfinite(moved["DEC"])]


def _filled(column: Any) -> Array:
    """Degrees or years as plain numbers, NaN where masked."""
    return np.ma.filled(np.ma.asarray(getattr(column, "value", column), dtype=np.float64), np.nan)


def _reaches(tile: Path, centre: Array, radius: float) -> bool:
    cone = _CONE.fullmatch(tile.stem)
    if cone is None:
        return True
    ra, dec, size = (float(number) for number in cone.groups())
    return bool(_angles(centre, _vectors(np.array([[ra, dec]])))[0] <= radius + np.deg2rad(size))


def _vectors(positions: Array) -> Array:
    ra, dec = np.deg2rad(positions).T
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def _angles(centre: Array, vectors: Array) -> Array:
    """Radians; by the chord, exact when small."""
    return np.asarray(2 * np.arcsin(np.minimum(np.linalg.norm(vectors - centre, axis=1) / 2, 1)))
