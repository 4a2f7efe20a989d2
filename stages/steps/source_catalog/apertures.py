"""Which apertures to use, and what they leave out: from the reference files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Header
from calwebbd.stages.references import Reference
from calwebbd.stages.step import Skip

#: columns by which the rows of an instrument's apcorr and abvegaoffset are chosen
APCORR = {
    "NIRCAM": ("filter", "pupil"),
    "NIRISS": ("filter", "pupil"),
    "MIRI": ("filter", "subarray"),
    "FGS": (),
}
ABVEGA = {
    "NIRCAM": ("filter", "pupil"),
    "NIRISS": ("filter", "pupil"),
    "MIRI": ("filter",),
    "FGS": ("detector",),
}
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Apertures:
    """Circles that encircle so many percent of the energy of a star, and the annulus of its background.

    radii : pixels
    corrections : by which the flux in each is multiplied for the total
    sky_in, sky_out : radii of the annulus, pixels
    """

    energies: tuple[int, ...]
    radii: tuple[float, ...]
    corrections: tuple[float, ...]
    sky_in: float
    sky_out: float


def apertures_for(reference: Reference, header: Header, energies: Sequence[int]) -> Apertures:
    """The rows of apcorr for the optical elements, one for each energy; radii by the scale of the pixels.

    Skips the step if there is not just one row for each, or not one annulus.
    Source: specification image3 §7.
    """
    table = dict(reference.columns("APCORR"))
    elements = _elements(APCORR, header)
    of_optics = _fitting(table, elements)
    if not of_optics.any():
        raise Skip(f"{reference.path.name} has no row for {_words(elements)}")
    percent = np.round(table["eefraction"] * 100)
    rows = [_only(reference, of_optics & (percent == e), f"{e} % of {_words(elements)}") for e in energies]
    annuli = {(float(table["skyin"][row]), float(table["skyout"][row])) for row in rows}
    if len(annuli) > 1:
        raise Skip(f"{reference.path.name} has more than one background annulus for {_words(elements)}")
    ((sky_in, sky_out),) = annuli
    ratio = header.real("PXSCLRT", 1.0)
    return Apertures(
        tuple(energies),
        tuple(float(table["radius"][row]) / ratio for row in rows),
        tuple(float(table["apcorr"][row]) for row in rows),
        sky_in / ratio,
        sky_out / ratio,
    )


def vega_offset(reference: Reference, header: Header) -> float:
    """AB minus Vega magnitude for the optical elements. Skips the step if there is not just one row."""
    if reference.path.suffix == ".fits":
        table = dict(reference.columns())
    else:
        rows = reference.tree()["abvega_offset"]
        table = {name.lower(): np.asarray(rows[name]) for name in rows.colnames}
    elements = _elements(ABVEGA, header)
    row = _only(reference, _fitting(table, elements), _words(elements))
    return float(table["abvega_offset"][row])


def _elements(columns: Mapping[str, Sequence[str]], header: Header) -> dict[str, str]:
    instrument = header.text("INSTRUME")
    if instrument not in columns:
        raise Skip(f"there are no apertures for {instrument or 'an unnamed instrument'}")
    return {column: header.text(column.upper()) for column in columns[instrument]}


def _fitting(table: Columns, elements: Mapping[str, str]) -> NDArray[np.bool_]:
    fits = np.ones(len(next(iter(table.values()))), bool)
    for column, value in elements.items():
        if column not in table:
            return np.zeros_like(fits)
        fits &= np.char.strip(table[column].astype(str)) == value
    return fits


def _only(reference: Reference, fits: NDArray[np.bool_], wanted: str) -> int:
    rows = np.flatnonzero(fits)
    if len(rows) != 1:
        raise Skip(f"{reference.path.name} has {len(rows) or 'no'} row{'s'[: len(rows)]} for {wanted}")
    return int(rows[0])


def _words(elements: Mapping[str, str]) -> str:
    return ", ".join(elements.values()) or "this instrument"
