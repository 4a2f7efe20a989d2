"""Write HDUs to a file a piece at a time: the whole of a cube need not be in memory, nor a swapped copy."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from calwebbd.stages.scratch import Cube
from calwebbd.stages.threads import in_threads

BLOCK = 2880  # bytes; FITS files consist of whole blocks
AT_ONCE = 16 << 20  # bytes of a cube that are read at once
PIECE = 1 << 20  # bytes that a thread converts at once: they stay in the processor's cache


def write_hdus(hdus: fits.HDUList, path: Path, cubes: Mapping[str, Cube]) -> None:
    """Write all HDUs; the data of those named in `cubes` are taken from there, not from the HDU.

    Arrays are native; integers are unsigned where BZERO says so. Raises OSError if the disk is full.
    """
    with open(path, "wb", buffering=0) as file:
        place = 0
        for hdu in hdus:
            header = hdu.header.tostring().encode("ascii")
            if not isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU):
                place = _put(file.fileno(), _table(hdu), place)
                continue
            place = _put(file.fileno(), header, place)
            data = cubes.get(hdu.name, hdu.data)
            if data is not None:
                _put_array(file.fileno(), data, place)
                place += -(-data.nbytes // BLOCK) * BLOCK
        os.ftruncate(file.fileno(), place)  # the padding of the last array


def _table(hdu: Any) -> bytes:
    """A table with its header, as astropy writes it behind a primary HDU, which takes one block."""
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
    return buffer.getvalue()[BLOCK:]


def _put_array(descriptor: int, data: NDArray[Any] | Cube, place: int) -> None:
    plane = data.nbytes // len(data)
    if isinstance(data, Cube):
        many = max(1, AT_ONCE // plane)
        for n in range(0, len(data), many):
            _put_array(descriptor, data.read(n, min(n + many, len(data))), place + n * plane)
        return
    flat = data.reshape(-1)
    many = PIECE // data.itemsize
    in_threads(
        [
            partial(_put_piece, descriptor, flat[n : n + many], place + n * data.itemsize)
            for n in range(0, flat.size, many)
        ]
    )


def _put_piece(descriptor: int, piece: NDArray[Any], place: int) -> None:
    if piece.dtype.kind == "u" and piece.itemsize > 1:  # subtracting BZERO is flipping the top bit
        piece = piece ^ piece.dtype.type(1 << (8 * piece.itemsize - 1))
    if sys.byteorder == "little" and piece.itemsize > 1:
        piece = piece.byteswap()
    _put(descriptor, np.ascontiguousarray(piece).view(np.uint8).data, place)


def _put(descriptor: int, content: bytes | memoryview, place: int) -> int:
    """Write at `place`; returns where that ends."""
    view = memoryview(content)
    while len(view):
        done = os.pwrite(descriptor, view, place)
        view, place = view[done:], place + done
    return place
