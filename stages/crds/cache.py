"""The cache of CRDS files: where each lies, and what the server said last.

Its layout is that of the crds package, which may share it (specification crds §6).
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

from calwebbd.stages.errors import ReferenceMissing

SERVERLESS = "https://crds-serverless-mode.stsci.edu"
MAPPINGS = (".pmap", ".imap", ".rmap")
#: names that CRDS gives; none leads out of the folder
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}")
FLAT = 20  #: so many entries of the references' folder mean that it has no folders


def cache_path() -> Path:
    """The CRDS cache: CRDS_PATH. Raises ReferenceMissing if that is not set."""
    path = os.environ.get("CRDS_PATH")
    if not path:
        raise ReferenceMissing("CRDS_PATH is not set, so there is no cache of reference files")
    return Path(path)


def server_url() -> str | None:
    """Where what is missing may be had: CRDS_SERVER_URL; None if there is no server."""
    url = os.environ.get("CRDS_SERVER_URL", "")
    return None if not url or "serverless" in url or "server-less" in url else url.rstrip("/")


def writable() -> bool:
    """Whether files may be brought into the cache; one on read-only storage is used as it is."""
    if os.environ.get("CRDS_READONLY_CACHE", "0").lower() not in {"", "0", "false"}:
        return False
    folder = cache_path()
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def place(name: str) -> Path:
    """Where a mapping or reference lies, or is to be put. Raises ReferenceMissing for what is no name."""
    if not NAME.fullmatch(name):
        raise ReferenceMissing(f"{name!r} is not a name of CRDS")
    cache = cache_path()
    if name.endswith(MAPPINGS):
        return cache / "mappings" / "jwst" / name
    folder = cache / "references" / "jwst"
    parts = name.split("_")
    own = folder / parts[1] / name if len(parts) > 2 else folder / name
    flat = folder / name
    if own.exists() or flat == own:
        return own
    return flat if flat.exists() or _flat(folder) else own


def _flat(folder: Path) -> bool:
    try:
        mode = (cache_path() / "config" / "jwst" / "ref_cache_subdir_mode").read_text().strip()
    except OSError:
        try:
            return len(os.listdir(folder)) > FLAT
        except OSError:
            return False
    return mode == "flat"


def record() -> Path:
    """The file that has what the server said."""
    return cache_path() / "config" / "jwst" / "server_config"


def server_info() -> dict[str, Any]:
    """What the server said last, as the cache remembers it. Read as data, never run.

    Raises ReferenceMissing if the cache has no such record.
    """
    path = record()
    try:
        return dict(ast.literal_eval(path.read_text()))
    except OSError as error:
        raise ReferenceMissing(f"the CRDS cache has no {path} ({error.strerror})") from error
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise ReferenceMissing(f"{path} is not a CRDS server record ({error})") from error


def contexts() -> list[str]:
    """Contexts whose top mapping is in the cache, oldest first."""
    return sorted(p.name for p in (cache_path() / "mappings" / "jwst").glob("jwst_*.pmap"))


def bad_files() -> frozenset[str]:
    """Names of files that must not be used, by what the server said last."""
    try:
        return frozenset(record().with_name("bad_files.txt").read_text().split())
    except OSError:
        return frozenset()
