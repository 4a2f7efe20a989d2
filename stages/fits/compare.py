"""What differs between the arrays of two FITS files, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

_ASDF = "ASDF"  # a tree of its own, not an array


def differing_arrays(one: Path, other: Path) -> list[str]:
    """One sentence for each extension that differs: shape, type, how many values and by how much.

    A NaN equals a NaN. Headers and the ASDF extension are not looked at. An empty list if all is equal.
    """
    with fits.open(one, memmap=False) as first, fits.open(other, memmap=False) as second:
        return list(_differences(_named(first), _named(second)))


def _named(hdus: Any) -> dict[str, Any]:
    """Extensions by name and version, as ``SCI``, ``SCI,2``."""
    found = {}
    for hdu in hdus:
        if hdu.name != _ASDF and hdu.data is not None:
            found[hdu.name + (f",{hdu.ver}" if hdu.ver > 1 else "")] = hdu.data
    return found


def _differences(one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*one, *other]):
        if name not in one or name not in other:
            yield f"{name}: only in the {'first' if name in one else 'second'}"
        elif one[name].dtype.names or other[name].dtype.names:
            yield from _of_tables(name, one[name], other[name])
        elif one[name].shape != other[name].shape:
            yield f"{name}: shape {one[name].shape} → {other[name].shape}"
        else:
            yield from _of_arrays(name, one[name], other[name])


def _of_tables(name: str, one: Any, other: Any) -> Iterator[str]:
    columns = [tuple(each.dtype.names or ()) for each in (one, other)]
    if columns[0] != columns[1] or len(one) != len(other):
        yield f"{name}: {len(one)} rows of {len(columns[0])} columns → {len(other)} of {len(columns[1])}"
        return
    for column in columns[0]:
        yield from _of_arrays(f"{name}.{column}", one[column], other[column])


def _of_arrays(name: str, one: Any, other: Any) -> Iterator[str]:
    floats = one.dtype.kind == other.dtype.kind == "f"
    differ = one != other
    if floats:
        differ &= ~(np.isnan(one) & np.isnan(other))
    count = int(np.count_nonzero(differ))
    if not count:
        return
    text = f"{name}: {count} of {one.size} values differ"
    if floats:
        either = int(np.count_nonzero(differ & (np.isnan(one) | np.isnan(other))))
        gap = np.abs(one[differ].astype(float) - other[differ].astype(float))
        finite = gap[np.isfinite(gap)]
        text += f", by up to {finite.max():.3g}, median {np.median(finite):.3g}" if finite.size else ""
        text += f", {either} are NaN in one only" if either else ""
    yield text
