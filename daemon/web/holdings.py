"""Files that pages may open: products on record, where they really lie in the folder of products.

A path never comes from an address. It comes from the records, and is followed to its end:
what lies elsewhere, by whatever link, is not opened.
"""

import csv
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from calwebbd.stages.errors import CalibrationError
from calwebbd.stages.hdus import Hdu, walk
from calwebbd.stages.header import integer, text

LARGEST_PICTURE = 20_000_000  #: bytes
LARGEST_TABLE = 20_000_000
MOST_ROWS = 10_000
BYTES = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
PNG = b"\x89PNG\r\n\x1a\n"


class Unseen(Exception):
    """The file is not there, not where it should be, or not what it should be."""


@contextmanager
def opened(path: str, output: Path, largest: int | None = None) -> Iterator[BinaryIO]:
    """Open a file below the folder of products. Raises Unseen."""
    try:
        found = Path(path).resolve(strict=True)
        if not found.is_relative_to(output.resolve()):
            raise Unseen("it does not lie in the folder of products")
        descriptor = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError, RuntimeError) as error:
        raise Unseen("it is no longer there, or cannot be read") from error
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or (largest is not None and facts.st_size > largest):
            raise Unseen("it is no file, or too large")
        yield file


def picture(path: str, output: Path) -> bytes:
    """A PNG. Raises Unseen."""
    with opened(path, output, LARGEST_PICTURE) as file:
        content = file.read()
    if not content.startswith(PNG):
        raise Unseen("it is no PNG")
    return content


def member_table(path: str, output: Path) -> list[dict[str, Any]]:
    """Rows of a mosaic's table of members (ECSV): text, numbers and None. Raises Unseen."""
    with opened(path, output, LARGEST_TABLE) as file:
        lines = file.read().decode("utf-8", "replace").splitlines()
    rows = csv.reader((line for line in lines if line and not line.startswith("#")), delimiter=" ")
    try:
        names = next(rows, [])
        return [{name: _value(word) for name, word in zip(names, row, strict=False)} for row in rows]
    except csv.Error as error:
        raise Unseen("it is no table") from error


def _value(word: str) -> Any:
    if word in ("True", "False"):
        return word == "True"
    try:
        number = float(word)
    except ValueError:
        return word
    return number if math.isfinite(number) else None


def regions(path: str, output: Path) -> tuple[str, dict[str, str]]:
    """S_REGION of a mosaic, and of its members by their names, as its headers have them. Raises Unseen."""
    with opened(path, output) as file:
        try:
            hdus = {hdu.name: hdu for hdu in walk(file, os.fstat(file.fileno()).st_size)}
            whole = text(hdus["SCI"].header, "S_REGION")
            names, found = columns(file, hdus["HDRTAB"], ("FILENAME", "S_REGION"))
        except (CalibrationError, KeyError, ValueError) as error:
            raise Unseen("its headers have no footprints") from error
    return whole, dict(zip(names, found, strict=True))


def columns(file: BinaryIO, hdu: Hdu, names: tuple[str, ...]) -> list[list[str]]:
    """Columns of text of a binary table. Raises KeyError or ValueError if it has no such ones."""
    header, places, offset = hdu.header, {}, 0
    for i in range(1, (integer(header, "TFIELDS") or 0) + 1):
        form = re.fullmatch(r"(\d*)([LXBIJKAEDCMPQ]).*", text(header, f"TFORM{i}"))
        if form is None:
            raise ValueError(f"TFORM{i}")
        count = int(form[1] or 1)
        width = -(-count // 8) if form[2] == "X" else count * BYTES[form[2]]
        places[text(header, f"TTYPE{i}")] = (offset, offset + width, form[2])
        offset += width
    row_size, rows = hdu.shape[1], hdu.shape[0]
    if offset != row_size or rows > MOST_ROWS or hdu.nbytes > LARGEST_TABLE:
        raise ValueError("the table is not as its header says, or too large")
    if any(places[name][2] != "A" for name in names):
        raise ValueError("these columns are no text")
    file.seek(hdu.start)
    data = file.read(row_size * rows)
    cells = [
        [data[row_size * i + places[name][0] : row_size * i + places[name][1]] for i in range(rows)]
        for name in names
    ]
    return [
        [cell.partition(b"\0")[0].decode("ascii", "replace").rstrip() for cell in column] for column in cells
    ]
