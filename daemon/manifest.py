"""Manifests: files that name others with their SHA-256, as ``sha256sum`` writes them.

A file that a manifest in its folder, or above, names is verified against it, and known to
be awaited until it comes.
"""

import re
from pathlib import Path, PurePosixPath

from calwebbd.daemon.roots import storable
from calwebbd.daemon.route import MANIFESTS, wanted
from calwebbd.stages.errors import Incomplete, InputError

LARGEST = 2**26  #: bytes; half a million names
_GNU = re.compile(r"(?P<escaped>\\?)(?P<sha256>[0-9a-fA-F]{64}) [ *](?P<name>.+)")
_BSD = re.compile(r"(?P<escaped>\\?)SHA256 \((?P<name>.+)\) = (?P<sha256>[0-9a-fA-F]{64})")
_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\\\": "\\"}


def read(path: Path) -> dict[Path, str]:
    """Path to SHA-256, of those files that would be calibrated.

    Raises InputError, of the first line that is wrong or names a file outside of the
    manifest's folder; Incomplete if the last line has no end.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise InputError(f"is larger than {LARGEST} bytes: not a manifest", file=path.name)
    text = content.decode(errors="surrogateescape")
    if text and not text.endswith("\n"):
        raise Incomplete("its last line has no end", file=path.name)
    awaited = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line or line.startswith("#"):
            continue
        found = _GNU.fullmatch(line) or _BSD.fullmatch(line)
        if found is None:
            raise InputError(f"line {number} is not a SHA-256 and a name", file=path.name)
        name = found["name"]
        if found["escaped"]:
            name = re.sub(r"\\[nr\\]", lambda escape: _ESCAPES[escape[0]], name)
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise InputError(f"line {number} names a file outside of its folder", file=path.name)
        if wanted(inside.name) and not listing(inside.name) and storable(name):
            awaited[path.parent / inside] = found["sha256"].lower()
    return awaited


def listing(name: str) -> bool:
    """Whether a file of this name is a manifest."""
    return name.endswith(MANIFESTS) or name == "SHA256SUMS"
