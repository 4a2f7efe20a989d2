"""Reference files, opened when a step asks for them and cut to the exposure's subarray."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from yaml import YAMLError

from calwebbd.stages import flags
from calwebbd.stages.errors import ReferenceMissing, Unreadable
from calwebbd.stages.exposure import Float, Header, Lines, PixelDQ, Subarray, Table
from calwebbd.stages.fits.arrays import open_fits, read_array, read_column, read_table

#: what astropy, asdf and yaml raise for files that are cut short or garbled
_BROKEN = (OSError, ValueError, LookupError, TypeError, EOFError, YAMLError)
BAND = 8 << 20  # bytes of a reference's rows that are in memory at a time


class Reference:
    """One reference file of an exposure.

    Arrays come in native byte order, their last two axes cut to the rows and columns of the
    exposure's subarray, unless they are for this very subarray; each call reads them anew, so
    that nothing stays in memory that no step holds.
    """

    def __init__(self, kind: str, path: Path, subarray: Subarray) -> None:
        self.kind = kind
        self.path = path
        self.subarray = subarray
        self._cuts = True
        self._held: Any = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the file open, for what reads many planes one by one."""
        with self._open() as self._held:
            yield
        self._held = None

    def uncut(self) -> Reference:
        """The same file, its arrays as they are."""
        other = copy(self)
        other._cuts = False
        return other

    @property
    def header(self) -> Header:
        """Keywords of the primary header."""
        with self._open() as hdus:
            return Header({k: v for k, v in hdus[0].header.items() if k})

    def has(self, name: str) -> bool:
        """True if there is an extension of this name with data in it."""
        with self._open() as hdus:
            return name in hdus and hdus[name].header["NAXIS"] > 0

    def shape(self, name: str = "SCI") -> tuple[int, ...]:
        """Shape of an extension in the file."""
        with self._open() as hdus, self._reading():
            header = hdus[name].header
            return tuple(header[f"NAXIS{n}"] for n in range(header["NAXIS"], 0, -1))

    def array(
        self,
        name: str = "SCI",
        *,
        planes: slice | None = None,
        rows: slice | None = None,
        cut: bool = True,
    ) -> NDArray[Any]:
        """An extension's array; or some of its planes, counted through all its other axes, or of its rows."""
        with self._open() as hdus, self._reading():
            if name not in hdus:
                raise ReferenceMissing(f"{self.path.name} has no extension {name}")
            part = self._part(hdus) if cut and self._cuts else None
            if part is None:
                return read_array(self.path, hdus[name], planes=planes, rows=rows)
            lines, columns = part
            lines, places = np.unique(lines[rows or slice(None)], return_inverse=True)
            read = partial(read_array, self.path, hdus[name], planes=planes)
            pieces = [_taken(read(rows=each), columns, -1) for each in _runs(lines)]
        array = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=-2)
        return np.ascontiguousarray(_taken(array, places, -2))

    def floats(
        self,
        name: str = "SCI",
        *,
        planes: slice | None = None,
        rows: slice | None = None,
        cut: bool = True,
    ) -> Float:
        """The same, as float32."""
        return self.array(name, planes=planes, rows=rows, cut=cut).astype(np.float32, copy=False)

    def dq(self, *, cut: bool = True) -> PixelDQ:
        """The DQ array in the standard bits, by the names in DQ_DEF; zeros if there is none.

        Source: specification dq_flags §3.
        """
        with self._open() as hdus:
            if "DQ" not in hdus or hdus["DQ"].header["NAXIS"] == 0:
                return np.zeros((self.subarray.ny, self.subarray.nx), np.uint32)
            table = read_table(hdus["DQ_DEF"]) if "DQ_DEF" in hdus else None
        raw = self.array("DQ", cut=cut).astype(np.uint32, copy=False)
        return raw if table is None or not len(table) else translate(raw, table)

    def table(self, name: str | int = 1) -> Table:
        """Rows of a table extension."""
        with self._open() as hdus, self._reading():
            return read_table(hdus[name])

    def columns(self, name: str | int = 1) -> Iterator[tuple[str, NDArray[Any]]]:
        """Names (lower case) and columns of a table extension, one by one: none is in memory twice."""
        with self._open() as hdus:
            data = hdus[name].data
            for column in data.names:
                yield column.lower(), data[column].astype(data[column].dtype.newbyteorder("="))

    def column(self, name: str, extension: str | int = 1) -> NDArray[Any]:
        """One column of a table extension, whatever the case of its name; of no other is more in memory."""
        with self._open() as hdus, self._reading():
            names = {each.lower(): each for each in hdus[extension].columns.names}
            return read_column(self.path, hdus[extension], names[name])

    def tree(self) -> Any:
        """The tree of an ASDF reference, wholly in memory."""
        import asdf

        with self._reading(), asdf.open(self.path, lazy_load=False, memmap=False) as file:
            return file.tree

    @contextmanager
    def _open(self) -> Iterator[Any]:
        if self._held is not None:
            yield self._held
            return
        with self._reading():
            hdus = open_fits(self.path)
        with hdus:
            yield hdus

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self.path)

    def _part(self, hdus: Any) -> tuple[Lines, Lines] | None:
        """Rows and columns of this file that the exposure has; None if it is made for its subarray."""
        header, want = hdus[0].header, self.subarray
        image = next(h.header for h in hdus[1:] if h.header["XTENSION"] == "IMAGE" and h.header["NAXIS"] > 1)
        nx, ny = image["NAXIS1"], image["NAXIS2"]
        own = Subarray(header.get("SUBSTRT1", 1) - 1, header.get("SUBSTRT2", 1) - 1, nx, ny)
        if want.matches(own):
            return None
        rows, columns = want.rows - own.y, want.columns - own.x
        if min(rows.min(), columns.min()) < 0 or rows.max() >= ny or columns.max() >= nx:
            raise ReferenceMissing(
                f"{self.path.name} covers columns {own.x}-{own.x + nx} and rows {own.y}-{own.y + ny}, not "
                f"the subarray {want.columns.min()}-{want.columns.max() + 1}, "
                f"{want.rows.min()}-{want.rows.max() + 1}"
            )
        return rows, columns


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong in a library that reads is the file's fault, not that of a step or its exposure."""
    try:
        yield
    except _BROKEN as error:
        raise Unreadable.of(path, " ".join(str(error).split()) or type(error).__name__) from error


