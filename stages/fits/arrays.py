"""Arrays of FITS extensions, in native byte order, in one copy.

astropy finds the extensions and understands their headers; the pixels are read
straight into the array that is returned, which takes half the time and memory.
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float

UNSIGNED = {(16, 32768): np.uint16, (32, 2147483648): np.uint32}


def read_array(
    path: Path | str, hdu: Any, *, planes: slice | None = None, rows: slice | None = None
) -> NDArray[Any]:
    """The array of an open astropy image HDU, unsigned where BZERO says so, C-ordered.

    planes : along the first axis, for arrays of three or more axes
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
    start, stop, _ = (planes or slice(None)).indices(lead[0]) if lead else (0, 1, 1)
    inner = int(np.prod(lead[1:], dtype=int))
    count = (stop - start) * inner
    out = np.empty((count, last - first, nx), stored)
    with open(path, "rb", buffering=0) as file:
        for n in range(count):
            file.seek(offset + ((start * inner + n) * ny + first) * nx * stored.itemsize)
            _fill(file, out[n], path, hdu)
    native = out.byteswap(inplace=True).view(stored.newbyteorder("="))
    unsigned = UNSIGNED.get((header["BITPIX"], header.get("BZERO", 0)))
    if unsigned:
        native = native.view(unsigned)
        native ^= unsigned(header["BZERO"])  # adding BZERO is flipping the top bit
    elif header.get("BZERO", 0) or header.get("BSCALE", 1) != 1:
        native = native * header.get("BSCALE", 1) + header.get("BZERO", 0)
    return native.reshape(((stop - start,) if lead else ()) + lead[1:] + (last - first, nx))


def read_planes(path: Path | str, hdu: Any, out: Float) -> None:
    """Read an image HDU into `out`, (nplanes, ny, nx) float32, one plane at a time.

    The whole is never in memory twice. Raises OSError if the file ends too early.
    """
    header = hdu.header
    kind = "f" if header["BITPIX"] < 0 else "i"
    raw = np.empty(out.shape[1:], f">{kind}{abs(header['BITPIX']) // 8}")
    with open(path, "rb", buffering=0) as file:
        file.seek(hdu.fileinfo()["datLoc"])
        for plane in out:
            _fill(file, raw, path, hdu)
            np.add(raw, np.float32(header.get("BZERO", 0)), out=plane, casting="unsafe")


def _fill(file: FileIO, array: NDArray[Any], path: Path | str, hdu: Any) -> None:
    view = array.data.cast("B")
    while len(view):
        got = file.readinto(view)
        if not got:
            raise OSError(f"{path} ends inside extension {hdu.name}")
        view = view[got:]


def read_table(hdu: Any) -> NDArray[np.void]:
    """Rows of an open table HDU as a plain structured array of native types."""
    data = hdu.data
    columns = [np.asarray(data[name]) for name in data.names]
    columns = [c if c.dtype.isnative else c.astype(c.dtype.newbyteorder("=")) for c in columns]
    rows = np.empty(len(data), [(n, c.dtype, c.shape[1:]) for n, c in zip(data.names, columns, strict=True)])
    for name, column in zip(data.names, columns, strict=True):
        rows[name] = column
    return rows


def open_fits(path: Path | str) -> Any:
    """An astropy HDUList whose data are not touched until asked for."""
    return fits.open(path, memmap=False, lazy_load_hdus=True, do_not_scale_image_data=True)
