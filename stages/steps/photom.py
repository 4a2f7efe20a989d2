"""Turn count rates into surface brightness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy import units as u

from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.exposure import Header, Image, Table
from calwebbd.stages.masking import match_nans_and_flags
from calwebbd.stages.references import Reference, References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.threads import by_rows

UJY_PER_ARCSEC2 = (u.MJy / u.sr).to(u.uJy / u.arcsec**2)  #: in 1 MJy/sr
Factor = np.float32 | np.float64


@dataclass(frozen=True)
class PhotomParams:
    inverse: bool = False  #: divide, to undo the step
    source_type: str | None = None  #: POINT keeps flux density where the table gives it; None for SRCTYPE
    apply_time_correction: bool = True  #: for the loss of throughput


def find_row(table: Table, wanted: Mapping[str, str]) -> int | None:
    """Index of the row whose columns have these texts, whatever their case; None if there is none.

    Raises ReferenceMissing if there are two.
    """
    fits = np.ones(len(table), bool)
    for column, value in wanted.items():
        fits &= np.char.upper(np.char.strip(table[column].astype(str))) == value.upper()
    rows = np.flatnonzero(fits)
    if len(rows) > 1:
        raise ReferenceMissing(f"the photom reference has {len(rows)} rows for {dict(wanted)}")
    return int(rows[0]) if len(rows) else None


def row_of(table: Table, header: Header) -> int | None:
    """Index of the row for an exposure's optical elements; None if there is none.

    The guider has but one. Of NIRCam, tables with a column for subarrays have a row for each; of
    MIRI, there may be one for all, called GENERIC.
    """
    instrument, columns = header.text("INSTRUME"), table.dtype.names or ()
    if instrument == "FGS":
        return 0
    if instrument == "MIRI":
        wanted = {"filter": header.text("FILTER")}
        own = find_row(table, wanted | {"subarray": header.text("SUBARRAY")})
        return find_row(table, wanted | {"subarray": "GENERIC"}) if own is None else own
    keys = {"NIRISS": ("filter", "pupil"), "NIRSPEC": ("filter", "grating")}
    wheels = keys.get(instrument, ("filter", "pupil", "subarray"))
    return find_row(table, {key: header.text(key.upper()) for key in wheels if key in columns})


def linear(t: float, p: Table) -> np.float32:
    """1 - loss per year × years since t0."""
    return np.float32(1 - p["lossperyear"] * (t - p["t0"]) / 365)


def exponential(t: float, p: Table) -> np.float32:
    """Decay by exp(-(t - t0) / tau) to an asymptote; days."""
    return np.float32(p["amplitude"] * np.exp(-(t - p["t0"]) / p["tau"]) + p["const"])


def power_law(t: float, p: Table) -> np.float32:
    """Softened power law of the days since t0, with its value after a year given."""
    norm = (365 + p["tsoft"]) ** p["alpha"] / p["year1value"]
    return np.float32((t - p["t0"] + p["tsoft"]) ** p["alpha"] / norm)


CORRECTIONS = {
    "TIMECOEFF_LINEAR": linear,
    "TIMECOEFF_EXPONENTIAL": exponential,
    "TIMECOEFF_POWERLAW": power_law,
}


def throughput(reference: Reference, row: int, rows: int, time: float) -> float:
    """Throughput relative to that of the table's factors at `time`, MJD.

    The product of what the time-coefficient tables give, single precision each; 1 without
    any. Raises ReferenceMissing if such a table has not a row for each of the photometry.
    """
    product = 1.0
    for name, law in CORRECTIONS.items():
        if reference.has(name):
            table = _lower(reference.table(name))
            if len(table) != rows:
                raise ReferenceMissing(f"{reference.path.name} has {len(table)} rows in {name}, not {rows}")
            product *= float(law(time, table[row]))
    return product


def conversion(reference: Reference, header: Header, params: PhotomParams) -> tuple[Factor, str] | None:
    """The factor for an exposure's optical elements and the unit it leads to; None if it has no row.

    photmjsr is MJy/sr per DN/s. photmj is MJy per DN/s, and is divided by PIXAR_SR
    unless the source is a point. float32 as in the table, float64 once corrected for time.
    """
    table = _lower(reference.table("PHOTOM"))
    columns = table.dtype.names or ()
    row = row_of(table, header)
    if row is None:
        return None
    unit = "MJy/sr"
    factor: Factor = np.float32(table["photmjsr" if "photmjsr" in columns else "photmj"][row])
    if "photmjsr" not in columns:
        if (params.source_type or header.text("SRCTYPE")).upper() == "POINT":
            unit = "MJy"
        elif "PIXAR_SR" in header:
            factor = np.float32(factor / header.real("PIXAR_SR"))
    if params.apply_time_correction:
        time = header.real("EXPMID", np.nan)
        loss = throughput(reference, row, len(table), time)
        if np.isnan(loss):
            raise InputError("EXPMID is missing, and the photom reference depends on time")
        factor = factor if loss == 1 else np.float64(factor) / loss
    return factor, unit


def scale(image: Image, factor: Factor, *, inverse: bool = False) -> None:
    """Multiply (`inverse`: divide) SCI and ERR by the factor, variances by its square, in place."""
    operation = np.divide if inverse else np.multiply
    squared = factor * factor
    arrays = [(image.sci, factor), (image.err, factor)]
    variances = (image.var_poisson, image.var_rnoise, image.var_flat)
    arrays += [(variance, squared) for variance in variances if variance is not None]

    def apply(start: int, stop: int) -> None:
        for array, by in arrays:
            rows = array[..., start:stop, :]
            operation(rows, by, out=rows, casting="same_kind")

    by_rows(apply, image.sci.shape[-2])


@step(keyword="S_PHOTOM", references=("photom",), optional=("area",), params=PhotomParams)
def photom(image: Image, references: References, params: PhotomParams) -> Image:
    """Apply the flux calibration and attach the map of pixel areas.

    An exposure for whose optical elements the table has no row stays as it is, and so do
    NIRISS' integrations, as of aperture masking, but for their areas.
    Source: specification image2 §5.
    """
    area = references.get("area")
    if area is not None:
        image.area = area.floats("SCI")
    nominal = (area or references["photom"]).header
    for key in ("PIXAR_SR", "PIXAR_A2"):
        image.header.pop(key, None)
        if isinstance(nominal.get(key), float):
            image.header[key] = nominal[key]
    if image.by_integration and image.header.text("INSTRUME") == "NIRISS":
        raise Skip("integrations of NIRISS stay in DN/s")
    found = conversion(references["photom"], image.header, params)
    if found is None:
        return image
    factor, unit = found
    scale(image, factor, inverse=params.inverse)
    image.header["PHOTMJSR"] = float(factor)
    image.header["PHOTUJA2"] = float(factor * UJY_PER_ARCSEC2)
    image.header["BUNIT"] = "DN/s" if params.inverse else unit
    match_nans_and_flags(image)
    return image


def _lower(table: Table) -> Table:
    """The table with its columns in lower case, as references may write them either way."""
    names = [name.lower() for name in table.dtype.names or ()]
    return table.view(np.dtype([(n, table.dtype[i]) for i, n in enumerate(names)]))
