"""The slitlets that the micro-shutters formed, as the metafile (``_msa.fits``) tells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stdatamodels.jwst.transforms.models import Slit

from calwebbd.stages.exposure import Header, Table
from calwebbd.stages.fits.arrays import open_fits, read_table
from calwebbd.stages.step import Failed
from calwebbd.stages.steps.assign_wcs.nirspec.apertures import EDGE
from calwebbd.stages.steps.assign_wcs.nirspec.slits import FIXED, fixed_slit, shutter_number

PITCH = 1.15  # between shutters, in units of their open height
MARGIN = 0.5  # beyond a slitlet, in the same units
SCALES = (1.35, 1.15)  # pitch of shutters in units of their open size, where it is not known
SOURCE = ("source_name", "source_alias", "stellarity", "source_ra", "source_dec")

Row = Mapping[str, Any]


def slitlets(header: Header, folder: Path, msa: Mapping[str, Any] | None = None) -> list[Any]:
    """The slitlets and fixed slits that were open, as the exposure's metafile in `folder` has them.

    msa : tree of the reference, for the pitch of shutters

    Raises Failed if the header does not say which, or the file cannot be read or contradicts itself.
    """
    missing = [key for key in ("MSAMETFL", "MSAMETID", "PATT_NUM") if header.get(key) in (None, "", "N/A")]
    if missing:
        raise Failed(f"{', '.join(missing)} missing from the header")
    shutters, sources = read_metafile(folder / str(header["MSAMETFL"]).strip())
    identifier, dither = header.integer("MSAMETID"), header.integer("PATT_NUM")
    groups: dict[int | str, list[Row]] = {}
    for row in shutters:
        if (row["msa_metadata_id"], row["dither_point_index"]) == (identifier, dither):
            groups.setdefault(row["fixed_slit"] or row["slitlet_id"], []).append(row)
    program = header.text("PROGRAM").lstrip("0")
    found = [_slit(name, rows, sources, program) for name, rows in groups.items()]
    scales = pitches(msa) if msa else {}
    return [
        slit._replace(
            dither_position=dither,
            **dict(zip(("slit_xscale", "slit_yscale"), scales.get(slit.quadrant, SCALES), strict=True)),
        )
        for slit in found
        if slit
    ]


def read_metafile(path: Path) -> tuple[list[Row], dict[int, Row]]:
    """Rows of the shutters, and sources by their number."""
    try:
        with open_fits(path) as hdus:
            shutters, sources = (_rows(read_table(hdus[name])) for name in ("SHUTTER_INFO", "SOURCE_INFO"))
    except (OSError, KeyError) as error:
        raise Failed(f"the MSA metafile {path.name} cannot be read ({error})") from error
    for row in shutters:  # older files do not have the column
        row["fixed_slit"] = name if (name := str(row.get("fixed_slit", "")).strip()) in FIXED else ""
    by_number: dict[int, Row] = {}
    for source in sources:
        by_number.setdefault(source["source_id"], source)
    return list(shutters), by_number


def pitches(msa: Mapping[str, Any]) -> dict[int, tuple[float, float]]:
    """Distance of neighbouring shutters in units of their open size, along x and y, by quadrant."""
    scales = {}
    for quadrant in range(1, 5):
        data = msa[f"Q{quadrant}"]["data"]
        x = (data["XC"][1] - data["XC"][0]) / data["SIZEX"][0]
        scales[quadrant] = float(x), float(data["YC"][365] / data["SIZEY"][0])
    return scales


def _rows(table: Table) -> list[dict[str, Any]]:
    names = table.dtype.names or ()
    lower = [name.lower() for name in names]
    return [dict(zip(lower, map(_plain, row), strict=True)) for row in table.tolist()]


def _plain(value: Any) -> Any:
    return value.decode().strip() if isinstance(value, bytes) else value


def _slit(name: int | str, rows: Sequence[Row], sources: Mapping[int, Row], program: str) -> Any:
    """The slit that these rows form; None for a fixed slit without a source."""
    primary = [row for row in rows if row["primary_source"] == "Y"]
    if len(primary) > 1:
        raise Failed(f"the MSA metafile gives slitlet {name} {len(primary)} primary sources")
    if isinstance(name, str):
        if len(rows) > 1:
            raise Failed(f"the MSA metafile has {len(rows)} rows for the fixed slit {name}")
        return _fixed(name, primary[0], sources, program) if primary else None
    return _slitlet(name, rows, primary, sources, program)


def _fixed(name: str, row: Row, sources: Mapping[int, Row], program: str) -> Any:
    return fixed_slit(name, row["source_id"], shutter_state="x", **_source(name, row, sources, program))


def _slitlet(
    name: int, rows: Sequence[Row], primary: Sequence[Row], sources: Mapping[int, Row], program: str
) -> Any:
    """Shutters in a column of the sky; y counts from the one with the source, else from the middle."""
    open_rows = sorted({row["shutter_column"] for row in rows})
    first, last = open_rows[0], open_rows[-1]
    if primary:
        lit = [row for row in rows if row["background"] == "N"]
        if not lit:
            raise Failed(f"the MSA metafile calls all shutters of slitlet {name} background")
        row, centre, number = lit[0], lit[0]["shutter_column"], primary[0]["source_id"]
        source = _source(name, {**row, "source_id": number}, sources, program)
    else:
        row, centre, number = rows[0], first + (last - first) // 2, name
        source = dict(zip(SOURCE, (f"{program}_BKG{name}", f"BKG{name}", 0.0, 0.0, 0.0), strict=True))
        source |= {"source_xpos": 0.0, "source_ypos": 0.0}
    states = ("x" if y == centre else "01"[y in open_rows] for y in range(first, last + 1))
    return Slit(
        name=name,
        slit_id=name,
        shutter_id=shutter_number(row["shutter_row"], centre),
        xcen=row["shutter_row"],
        ycen=centre,
        ymin=(first - centre) * PITCH - MARGIN - EDGE,
        ymax=(last - centre) * PITCH + MARGIN + EDGE,
        quadrant=row["shutter_quadrant"],
        source_id=number,
        shutter_state="".join(states),
        **source,
    )


def _source(name: int | str, row: Row, sources: Mapping[int, Row], program: str) -> dict[str, Any]:
    """What is known of the source in a slit; one that no table has is virtual.

    The metafile counts places from the shutter's corner, a slit from its centre.
    """
    place = [row[f"estimated_source_in_shutter_{axis}"] for axis in "xy"]
    x, y = (0.0 if math.isnan(value) else value - 0.5 for value in place)
    known = sources.get(row["source_id"])
    values = (
        [known[key] for key in ("source_name", "alias", "stellarity", "ra", "dec")]
        if known
        else (f"{program}_VRT{name}", f"VRT{name}", 0.0, 0.0, 0.0)
    )
    return {**dict(zip(SOURCE, values, strict=True)), "source_xpos": x, "source_ypos": y}
