"""Combine the headers of the exposures of one product.

Which keyword is combined how, and which ones the table of inputs has, is written
in the schemas of JWST products: `blend_rule` and `blend_table`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header, Table, Value

OUTSIDE = "outside calibration tolerance"
WITHIN = "within commanded tolerance"


def _common(values: list[Value]) -> Value:
    return values[0] if len(set(values)) == 1 else "MULTIPLE"


def _wheel(values: list[Value]) -> Value:
    return OUTSIDE if OUTSIDE in values else WITHIN


#: Values of all exposures that have the keyword -> that of the product. Dates and times
#: are ISO 8601 texts, whose order is that of time.
RULES: dict[str, Callable[[list[Any]], Any]] = {
    "first": lambda values: values[0],
    "multi": _common,
    "mean": np.mean,
    "sum": np.sum,
    "wheeltol": _wheel,
    **dict.fromkeys(("min", "mindate", "mintime", "mindatetime"), min),
    **dict.fromkeys(("max", "maxdate", "maxtime", "maxdatetime"), max),
}


@dataclass(frozen=True)
class Schema:
    """What the schemas say. rules : keyword -> its rule; columns : keywords of the table, and their HDU."""

    rules: dict[str, str]
    columns: dict[str, str]


@cache
def schema() -> Schema:
    """Of an image, read once: it takes a second to import."""
    from stdatamodels.jwst.datamodels import ImageModel
    from stdatamodels.schema import walk_schema

    rules: dict[str, str] = {}
    columns: dict[str, str] = {}

    def visit(node: Any, path: Any, *_: Any) -> None:
        keyword = node.get("fits_keyword")
        if not keyword or path[0] != "meta" or "items" in path:
            return
        if "blend_rule" in node:
            rules[keyword] = node["blend_rule"]
        if node.get("blend_table"):
            columns[keyword] = node.get("fits_hdu", "PRIMARY")

    with ImageModel() as model:
        walk_schema(model.schema, visit)
    return Schema(rules, columns)


def blend(headers: Sequence[Header]) -> tuple[Header, Table]:
    """The header of a product of several exposures, and the table of what each of them had.

    The header is a copy of the first, with those keywords replaced that have a rule:
    their rule is applied to the exposures that have them. The table has a row for
    each exposure and a column for each keyword that any of them has. A number that
    one lacks is NaN; beside texts it is the text ``nan``.

    Source: specification products §8. Raises InputError if there is no header.
    """
    if not headers:
        raise InputError("there is no exposure whose header could be blended")
    blended = headers[0].copy()
    for keyword, rule in schema().rules.items():
        values = [header[keyword] for header in headers if keyword in header]
        if values:
            value = RULES[rule](values)
            blended[keyword] = value.item() if isinstance(value, np.generic) else value
    return blended, header_table(headers)


def header_table(headers: Sequence[Header]) -> Table:
    """HDRTAB: one row for each header, with columns of text, int64, float64 or bool."""
    columns = {}
    for keyword, hdu in schema().columns.items():
        values = [_value(header, keyword, hdu) for header in headers]
        if any(value is not None for value in values):
            columns[keyword] = np.array([np.nan if value is None else value for value in values])
    table = np.empty(len(headers), [(keyword, column.dtype) for keyword, column in columns.items()])
    for keyword, column in columns.items():
        table[keyword] = column
    return table


def _value(header: Header, keyword: str, hdu: str) -> Value | None:
    if hdu == "PRIMARY" and keyword in header.shadowed:
        return header.shadowed[keyword]
    return header.get(keyword)
