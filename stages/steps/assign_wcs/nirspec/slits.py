"""Which slits, shutters and slices are open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stdatamodels.jwst.transforms.models import Slit

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header
from calwebbd.stages.steps.assign_wcs.nirspec.apertures import EDGE

FIXED = ("S200A1", "S200A2", "S400A1", "S1600A1", "S200B1")  # as the msa reference has them
FIXED_QUADRANT = 5
OF_SUBARRAY = {
    **{f"SUB{name}": (name,) for name in ("S200A1", "S200A2", "S400A1", "S200B1")},
    **dict.fromkeys(("SUB2048", "SUB512", "SUB512S", "SUB1024A", "SUB1024B"), ("S1600A1",)),
}
SHUTTERS_PER_ROW = 365
#: what the operators' list says of a shutter that stays open
STATES = ("Internal state", "TA state", "state")


def fixed_slits(header: Header) -> list[Any]:
    """Those that the subarray shows; all of them in a subarray that is not of one slit.

    The source in the slit that is aimed at (FXD_SLIT) is 1; elsewhere 10 times the number of
    that slit, plus the slit's own.
    """
    if not header.text("SUBARRAY"):
        raise InputError("SUBARRAY is missing from the header")
    aimed = header.text("FXD_SLIT")
    number = FIXED.index(aimed) + 1 if aimed in FIXED else 0
    names = OF_SUBARRAY.get(header.text("SUBARRAY"), FIXED)
    return [fixed_slit(name, 1 if name == aimed else 10 * number + FIXED.index(name) + 1) for name in names]


def fixed_slit(name: str, source: int, **more: Any) -> Any:
    index = FIXED.index(name)
    place = {"shutter_id": index, "quadrant": FIXED_QUADRANT, "ymin": -EDGE, "ymax": EDGE}
    return Slit(name, source_id=source, slit_id=-101 - index, **place, **more)


def shutter_number(column: int, row: int) -> int:
    """Its row in the msa reference, from 1. The tables call the column `shutter_row`, or x."""
    return column + (row - 1) * SHUTTERS_PER_ROW


def failed_open(path: Path) -> list[Any]:
    """Shutters that cannot be closed. path : of the msaoper reference, JSON."""
    shutters = [s for s in json.loads(path.read_text())["msaoper"] if "open" in (s[k] for k in STATES)]
    return [
        Slit(
            name=n,
            shutter_id=shutter_number(shutter["x"], shutter["y"]),
            xcen=shutter["x"],
            ycen=shutter["y"],
            ymin=-0.5,
            ymax=0.5,
            quadrant=shutter["Q"],
            shutter_state="x",
            slit_id=n,
        )
        for n, shutter in enumerate(shutters, start=1)
    ]
