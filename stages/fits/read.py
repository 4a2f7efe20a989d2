"""Read exposures from JWST products."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import asdf
import numpy as np
from asdf.exceptions import AsdfConversionWarning
from astropy.io import fits

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Float, Header, Image, Ramp, Table
from calwebbd.stages.fits.arrays import open_fits, read_array, read_planes, read_table

STRUCTURE = {  # keywords of the file, not of the exposure
    *("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME", "EXTVER"),
    *("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "COMMENT", "HISTORY", "LONGSTRN", "INHERIT", ""),
    *(f"NAXIS{n}" for n in range(1, 6)),
}


def read_header(path: Path | str) -> Header:
    """Keywords of the primary and SCI headers; data are not read."""
    with _open(path) as hdus:
        return _header(hdus)


def read_ramp(path: Path | str) -> Ramp:
    """A raw (``uncal``) or corrected (``ramp``) exposure as float32, with flags (zero if it has none).

    Raises InputError if the file is not such a product.
    """
    with _open(path) as hdus:
        sci = hdus["SCI"]
        if sci.header["NAXIS"] != 4:
            raise InputError(f"SCI has {sci.header['NAXIS']} axes, a ramp has 4", file=str(path))
        cube = _ramp_cube(path, sci)
        return Ramp(
            header=_header(hdus),
            sci=cube,
            groupdq=_array(path, hdus, "GROUPDQ", np.zeros(cube.shape, np.uint8)),
            pixeldq=_array(path, hdus, "PIXELDQ", np.zeros(cube.shape[-2:], np.uint32)),
            zeroframe=_float(path, hdus, "ZEROFRAME"),
            refout=_float(path, hdus, "REFOUT"),
            int_times=_table(hdus, "INT_TIMES"),
            group=_table(hdus, "GROUP"),
            average_dark_current=_array(path, hdus, "AVDRKCUR", 0.0),
            file=str(path),
        )


def read_image(path: Path | str) -> Image:
    """A ``rate``, ``rateints``, ``cal``, ``calints`` or ``crf`` product, with its WCS if it has one.

    Raises InputError if the file is not such a product.
    """
    with _open(path) as hdus:
        axes = hdus["SCI"].header["NAXIS"]
        if axes not in (2, 3):
            raise InputError(f"SCI has {axes} axes, an image has 2 or 3", file=str(path))
        arrays = {name: _float(path, hdus, name) for name in ("SCI", "ERR", "VAR_POISSON", "VAR_RNOISE")}
        absent = [name for name, array in arrays.items() if array is None]
        if absent:
            raise InputError(f"extension {', '.join(absent)} is missing", file=str(path))
        sci, err, var_poisson, var_rnoise = (a for a in arrays.values() if a is not None)
        return Image(
            header=_header(hdus),
            sci=sci,
            err=err,
            dq=_array(path, hdus, "DQ", np.zeros(sci.shape, np.uint32)),
            var_poisson=var_poisson,
            var_rnoise=var_rnoise,
            var_flat=_float(path, hdus, "VAR_FLAT"),
            area=_float(path, hdus, "AREA"),
            int_times=_table(hdus, "INT_TIMES"),
            wcs=_wcs(hdus),
            file=str(path),
        )


def _open(path: Path | str) -> Any:
    try:
        hdus = open_fits(path)
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


def _ramp_cube(path: Path | str, sci: Any) -> Float:
    """SCI as float32, group by group, so that raw and float exist together only for one."""
    header = sci.header
    cube = np.empty(tuple(header[f"NAXIS{n}"] for n in (4, 3, 2, 1)), np.float32)
    read_planes(path, sci, cube.reshape(-1, *cube.shape[2:]))
    return cube


def _array(path: Path | str, hdus: Any, name: str, default: Any) -> Any:
    there = name in hdus and hdus[name].header["NAXIS"]
    return read_array(path, hdus[name]) if there else default


def _float(path: Path | str, hdus: Any, name: str) -> Float | None:
    if name not in hdus or hdus[name].header["NAXIS"] == 0:
        return None
    return read_array(path, hdus[name]).astype(np.float32, copy=False)


def _table(hdus: Any, name: str) -> Table | None:
    return read_table(hdus[name]) if name in hdus and hdus[name].header["NAXIS2"] else None


def _wcs(hdus: Any) -> Any:
    """The gwcs in the ASDF extension, or None."""
    if "ASDF" not in hdus or hdus[0].header.get("S_WCS") != "COMPLETE":
        return None
    block = io.BytesIO(hdus["ASDF"].data.tobytes())
    with warnings.catch_warnings():
        # the tree's arrays are in other extensions, which asdf tries to find in files of their own
        warnings.simplefilter("ignore", AsdfConversionWarning)
        with asdf.open(block, lazy_load=False, memmap=False) as file:
            return file["meta"].get("wcs")
