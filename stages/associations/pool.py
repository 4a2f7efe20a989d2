"""Association pools: tables with one row for each detector's file of a program.

The ground system's pools hold what headers do not: the candidates that the proposal names
(mosaics, backgrounds), the number of each target, the part of each pointing. A pool made from
headers has what can be told from them (specification associations §4).
"""

import csv
import os
from ast import literal_eval
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from calwebbd.stages.errors import InputError
from calwebbd.stages.hdus import walk
from calwebbd.stages.header import Header, flag, text
from calwebbd.stages.names import split_suffix

LARGEST = 2**26  #: bytes of a pool, two hundred times the largest known
#: by column; names and values in lower case
Row: TypeAlias = Mapping[str, str]

#: values that say nothing: a logical column is set or absent
ABSENT = frozenset({"", "null", "--", "n", "f", "false", "n/a"})

_ALIKE = """
PROGRAM VISIT VISITGRP VISITYPE OBS_ID SEQ_ID ACT_ID EXPOSURE EXP_TYPE TEMPLATE INSTRUME DETECTOR CHANNEL
MODULE FILTER PUPIL GRATING BAND FXD_SLIT SUBARRAY OPMODE LAMP MSASTATE MSAMETFL TARGPROP TARGNAME
PATTTYPE PATT_NUM NUMDTHPT SUBPXPTS DMS_NOTE EXSEGNUM EXSEGTOT NINTS NGROUPS
"""
KEYWORDS = frozenset(_ALIKE.split())  #: that columns have the name of
LOGICALS = {"IS_PSF": "is_psf", "IS_IMPRT": "is_imprt", "BKGDTARG": "bkgdtarg", "TSOVISIT": "tsovisit"}


class Candidate(NamedTuple):
    """What the proposal wants combined: ``o001`` of kind observation, ``c1000`` of kind mosaic, …"""

    id: str
    kind: str

    def __str__(self) -> str:
        return f"[('{self.id}', '{self.kind}')]"


@dataclass(frozen=True)
class Pool:
    name: str  #: of its file
    rows: tuple[Row, ...]


def value(row: Row, *columns: str) -> str:
    """The first of these columns that says something; empty if none does."""
    for column in columns:
        if (found := row.get(column, "")) not in ABSENT:
            return found
    return ""


def candidates(row: Row) -> list[Candidate]:
    """The candidates that the row belongs to; without such a column, the row's observation."""
    listed = row.get("asn_candidate")
    if listed is None:
        number = value(row, "obs_num")
        return [Candidate(f"o{number:0>3}", "observation")] if number else []
    try:
        return [Candidate(str(name), str(kind)) for name, kind in literal_eval(listed)]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # the last two: nested too deep
        return []


def read_pool(path: Path) -> Pool:
    """Read a table whose columns are parted by ``|``; lines beginning with ``#`` are comments.

    An empty field reads ``null``, as the official generator has it.

    Raises InputError if it is no such table.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise InputError(f"is larger than {LARGEST} bytes: no association pool", file=str(path))
        lines = [line for line in content.decode().splitlines() if line.strip() and line.lstrip()[0] != "#"]
        fields = csv.reader(lines, delimiter="|")
        table = [[field.strip().lower() or "null" for field in line] for line in fields]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the pool cannot be read: {error}", file=str(path)) from error
    if not table or "filename" not in table[0]:
        raise InputError("is no association pool: it has no column filename", file=str(path))
    for number, line in enumerate(table[1:], 1):
        if len(line) != len(table[0]):
            reason = f"row {number} has {len(line)} fields, the pool has {len(table[0])} columns"
            raise InputError(reason, file=str(path))
    return Pool(path.name, tuple(dict(zip(table[0], line, strict=True)) for line in table[1:]))


def pool_of(files: Iterable[Path], name: str = "none") -> Pool:
    """A pool of exposures by their headers; ordered by file name, each exposure once.

    Targets are numbered as they first appear in that order: APT's numbers are in no header.
    """
    exposures = {split_suffix(path.name)[0]: path for path in files}
    targets: dict[str, str] = {}
    rows = []
    for root in sorted(exposures):
        header = _primary(exposures[root])
        target = text(header, "TARGNAME") or text(header, "TARGPROP")
        number = targets.setdefault(target.lower(), str(len(targets) + 1))
        rows.append(row_of(header, root, number))
    return Pool(name, tuple(rows))


def row_of(header: Header, root: str, target: str = "1") -> Row:
    """The row of an exposure by its header alone; columns that no keyword tells are missing.

    root : its file name without suffix
    target : its number among the program's targets
    """
    row = {keyword.lower(): text(header, keyword).lower() for keyword in KEYWORDS}
    row |= {column: "t" if flag(header, keyword) else "f" for keyword, column in LOGICALS.items()}
    number = text(header, "OBSERVTN")
    row |= {"filename": f"{root}_uncal.fits", "targetid": target, "pntgtype": "science"}
    row |= {"obs_num": number, "asn_candidate": str(Candidate(f"o{number:0>3}", "observation"))}
    return row


def _primary(path: Path) -> Header:
    try:
        with path.open("rb") as file:
            return next(walk(file, os.fstat(file.fileno()).st_size)).header
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=str(path)) from error
    except InputError as error:
        error.file = str(path)
        raise
