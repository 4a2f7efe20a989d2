"""Arrays of FITS extensions, in native byte order, in one copy.

astropy finds the extensions and understands their headers; the pixels are read
straight into the array that is returned, which takes half the time and memory.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from calwebbd.stages.threads import in_threads

ROWS = 512  # that a thread reads at once
AT_ONCE = 512 << 10  # bytes of a conversion that a thread does at once: they stay in the processor's cache
UNSIGNED = {(16, 32768): np.uint16, (32, 2147483648): np.uint32}


def read_array(
    path: Path | str, hdu: Any, *, planes: slice | None = None, rows: slice | None = None
) -> NDArray[Any]:
    """The array of an open astropy image HDU, unsigned where BZERO says so, C-ordered.

    planes : of an array of three or more axes, counted through all but the last two; the
        result then has three axes
    rows : along the last axis but one
    """
    header = hdu.header
    shape = tuple(header[f"NAXIS{n}"] for n in range(header["NAXIS"], 0, -1))
    stored = np.dtype(f">{'f' if header['BITPIX'] < 0 else 'i'}{abs(header['BITPIX']) // 8}")
    if header["BITPIX"] == 8:
        stored = np.dtype(np.uint8)
    offset = hdu.fileinfo()["datLoc"]
    ny, nx = shape[-2:]
    first, last, _ = (rows or slice(None)).indices(ny)
    lead = shape[:-2]
    start, stop, _ = (planes or slice(None)).indices(int(np.prod(lead, dtype=int)))
    count = stop - start
    out = np.empty((count, last - first, nx), stored)

    def read_part(n: int, top: int, bottom: int) -> None:
        part = out[n, top:bottom]
        place = ((start + n) * ny + first + top) * nx * stored.itemsize
        _fill(file.fileno(), part, offset + place, path, hdu.name)
        part.byteswap(inplace=True)

    with open(path, "rb", buffering=0) as file:
        in_threads(
            [
                partial(read_part, n, top, min(top + ROWS, last - first))
                for n in range(count)
                for top in range(0, last - first, ROWS)
            ]
        )
    native = out.view(stored.newbyteorder("="))
    unsigned = UNSIGNED.get((header["BITPIX"], header.get("BZERO", 0)))
    if unsigned:
        native = native.view(unsigned)
        native ^= unsigned(header["BZERO"])  # adding BZERO is flipping the top bit
    elif header.get("BZERO", 0) or header.get("BSCALE", 1) != 1:
        native = native * header.get("BSCALE", 1) + header.get("BZERO", 0)
    return native if planes else native.reshape(*lead, last - first, nx)


class Planes:
    """The planes of an open image HDU, (ny, nx), to be read a few at a time, also once it is closed."""

    def __init__(self, path: Path | str, hdu: Any) -> None:
        header = hdu.header
        self.path, self.name = path, hdu.name
        self.shape = tuple(header[f"NAXIS{n}"] for n in range(header["NAXIS"], 0, -1))
        kind = "f" if header["BITPIX"] < 0 else "u" if header["BITPIX"] == 8 else "i"
        self.stored = np.dtype(f">{kind}{abs(header['BITPIX']) // 8}")
        self.zero = header.get("BZERO", 0)
        self.offset = hdu.fileinfo()["datLoc"]

    def read(self, out: NDArray[Any], first: int = 0, rows: NDArray[np.intp] | None = None) -> None:
        """Into `out`, (n, ...), what is from its `first` on, one by one: the raw whole is never there.

        out : planes of a cube, or rows of an image; or, of planes, these `rows`, which ascend
        Raises OSError if the file ends too early.
        """
        zero = out.dtype.type(self.zero)
        if rows is None:  # those of all planes lie together
            out, first = out.reshape(-1, out.shape[-1]), first * (out[0].size // out.shape[-1])
        many = max(1, AT_ONCE // (out[0].size * self.stored.itemsize))

        def read_some(start: int, stop: int) -> None:
            raw = np.empty((stop - start, *out.shape[1:]), self.stored)
            if rows is None:
                self._fill(file.fileno(), raw, first + start)
            else:
                for n, plane in enumerate(raw):
                    self._fill_rows(file.fileno(), plane, rows + (first + start + n) * self.shape[-2])
            if out.dtype.kind == "u":  # adding the zero is flipping the top bit
                out[start:stop] = raw.view(raw.dtype.str.replace("i", "u"))
                out[start:stop] ^= zero
            elif not zero:
                out[start:stop] = raw
            else:
                np.add(raw, zero, out=out[start:stop], casting="unsafe")

        with open(self.path, "rb", buffering=0) as file:
            starts = range(0, len(out), many)
            in_threads([partial(read_some, n, min(n + many, len(out))) for n in starts])

    def _fill(self, descriptor: int, raw: NDArray[Any], first: int) -> None:
        """Read raw planes, or rows, of which this is the first."""
        _fill(descriptor, raw, self.offset + first * raw[0].nbytes, self.path, self.name)

    def _fill_rows(self, descriptor: int, raw: NDArray[Any], rows: NDArray[np.intp]) -> None:
        """Read raw rows, counted through all planes; those that follow each other at once."""
        starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            self._fill(descriptor, raw[start:stop], int(rows[start]))


def _fill(descriptor: int, array: NDArray[Any], offset: int, path: Path | str, name: str) -> None:
    """Read the array's bytes from `offset` on; any number of threads may do so at once."""
    view = array.data.cast("B")
    while len(view):
        got = os.preadv(descriptor, [view], offset)
        if not got:
            raise OSError(f"{path} ends inside extension {name}")
        view, offset = view[got:], offset + got


def read_table(hdu: Any) -> NDArray[np.void]:
    """Rows of an open table HDU as a plain structured array of native types."""
    data = hdu.data
    columns = [np.asarray(data[name]) for name in data.names]
    columns = [c if c.dtype.isnative else c.astype(c.dtype.newbyteorder("=")) for c in columns]
    rows = np.empty(len(data), [(n, c.dtype, c.shape[1:]) for n, c in zip(data.names, columns, strict=True)])
    for name, column in zip(data.names, columns, strict=True):
        rows[name] = column
    return rows


def read_column(path: Path | str, hdu: Any, name: str) -> NDArray[Any]:
    """A column of an open table HDU, as it is stored: nothing else of the table is ever in memory whole."""
    kind = hdu.columns.dtype.newbyteorder(">")
    count, offset = hdu.header["NAXIS2"], hdu.fileinfo()["datLoc"]
    out = np.empty(count, kind[name].newbyteorder("="))
    many = max(1, AT_ONCE // kind.itemsize)

    def read_some(start: int, stop: int) -> None:
        raw = np.empty(stop - start, kind)
        _fill(file.fileno(), raw.view(np.uint8), offset + start * kind.itemsize, path, hdu.name)
        out[start:stop] = raw[name]

    with open(path, "rb", buffering=0) as file:
        in_threads([partial(read_some, n, min(n + many, count)) for n in range(0, count, many)])
    return out


def open_fits(path: Path | str) -> Any:
    """An astropy HDUList whose data are not touched until asked for."""
    return fits.open(path, memmap=False, lazy_load_hdus=True, do_not_scale_image_data=True)
