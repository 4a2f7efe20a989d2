"""Catalogues of sources as ECSV files."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from calwebbd.stages.exposure import Catalogue

PACKAGES = ("astropy", "calwebbd", "gwcs", "numpy", "photutils", "scipy")


def write_catalogue(catalogue: Catalogue, path: Path, keywords: Mapping[str, str]) -> Path:
    """Write a catalogue atomically.

    Its metadata begin with the date, the versions of what it was made with, and the keywords.
    """
    table = catalogue.table.copy(copy_data=False)
    versions = {"Python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    date = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    table.meta = {"date": date, "version": versions} | dict(keywords) | dict(table.meta)
    partial = path.with_name(f".{path.name}.partial.ecsv")
    try:
        table.write(partial, format="ascii.ecsv", overwrite=True)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