def bands(shape: tuple[int, ...], nplanes: int) -> Iterator[slice]:
    """Rows to take at a time of so many planes, (…, ny, nx), in single precision: all might be much."""
    ny, nx = shape[-2:]
    each = max(1, BAND // (nplanes * nx * np.dtype(np.float32).itemsize))
    return (slice(start, min(start + each, ny)) for start in range(0, ny, each))


def _runs(lines: Lines) -> list[slice]:
    """Lines that follow each other, of lines in order: stripes may be a thousand lines apart."""
    ends = np.flatnonzero(np.diff(lines) > 1) + 1
    return [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(lines, ends)]


def _taken(array: NDArray[Any], lines: Lines, axis: int) -> NDArray[Any]:
    """These lines of one of the last two axes: a view, if they follow each other."""
    if (np.diff(lines) == 1).all():
        some = slice(int(lines[0]), int(lines[-1]) + 1)
        return array[..., some] if axis == -1 else array[..., some, :]
    return array.take(lines, axis)


def translate(raw: PixelDQ, definitions: Table) -> PixelDQ:
    """Move each bit of a reference file to the standard bit of its name; unknown names are dropped."""
    moves = [(np.uint32(value), np.uint32(standard)) for value, standard in _moves(definitions)]
    largest = int(raw.max(initial=0))
    if largest < raw.size:  # a table of all values is shorter than the array
        codes = _moved(np.arange(largest + 1, dtype=np.uint32), moves)
        out = np.empty_like(raw)
        nx = raw.shape[-1]
        for row, moved in zip(raw.reshape(-1, nx), out.reshape(-1, nx), strict=True):
            moved[:] = codes[row]  # of all rows at once the indices would take twice their memory
        return out
    return _moved(raw, moves)


def _moves(definitions: Table) -> Iterator[tuple[int, int]]:
    """(bit of the file, standard bit) for each row of DQ_DEF whose name is known."""
    columns = {name.upper(): definitions[name] for name in definitions.dtype.names or ()}
    for name, value in zip(columns["NAME"], columns["VALUE"], strict=True):
        text = (name.decode() if isinstance(name, bytes) else str(name)).strip().upper()
        standard = flags.BITS.get(text) or flags.FORMER.get(text)
        if standard:
            yield int(value), standard


def _moved(raw: PixelDQ, moves: Sequence[tuple[np.uint32, np.uint32]]) -> PixelDQ:
    out = np.zeros_like(raw)
    for value, standard in moves:
        out[(raw & value) != 0] |= standard
    return out


class References(Mapping[str, Reference]):
    """The references of one step, by CRDS type; types that are N/A are not in it.

    `asked` has the types that the step looked for, found or not.
    """

    def __init__(self, files: Mapping[str, Path], subarray: Subarray) -> None:
        self._files = dict(files)
        self._subarray = subarray
        self.asked: set[str] = set()

    def __getitem__(self, kind: str) -> Reference:
        self.asked.add(kind)
        return Reference(kind, self._files[kind], self._subarray)

    def __contains__(self, kind: object) -> bool:
        self.asked.add(str(kind))
        return kind in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def within(self, subarray: Subarray) -> References:
        """The same references, cut to another subarray."""
        other = References(self._files, subarray)
        other.asked = self.asked
        return other


#: R_ keywords that are not the first six letters of the type.
R_KEYWORDS = {
    "chromcorr": "R_CHRCOR",
    "emicorr": "R_MIREMI",
    "filteroffset": "R_FILOFF",
    "sirskernel": "R_SIRSKL",
    "specwcs": "R_SPCWCS",
    "wavelengthrange": "R_WAVRAN",
}
WITHOUT_KEYWORD = frozenset({"apcorr", "abvegaoffset", "psf", "pictureframe"})


def reference_keywords(files: Mapping[str, str | None]) -> dict[str, str]:
    """R_ keywords of reference files by type, None where there is none (specification crds §8)."""
    keywords = {}
    for kind, name in files.items():
        if kind not in WITHOUT_KEYWORD:
            value = "N/A" if name is None else name if "/" in name else f"crds://{name}"
            keywords[R_KEYWORDS.get(kind, f"R_{kind[:6].upper()}")] = value
    return keywords
