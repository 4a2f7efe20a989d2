"""Read exposures from JWST products."""

from __future__ import annotations

import io
import warnings
from math import prod
from pathlib import Path
from typing import Any

import asdf
import numpy as np
from asdf.exceptions import AsdfConversionWarning
from asdf.util import load_yaml
from astropy.io import fits
from numpy.typing import NDArray

from calwebbd.stages import asdftail, asdftree, scratch
from calwebbd.stages.between import Between, Read, Rows
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header, Image, Ramp, Table
from calwebbd.stages.fits.arrays import Planes, open_fits, read_array, read_table
from calwebbd.stages.irs2 import FULL, rows_of
from calwebbd.stages.memory import IN_MEMORY, SAMPLE
from calwebbd.stages.products import GuideStar

STRUCTURE = {  # keywords of the file, not of the exposure
    *("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME", "EXTVER"),
    *("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "COMMENT", "HISTORY", "LONGSTRN", "INHERIT", ""),
    *(f"NAXIS{n}" for n in range(1, 6)),
}


GUIDE_STAR_TABLES = {
    "planned_star_table": "PLANNED REFERENCE STARS",
    "flight_star_table": "FLIGHT REFERENCE STARS",
    "pointing_table": "POINTING",
    "centroid_table": "FGS CENTROID PACKET",
    "track_sub_table": "TRACK SUBARRAY TABLE",
}


def read_header(path: Path | str) -> Header:
    """Keywords of the primary and SCI headers; data are not read."""
    with _open(path) as hdus:
        return _header(hdus)


def read_ramp(path: Path | str) -> Ramp:
    """A raw (``uncal``) or corrected (``ramp``) exposure as float32, with flags (zero if it has none).

    What an interleaved exposure holds beside its image stays in the file.
    Raises InputError if the file is not such a product.
    """
    with _open(path) as hdus:
        sci = hdus["SCI"]
        if sci.header["NAXIS"] != 4:
            raise InputError(f"SCI has {sci.header['NAXIS']} axes, a ramp has 4", file=str(path))
        shape, header = Planes(path, sci).shape, _header(hdus)
        superstripes = header.integer("SSTR_NST", 0)
        pixels = (superstripes, *shape[-2:]) if superstripes else shape[-2:]
        pixeldq = _array(path, hdus, "PIXELDQ", np.zeros(pixels, np.uint32))
        between, rows = None, None
        if shape[-2] == FULL.samples:
            between = _between(path, hdus, header, pixeldq)
            pixeldq, rows = pixeldq[between.image], between.image
            shape = (*shape[:2], len(rows), shape[-1])
        stored = shape[0] > 1 and prod(shape) * SAMPLE > IN_MEMORY
        return Ramp(
            header=header,
            sci=_cube(path, hdus, "SCI", np.float32, stored, rows=rows),
            groupdq=_cube(path, hdus, "GROUPDQ", np.uint8, stored, shape, rows=rows),
            pixeldq=pixeldq,
            zeroframe=_cube(path, hdus, "ZEROFRAME", np.float32, stored, rows=rows),
            between=between,
            refout=_cube(path, hdus, "REFOUT", np.float32, stored=True),
            int_times=_table(hdus, "INT_TIMES"),
            int_times_stripe=_table(hdus, "INT_TIMES_STRIPE"),
            read_times=_read_times(hdus),
            group=_table(hdus, "GROUP"),
            average_dark_current=_array(path, hdus, "AVDRKCUR", 0.0),
            file=str(path),
        )


def read_guide_star(path: Path | str) -> GuideStar:
    """A raw or calibrated guide-star exposure as float32; flags of another shape than its pixels are zeroed.

    Raises InputError if the file is not such a product.
    """
    with _open(path) as hdus:
        axes = hdus["SCI"].header["NAXIS"]
        if axes not in (3, 4):
            raise InputError(f"SCI has {axes} axes, a guide-star exposure has 3 or 4", file=str(path))
        sci = read_array(path, hdus["SCI"]).astype(np.float32, copy=False)
        none = np.zeros(sci.shape[-2:], np.uint32)
        dq = _array(path, hdus, "DQ", none)
        tables: dict[str, Any] = {n: _table(hdus, extension) for n, extension in GUIDE_STAR_TABLES.items()}
        return GuideStar(
            header=_header(hdus),
            sci=sci,
            dq=dq if dq.shape == none.shape else none,
            err=None if axes == 4 else _cube(path, hdus, "ERR", np.float32, stored=False),
            **tables,
            file=str(path),
        )


def read_image(path: Path | str, *, stored: bool = False) -> Image:
    """A ``rate``, ``rateints``, ``cal``, ``calints`` or ``crf`` product, with its WCS if it has one.

    stored : leave the arrays in the file until they are asked for (`scratch.Cube`)
    Raises InputError if the file is not such a product.
    """
    with _open(path) as hdus:
        axes = hdus["SCI"].header["NAXIS"]
        if axes not in (2, 3):
            raise InputError(f"SCI has {axes} axes, an image has 2 or 3", file=str(path))
        floats = ("SCI", "ERR", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT", "AREA")
        arrays = {name.lower(): _cube(path, hdus, name, np.float32, stored) for name in floats}
        absent = [name for name in floats[:4] if arrays[name.lower()] is None]
        if absent:
            raise InputError(f"extension {', '.join(absent)} is missing", file=str(path))
        return Image(
            header=_header(hdus),
            dq=_cube(path, hdus, "DQ", np.uint32, stored, arrays["sci"].shape),
            int_times=_table(hdus, "INT_TIMES"),
            int_times_stripe=_table(hdus, "INT_TIMES_STRIPE"),
            wcs=_wcs(hdus),
            file=str(path),
            **arrays,
        )


def _open(path: Path | str) -> Any:
    try:
        hdus = open_fits(path)
    except FileNotFoundError:
        raise InputError("does not exist", file=str(path)) from None
    except OSError as error:
        raise InputError(f"cannot be read as FITS ({error})", file=str(path)) from error
    if "SCI" not in hdus:
        hdus.close()
        raise InputError("extension SCI is missing", file=str(path))
    return hdus


def _header(hdus: Any) -> Header:
    primary = _cards(hdus[0].header)
    sci = _cards(hdus["SCI"].header)
    return Header({**primary, **sci}, shadowed={k: primary[k] for k in primary.keys() & sci.keys()})


def _cards(header: fits.Header) -> dict[str, Any]:
    return {
        card.keyword: card.value
        for card in header.cards
        if card.keyword not in STRUCTURE and not isinstance(card.value, fits.card.Undefined)
    }


def _cube(
    path: Path | str,
    hdus: Any,
    name: str,
    dtype: type[np.generic],
    stored: bool,
    default: tuple[int, ...] | None = None,
    rows: Rows | None = None,
) -> Any:
    """An extension of two or more axes; zeros of the default shape if it is not there, None without one.

    rows : of its planes, those that are wanted
    It is converted plane by plane, so that raw and result exist together only for one; if it
    is to be stored, it stays in the file until it is changed.
    """
    if name not in hdus or hdus[name].header["NAXIS"] == 0:
        if default is None:
            return None
        return scratch.Cube(default, dtype) if stored else np.zeros(default, dtype)
    planes = Planes(path, hdus[name])
    unit = planes.shape[-2:] if len(planes.shape) > 2 else planes.shape[-1:]  # planes, or rows of an image
    units = prod(planes.shape[1 : -len(unit)])
    if rows is not None:
        unit = (len(rows), unit[1])
    shape = (*planes.shape[: -len(unit)], *unit)

    def fill(start: int, out: NDArray[Any]) -> None:
        planes.read(out.reshape(-1, *unit), start * units, rows)

    if stored:
        return scratch.Cube(shape, dtype, fill)
    out = np.empty(shape, dtype)
    fill(0, out)
    return out


def _between(path: Path | str, hdus: Any, header: Header, pixeldq: NDArray[np.uint32]) -> Between:
    """The rest of an interleaved exposure. Raises InputError if its read-out is not said."""
    if "FASTAXIS" not in header:
        raise InputError("FASTAXIS is not given", file=str(path))
    image, rows = rows_of(header)
    flags = _rows_of_groups(path, hdus["GROUPDQ"], np.uint8) if "GROUPDQ" in hdus else None
    samples = _rows_of_groups(path, hdus["SCI"], np.float32)
    none = np.zeros((len(rows), pixeldq.shape[1]), np.uint8)
    return Between(image, rows, pixeldq[rows], none, samples, flags)


def _rows_of_groups(path: Path | str, hdu: Any, dtype: type[np.generic]) -> Read:
    planes = Planes(path, hdu)

    def read(group: int, rows: Rows) -> NDArray[Any]:
        out = np.empty((len(rows), planes.shape[-1]), dtype)
        planes.read(out[None], group, rows)
        return out

    return read


def _array(path: Path | str, hdus: Any, name: str, default: Any) -> Any:
    there = name in hdus and hdus[name].header["NAXIS"]
    return read_array(path, hdus[name]) if there else default


def _table(hdus: Any, name: str) -> Table | None:
    return read_table(hdus[name]) if name in hdus and hdus[name].header["NAXIS2"] else None


def _read_times(hdus: Any) -> NDArray[np.float64] | None:
    """Times that no keyword holds; only collated superstripes have them."""
    if "INT_TIMES_STRIPE" not in hdus or "ASDF" not in hdus:
        return None
    tree = load_yaml(io.BytesIO(_asdf(hdus)))
    times = tree["meta"].get("exposure", {}).get("read_times")
    return np.array(times, np.float64) if times else None


def _wcs(hdus: Any) -> Any:
    """The gwcs in the ASDF extension, or None."""
    if "ASDF" not in hdus or hdus[0].header.get("S_WCS") != "COMPLETE":
        return None
    block = io.BytesIO(_asdf(hdus))
    with warnings.catch_warnings():
        # the tree's arrays are in other extensions, which asdf tries to find in files of their own
        warnings.simplefilter("ignore", AsdfConversionWarning)
        try:
            with asdf.open(block, lazy_load=False, memmap=False) as file:
                return file["meta"].get("wcs")
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # a tree that says nonsense
            reason = f"its ASDF extension cannot be read: {type(error).__name__}: {error}"
            raise InputError(reason, file=hdus.filename() or "") from error


def _asdf(hdus: Any) -> bytes:
    """The content of the ASDF extension, if it is such as to be given to a library. Raises InputError."""
    content: bytes = hdus["ASDF"].data.tobytes()
    flaw = asdftail.flaw(content)
    if flaw:
        raise InputError(f"its ASDF extension {flaw}", file=hdus.filename() or "")
    asdftree.check(content)
    return content
