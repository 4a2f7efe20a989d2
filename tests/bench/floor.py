"""What no implementation can do without: to read the exposure and its references, to write the products."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits


@dataclass(frozen=True)
class Floor:
    wall: float  #: s
    cpu: float  #: s
    read_mb: float
    written_mb: float


def measure_floor(raw: Path, products: Path, crds: Path, scratch: Path) -> Floor:
    """Read the bytes of what went in and write those of the products, in the folder `scratch`.

    The references are those that a product names. Files are in the memory of the machine,
    as they are for the implementations.
    """
    files = [raw, *references(next(products.glob("*_rate.fits")), crds)]
    contents = {product.name: product.read_bytes() for product in products.glob("*.fits")}
    for file in files:
        file.read_bytes()
    scratch.mkdir()
    wall, cpu = time.perf_counter(), time.process_time()
    read = sum(len(file.read_bytes()) for file in files)
    for name, content in contents.items():
        (scratch / name).write_bytes(content)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    shutil.rmtree(scratch)
    return Floor(wall, cpu, read / 2**20, sum(map(len, contents.values())) / 2**20)


def references(product: Path, crds: Path) -> list[Path]:
    """The reference files that the header of a product names."""
    header = fits.getheader(product)
    names = {str(value).removeprefix("crds://") for key, value in header.items() if key.startswith("R_")}
    return sorted(path for path in (crds / "references").rglob("jwst_*") if path.name in names)
