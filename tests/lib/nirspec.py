"""A NIRSpec of a few numbers: straight slits, a flat detector of large pixels, a grating that stands upright.

A pixel sees the direction (x - 10, y - 30) / 250. A slit at (x, y) metres sends light along
-2 (x, y), and the grating adds 1e5 times the wavelength: 1 to 2 µm fall 25 pixels apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.modeling import models as m

from calwebbd.stages.exposure import Header, Subarray
from calwebbd.stages.references import References

GROOVES = 1e5  # per metre
ARRAY = Subarray(0, 0, 96, 64)
HEADER = {
    "INSTRUME": "NIRSPEC",
    "DETECTOR": "NRS1",
    "FILTER": "F100LP",
    "GRATING": "G140H",
    "SUBARRAY": "FULL",
    "V2_REF": 0.0,
    "V3_REF": 0.0,
    "ROLL_REF": 0.0,
    "RA_REF": 30.0,
    "DEC_REF": 10.0,
}
SHUTTERS = 365 * 12
TABLE = [("NO", "i4"), ("XC", "f8"), ("YC", "f8"), ("SIZEX", "f8"), ("SIZEY", "f8")]


def make_header(exp_type: str, **keywords: Any) -> Header:
    return Header({**HEADER, "EXP_TYPE": exp_type, **keywords})


@cache
def trees() -> dict[str, Any]:
    """Of all references; fore optics and telescope shrink the MSA to arc seconds."""
    tilt = {"tilt_model": m.Polynomial1D(1, c0=5, c1=7200), "zeroreadings": [0.5]}
    upright = {"theta_x": 0.0, "theta_y": 0.0, "theta_z": 0.0, "tilt_y": 0.0}
    fore = m.Mapping((0, 1), n_inputs=3) | m.Scale(10.0) & m.Scale(10.0)
    fore.inverse = m.Mapping((0, 1), n_inputs=3) | m.Scale(0.1) & m.Scale(0.1)
    pixel = m.Shift(-10.0) & m.Shift(-30.0) | m.Scale(1e-3) & m.Scale(1e-3)
    return {
        "fpa": {"nrs1_model": pixel, "nrs2_model": pixel},
        "camera": {"model": m.Scale(4.0) & m.Scale(4.0)},
        "collimator": {"model": m.Scale(0.5) & m.Scale(0.5)},
        "disperser": {"groovedensity": GROOVES, "gwa_tiltx": tilt, "gwa_tilty": tilt, **upright},
        "wavelengthrange": {
            "waverange_selector": ["F100LP_G140H", "CLEAR_PRISM", "LINE1_G140H"],
            "wavelengthrange": [[1e-6, 2e-6], [0.6e-6, 5.3e-6], [1e-6, 1.9e-6]],
            "order": [-1, 1, -1],
        },
        "msa": msa(),
        "ifuslicer": {
            "model": m.Identity(2),
            "data": np.array([(n, n * 1e-3, 0, 1e-3, 0.04) for n in range(30)]),
        },
        "ifupost": {f"slice_{n}": behind(n) for n in range(30)},
        "ifufore": {"model": fore},
        "fore": {"model": fore},
        "chromcorr": {"model": m.Identity(3)},
        "ote": {"model": m.Scale(100.0) & m.Scale(100.0)},
    }  # fmt: skip


def msa() -> dict[str, Any]:
    """Slits of 8 mm one above the other, 10 mm apart; shutters of 1 x 2 mm in twelve rows."""
    slits = np.array([(n + 1, 0, (n - 2) * 0.01, 1e-3, 8e-3) for n in range(5)], TABLE)
    shutters = np.zeros(SHUTTERS, TABLE)
    shutters["XC"] = np.arange(SHUTTERS) % 365 * 1.35e-3
    shutters["YC"] = np.arange(SHUTTERS) // 365 * 2.3e-3
    shutters["SIZEX"], shutters["SIZEY"] = 1e-3, 2e-3
    quadrants = {
        f"Q{q}": {"data": shutters, "model": m.Shift(0.01 * (q - 2)) & m.Shift(-0.02)} for q in range(1, 5)
    }
    return {**quadrants, "Q5": {"data": slits, "model": m.Identity(2)}}


def behind(n: int) -> dict[str, Any]:
    """A slice's virtual slit: the first four beside each other on the detector, others far from it."""
    place = m.Shift(-n * 1e-3) & m.Shift((n - 2) * 0.05 if n < 4 else 5.0) | m.Scale(1.0) & m.Scale(0.3)
    plain = {"xpoly": m.Polynomial2D(1, c1_0=1), "ypoly": m.Polynomial2D(1, c0_1=1)}
    bent = {"xpoly_distortion": m.Polynomial2D(1), "ypoly_distortion": m.Polynomial2D(1, c0_0=100.0)}
    return {"linear": place, **plain, **bent}


@dataclass
class InMemory:
    """A reference that is not in a file."""

    held: Any

    def tree(self) -> Any:
        return self.held


class Model(References):
    """The instrument model in memory, and the operators' list of shutters in a file."""

    def __init__(self, held: Mapping[str, Any], files: Mapping[str, Path]) -> None:
        super().__init__({**dict.fromkeys(held, Path()), **files}, ARRAY)
        self.held = held

    def __getitem__(self, kind: str) -> Any:
        return InMemory(self.held[kind]) if kind in self.held else super().__getitem__(kind)


def make_references(folder: Path, *leave_out: str, shutters: Any = None, **files: Path) -> Model:
    """The instrument model, other files, and perhaps shutters: (quadrant, x, y, state)."""
    if shutters is not None:
        rest = {"TA state": "closed", "Internal state": "normal"}
        listed = [{"Q": q, "x": x, "y": y, "state": state, **rest} for q, x, y, state in shutters]
        files["msaoper"] = folder / "msaoper.json"
        files["msaoper"].write_text(json.dumps({"msaoper": listed}))
    return Model({kind: tree for kind, tree in trees().items() if kind not in leave_out}, files)


ROW = {
    "slitlet_id": 1,
    "msa_metadata_id": 1,
    "shutter_quadrant": 2,
    "shutter_row": 1,
    "shutter_column": 10,
    "source_id": 7,
    "background": "N",
    "shutter_state": "OPEN",
    "dither_point_index": 1,
    "estimated_source_in_shutter_x": 0.75,
    "estimated_source_in_shutter_y": 0.25,
    "primary_source": "Y",
}
SOURCE = {"program": 1234, "source_id": 7, "source_name": "star", "alias": "s", "ra": 30.0, "dec": 10.0}


def write_metafile(path: Path, *rows: Mapping[str, Any]) -> Path:
    """An MSA metafile with these shutters, each given by what differs from `ROW`, and one source."""
    filled = [{**ROW, **row} for row in rows]
    formats = {name: "20A" if isinstance(value, str) else "E" if isinstance(value, float) else "J"
               for name, value in {**filled[0], **SOURCE, "stellarity": 1.0}.items()}  # fmt: skip
    tables = {"SHUTTER_INFO": filled, "SOURCE_INFO": [{**SOURCE, "stellarity": 0.5}]}
    hdus = [fits.PrimaryHDU()]
    for name, table in tables.items():
        columns = [fits.Column(key, formats[key], array=[row[key] for row in table]) for key in table[0]]
        hdus.append(fits.BinTableHDU.from_columns(columns, name=name))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path
