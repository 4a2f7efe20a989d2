"""Walk the HDUs of a FITS file by arithmetic, reading its headers only."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from calwebbd.stages.errors import Incomplete, InputError
from calwebbd.stages.header import CARD, Header, parse_cards, text

BLOCK = 2880  #: bytes; headers and data fill whole blocks (FITS 4.0, section 3.1)
LONGEST = 1000 * BLOCK  #: a header; those of JWST are thirty times shorter
MOST = 20_000  #: HDUs; the spectra of all slits of an exposure have a few thousand
_TYPES = frozenset({8, 16, 32, 64, -32, -64})


@dataclass(frozen=True)
class Hdu:
    name: str  #: EXTNAME; PRIMARY for the first
    header: Header
    start: int  #: of the data, in bytes from the beginning of the file
    nbytes: int  #: of the data, without their padding

    @property
    def end(self) -> int:
        """Where the next HDU begins."""
        return self.start + math.ceil(self.nbytes / BLOCK) * BLOCK

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes as numpy orders them: NAXISn … NAXIS1."""
        return axes(self.header)[::-1]


def walk(file: BinaryIO, size: int) -> Iterator[Hdu]:
    """Yield every HDU of a file of `size` bytes; they fill it to the last byte.

    Raises
    ------
    Incomplete
        The file ends within a header or within data, or is zero where a header must be.
    InputError
        It is no FITS file, bytes stand between its HDUs which no header holds, or it has
        more or longer headers, or stranger ones, than any file of JWST.
    """
    if size == 0:
        raise Incomplete("is empty")
    start = 0
    for _ in range(MOST):
        if start >= size:
            return
        hdu = _hdu_at(file, start)
        if hdu.end > size:
            raise Incomplete(f"ends at byte {size}, but the data of {hdu.name} end at byte {hdu.end}")
        yield hdu
        start = hdu.end
    if start < size:
        raise InputError(f"has more than {MOST} HDUs")


def axes(header: Header) -> tuple[int, ...]:
    """NAXIS1 … NAXISn."""
    number = _count(header, "NAXIS")
    if number > 999:
        raise InputError(f"a header has NAXIS = {number}; FITS has no more than 999 axes")
    return tuple(_count(header, f"NAXIS{i}") for i in range(1, number + 1))


def _hdu_at(file: BinaryIO, start: int) -> Hdu:
    file.seek(start)
    cards = _cards(file, start)
    header = parse_cards(cards)
    name = text(header, "EXTNAME").upper() if start else "PRIMARY"
    bits = _count(header, "BITPIX", negative=True)
    if bits not in _TYPES:
        raise InputError(f"BITPIX of {name} is {bits}, which is no FITS type")
    if header.get("ZIMAGE") is True:
        raise InputError(f"{name} is a compressed image, which no product of JWST has")
    if header.get("GCOUNT", 1) != 1:
        raise InputError(f"{name} has GCOUNT = {header['GCOUNT']}, not 1")
    lengths = axes(header)
    heap = _count(header, "PCOUNT") if "PCOUNT" in header else 0
    elements = math.prod(lengths) + heap if lengths else 0
    return Hdu(name, header, file.tell(), abs(bits) // 8 * elements)


def _cards(file: BinaryIO, start: int) -> str:
    """Read blocks to the one which holds END; the file is left at the data."""
    opening = b"XTENSION=" if start else b"SIMPLE  ="
    blocks = []
    for at in range(start, start + LONGEST, BLOCK):
        block = file.read(BLOCK)
        if at == start and not (block or b" ").startswith(opening[: len(block) or 1]):
            _refuse(block, start)
        if b"\0" in block:
            raise Incomplete(f"is filled with zeros in the header that begins at byte {start}")
        if len(block) < BLOCK:
            raise Incomplete(f"ends at byte {at + len(block)}, inside the header that begins at byte {start}")
        if not block.isascii():
            raise InputError(f"has bytes at {at} that no FITS header holds")
        new = block.decode("ascii")
        blocks.append(new)
        if any(new[i : i + CARD].rstrip() == "END" for i in range(0, BLOCK, CARD)):
            return "".join(blocks)
    raise InputError(f"has no END in the first {LONGEST} bytes of the header that begins at byte {start}")


def _refuse(block: bytes, start: int) -> None:
    """Say what stands at `start` in place of a header."""
    if not block.strip(b"\0"):
        raise Incomplete(f"is filled with zeros from byte {start}")
    if start == 0:
        raise InputError(f"is not a FITS file: it begins with {block[:9]!r}, not 'SIMPLE  ='")
    raise InputError(f"has {block[:9]!r} at byte {start}, where an extension must begin")


def _count(header: Header, keyword: str, *, negative: bool = False) -> int:
    count = header.get(keyword)
    if not isinstance(count, int) or isinstance(count, bool) or (count < 0 and not negative):
        raise InputError(f"a header has {keyword} = {count}, not a whole number")
    return count
