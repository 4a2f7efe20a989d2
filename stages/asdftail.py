"""Tell whether the ASDF extension, the last of a JWST file, is whole.

A file laid out in advance has its right size before its content, zeros at the end.
The metadata tree ends in a line of three dots; blocks follow, each with its length
and the MD5 of what it holds (ASDF 1.6, "Low-level file layout"), then an index.
"""

import hashlib
import struct

from calwebbd.stages.errors import InputError

_TREE_END = b"\n...\n"
_INDEX = b"#ASDF BLOCK INDEX"
_MAGIC = b"\xd3BLK"
_SIZES = struct.Struct(">HI4sQQQ16s")  # header size, flags, compression, allocated, used, data size, MD5
_STREAMED = 1  # flag of a block that runs to the end of the file


def flaw(body: bytes) -> str:
    """Say what is missing of an ASDF file; nothing if it is whole.

    A tree that begins elsewhere than with ``#ASDF`` is a flaw too. Raises InputError if a block is
    compressed: a few bytes might become very many.
    """
    if not body.startswith(b"#ASDF"):
        return "does not begin with #ASDF"
    at = body.find(_TREE_END)
    if at < 0:
        return "has no end of its metadata tree"
    at += len(_TREE_END)
    while body[at : at + 4] == _MAGIC:
        after = _after_block(body, at)
        if after < 0:
            return f"has an incomplete block at byte {at}"
        at = after
    rest = body[at:]
    if not rest or (rest.startswith(_INDEX) and rest.rstrip(b"\0").endswith(_TREE_END)):
        return ""
    return f"has no block at byte {at}"


def _after_block(body: bytes, at: int) -> int:
    """Where the block at `at` ends; -1 if it is not whole."""
    start = at + len(_MAGIC)
    if len(body) < start + _SIZES.size:
        return -1
    length, flags, compression, allocated, used, _, digest = _SIZES.unpack_from(body, start)
    if any(compression):
        raise InputError("its ASDF extension has a compressed block, which no product of JWST has")
    content = start + 2 + length
    if flags & _STREAMED:
        return len(body)
    if content + allocated > len(body) or used > allocated:
        return -1
    if any(digest) and hashlib.md5(body[content : content + used], usedforsecurity=False).digest() != digest:
        return -1
    return int(content + allocated)
