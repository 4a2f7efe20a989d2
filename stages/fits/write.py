"""Write products in the JWST formats.

Names, types and places of everything come from the schemas of stdatamodels, so
that a product is valid by construction. It appears whole or not at all: it is
written beside its final place, and renamed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from asdf import AsdfFile
from astropy.io import fits
from stdatamodels import fits_support
from stdatamodels.jwst import datamodels
from stdatamodels.schema import walk_schema

from calwebbd.stages.between import Between
from calwebbd.stages.exposure import Exposure, Header, Image, Mosaic, Ramp, Table, Value
from calwebbd.stages.fits.output import write_hdus
from calwebbd.stages.fits.read import GUIDE_STAR_TABLES
from calwebbd.stages.products import Dark, GuideStar, Plane, Segmentation, SegmentFits
from calwebbd.stages.scratch import Cube

RAMP = {"sci": "data"} | {name: name for name in ("pixeldq", "groupdq", "zeroframe", "refout")}
FITTED = ("err", "dq", "var_poisson", "var_rnoise", "var_flat", "area", "int_times", "int_times_stripe")
IMAGE = {"sci": "data"} | {name: name for name in FITTED}
DARK = {"sci": "data", "dq": "dq"}
PLANE = {"sci": "data", "err": "err", "dq": "dq"}
GUIDE_STAR = {"sci": "data"} | {name: name for name in ("err", "dq", *GUIDE_STAR_TABLES)}
MOSAIC = {"sci": "data"} | {
    name: name for name in ("err", "wht", "con", "var_poisson", "var_rnoise", "var_flat", "dq", "hdrtab")
}

SEGMENT_FITS = {"sci": "slope"} | {
    name: name
    for name in ("sigslope", "var_poisson", "var_rnoise", "yint", "sigyint", "pedestal", "weights", "crmag")
}
IFU = {"NRS_IFU", "MIR_MRS"}  # and lamp exposures through it


@dataclass(frozen=True)
class Prepared:
    """A product as it will stand in its file; its arrays are read when they are put there.

    cubes : data that are on disk, by extension
    """

    path: Path
    hdus: fits.HDUList
    cubes: Mapping[str, Cube]

    @property
    def partial(self) -> Path:
        return self.path.with_name(f".{self.path.name}.partial.fits")

    def put(self) -> None:
        """Write all of it beside its place."""
        try:
            write_hdus(self.hdus, self.partial, self.cubes)
        except BaseException:
            self.discard()
            raise

    def appear(self) -> None:
        os.replace(self.partial, self.path)

    def discard(self) -> None:
        self.partial.unlink(missing_ok=True)


def write(product: Exposure, path: Path) -> Path:
    """Write `product` as `path`, atomically; its FILENAME becomes the file's own name."""
    prepared = prepare(product, path)
    prepared.put()
    prepared.appear()
    return path


def prepare(product: Exposure, path: Path) -> Prepared:
    """What is to be written as `path`; later changes of the product's keywords are not in it."""
    model_type, names = _model(product)
    cubes: dict[str, Cube] = {}
    # what steps make is valid; validation where it is assigned would double the time of a product
    with model_type(_tree(product, model_type), validate_on_assignment=False) as model:
        if isinstance(product, Mosaic) and product.hdrtab is not None:
            model.add_schema_entry("hdrtab", _header_table_schema(product.hdrtab))
        whole = _whole(product, product.between) if isinstance(product, Ramp) and product.between else {}
        for ours, theirs in names.items():
            value = whole.get(ours, getattr(product, ours))
            if isinstance(value, Cube):
                cubes["SCI" if theirs == "data" else theirs.upper()] = value
                shape = value.shape
                if ours in whole:  # group by group
                    shape = (*product.sci.shape[:2], *shape[1:])
                # whose shape is written, but takes no memory, as nobody touches it
                value = np.ndarray(shape, value.dtype, mmap(-1, value.nbytes))
            if value is not None:
                setattr(model, theirs, value)
        if isinstance(product, Ramp):
            _complete_ramp(product, model)
        wcs = getattr(product, "wcs", None)
        if wcs is not None:
            model.meta.wcs = wcs
        model.meta.filename = path.name
        model.on_save(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Card is too long")
            return Prepared(path, fits_support.to_fits(model._instance, model.schema), cubes)


def load_schemas() -> None:
    """Load what the first product would wait for, in a process that others are forked from."""
    for model_type in (datamodels.ImageModel, datamodels.CubeModel):
        _places(model_type)
    AsdfFile()


def _model(product: Exposure) -> tuple[type, dict[str, str]]:
    if isinstance(product, Ramp):
        by_superstripe = product.by_superstripe
        return (datamodels.SuperstripeRampModel if by_superstripe else datamodels.RampModel), RAMP
    if isinstance(product, GuideStar):
        return (datamodels.GuiderRawModel if product.raw else datamodels.GuiderCalModel), GUIDE_STAR
    if isinstance(product, Mosaic):
        return datamodels.ImageModel, MOSAIC
    if isinstance(product, Image):
        if product.by_integration:
            return datamodels.CubeModel, IMAGE
        return (datamodels.IFUImageModel if _is_ifu(product.header) else datamodels.ImageModel), IMAGE
    if isinstance(product, Segmentation):
        return datamodels.SegmentationMapModel, {"sci": "data"}
    if isinstance(product, Plane):
        return datamodels.ImageModel, PLANE
    if isinstance(product, SegmentFits):
        return datamodels.RampFitOutputModel, SEGMENT_FITS
    if isinstance(product, Dark):
        return (datamodels.DarkMIRIModel if product.sci.ndim == 4 else datamodels.DarkModel), DARK
    plain = {2: datamodels.ImageModel, 3: datamodels.CubeModel, 4: datamodels.RampModel}
    return plain[product.sci.ndim], {"sci": "data"}


def _is_ifu(header: Header) -> bool:
    kind = header.text("EXP_TYPE")
    return kind in IFU or (kind in ("NRS_AUTOWAVE", "NRS_LAMP") and header.text("LAMPMODE") == "IFU")


def _complete_ramp(ramp: Ramp, model: Any) -> None:
    for name in ("group", "int_times", "int_times_stripe"):
        table = getattr(ramp, name)
        if table is not None:
            setattr(model, name, table)
    if ramp.read_times is not None:
        model.meta.exposure.read_times = ramp.read_times.tolist()
    if np.any(ramp.average_dark_current):
        dark = np.broadcast_to(np.float32(ramp.average_dark_current), ramp.sci.shape[-2:])
        model.average_dark_current = np.ascontiguousarray(dark)


def _whole(ramp: Ramp, between: Between) -> dict[str, Any]:
    """The arrays of an interleaved exposure with all rows."""
    return {
        "sci": between.frames(ramp.sci, between.sci),
        "groupdq": between.frames(ramp.groupdq, between.groupdq),
        "pixeldq": between.merge(ramp.pixeldq, between.pixeldq),
    }


def _header_table_schema(table: Table) -> dict[str, Any]:
    """The schemas know no HDRTAB, as each has the columns that its inputs had.

    int8 is what stdatamodels takes for a logical column.
    """

    def kind(column: np.dtype[Any]) -> str | list[Any]:
        return ["ascii", column.itemsize // 4] if column.kind == "U" else column.name.replace("bool", "int8")

    names = table.dtype.names or ()
    columns = [{"name": name, "datatype": kind(table.dtype[name])} for name in names]
    return {"title": "Headers of the inputs", "fits_hdu": "HDRTAB", "datatype": columns}


@cache
def _places(model_type: type) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each keyword, the (HDU, dotted path) pairs at which the schema has it."""
    places: dict[str, list[tuple[str, str]]] = {}

    def visit(schema: Any, path: Any, *_: Any) -> None:
        keyword = schema.get("fits_keyword")
        if keyword and "items" not in path:
            places.setdefault(keyword, []).append((schema.get("fits_hdu", "PRIMARY"), ".".join(path)))

    with model_type() as model:
        walk_schema(model.schema, visit)
    return {keyword: tuple(found) for keyword, found in places.items()}


def _tree(product: Exposure, model_type: type) -> dict[str, Any]:
    """The metadata tree: keywords at their paths, unknown ones as extra cards of the primary header."""
    tree: dict[str, Any] = {}
    extra: list[list[Any]] = []
    places = _places(model_type)
    err_has_unit = getattr(product, "err", None) is not None and not isinstance(product, GuideStar)
    for keyword, value in _products_own(product.header).items():
        if keyword not in places:
            extra.append([keyword, value, ""])
            continue
        for hdu, path in places[keyword]:
            if len(places[keyword]) == 1 or hdu == "SCI" or (hdu == "ERR" and err_has_unit):
                _put(tree, path, value)
            elif keyword in product.header.shadowed:
                _put(tree, path, product.header.shadowed[keyword])
    for path, value in product.metadata.items():
        _put(tree, path, value)
    if extra:
        tree["extra_fits"] = {"PRIMARY": {"header": extra}}
    return tree


def _products_own(header: Header) -> dict[str, Value]:
    """Without those that the writer sets itself."""
    return {k: v for k, v in header.items() if k not in ("DATAMODL", "FILENAME", "DATE")}


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    for name in parents:
        tree = tree.setdefault(name, {})
    tree[leaf] = value
