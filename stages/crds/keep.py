"""The cache is kept whole: what is missing is fetched, what is corrupt is set aside and fetched again."""

from __future__ import annotations

import os
import pprint
import time
from collections.abc import Iterable, Iterator
from functools import cache as once
from pathlib import Path
from typing import Any

from calwebbd.stages.crds import cache, mapping
from calwebbd.stages.crds.damage import meet, met
from calwebbd.stages.crds.fetch import Fetcher, alone, matches
from calwebbd.stages.crds.ledger import Corrupt, Entry, Ledger
from calwebbd.stages.crds.server import Server, ServerError, Sum, sums_of
from calwebbd.stages.errors import ReferenceMissing


def keep(name: str, *, anew: bool = False, fetcher: Fetcher | None = None) -> Entry:
    """See that a reference is in the cache and is what it must be; what the ledger says of it.

    anew : hash it even if it was verified of late
    Raises ReferenceMissing, and Corrupt where it cannot be replaced.
    """
    path, ledger = cache.place(name), Ledger()
    if not path.exists():
        fetcher = fetcher or _fetcher()
        fetcher.fetch(name)
        return ledger.verify(path, lambda: fetcher.sums.get(name))
    try:
        return ledger.verify(path, lambda: _expected(name, fetcher), anew=anew)
    except Corrupt as error:
        meet(name, error.reason, error.good_at)
        if not cache.writable() or (cache.server_url() is None and fetcher is None):
            raise
        set_aside(path)
        entry = keep(name, fetcher=fetcher)
        meet(name, error.reason, error.good_at, mended=True)
        return entry


def doubt(path: Path, reason: str) -> str:
    """A reference cannot be read: hash it, and fetch it again if it is corrupt; what came of that.

    One that is just as CRDS has it is a matter for a person; it counts as damaged, too.
    """
    name = path.name
    if "CRDS_PATH" not in os.environ or cache.place(name) != path:
        return reason
    met.pop(name, None)
    try:
        keep(name, anew=True)
    except ReferenceMissing as error:
        return error.reason
    except OSError as error:
        meet(name, f"{name} cannot be read ({error.strerror})", time.time())
        return met[name].reason
    if name in met:
        return f"{met[name].reason}, and has been fetched again"
    meet(name, f"{reason}, though it is just what CRDS has", time.time())
    return met[name].reason


def keep_context(context: str, fetcher: Fetcher | None = None) -> dict[str, str]:
    """See that all mappings of a context are in the cache, whole; SHA-1 of each by name.

    Each must have the checksum that it states, and that of the server's file information, if that
    is known: a mapping that was corrected under its old name is fetched again.
    Raises ReferenceMissing.
    """
    from calwebbd.stages.crds import rules

    found: dict[str, str] = {}
    waiting = [context]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        read = _mapping(name, fetcher)
        found[name] = read.sha1
        waiting += read.mappings()
    rules.forget()
    return found


def _mapping(name: str, fetcher: Fetcher | None) -> mapping.Mapping:
    path = cache.place(name)
    reason = "is not in the cache"
    if path.exists():
        try:
            read = mapping.read(path)
            expected = _expected(name, fetcher)
            if expected is None or matches(Sum(read.sha1, path.stat().st_size), expected):
                return read
            reason = "is not what the server has under this name"
        except mapping.Malformed as error:
            reason = error.reason
    if fetcher is None and cache.server_url() is None:
        raise ReferenceMissing(f"{name} {reason}")
    if path.exists() and cache.writable():
        set_aside(path)
    return mapping.read((fetcher or _fetcher()).fetch(name))


def set_aside(path: Path) -> Path:
    """Give a corrupt file another name beside its own, so that nothing takes it; the newest is kept."""
    aside = path.with_name(f".{path.name}.corrupt")
    with alone(path, 60.0):
        if path.exists():
            os.replace(path, aside)
    return aside


def remember(info: dict[str, Any], context: str | None = None) -> None:
    """Write down in the cache what the server said, as the crds package does; bad files as well.

    context : what `latest` is from now on to whoever reads the record
    """
    path = cache.record()
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = info | {"status": "server", "connected": True}
    if context:
        facts |= {"latest_context": context, "operational_context": context}
    with alone(path, 60.0):
        _write(path, pprint.pformat(facts) + "\n")
        bad = info.get("bad_files_list") or []
        _write(path.with_name("bad_files.txt"), "\n".join(bad if isinstance(bad, list) else bad.split()))


def verify_all(names: Iterable[str], fetcher: Fetcher | None = None) -> Iterator[tuple[str, Entry | Corrupt]]:
    """Hash references that are in the cache, whatever the ledger says; mend those which are corrupt."""
    for name in names:
        path = cache.place(name)
        if not path.exists():
            continue
        good_at = entry.at if (entry := Ledger().get(name)) else 0.0
        try:
            yield name, Ledger().verify(path, lambda: _expected(name, fetcher), anew=True)  # noqa: B023
        except Corrupt as error:
            error.good_at = good_at
            yield name, error


def cached_references() -> list[str]:
    """Names of all references in the cache."""
    folder = cache.cache_path() / "references" / "jwst"
    return sorted(
        p.name
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(".") and not p.name.endswith(".lock")
    )


def _expected(name: str, fetcher: Fetcher | None) -> Sum | None:
    """What a file must be, as the server says now, or as the cache remembers it."""
    if fetcher is not None:
        return fetcher.sums.get(name)
    record = cache.record()
    return _remembered(str(record), record.stat().st_mtime_ns).get(name) if record.exists() else None


@once
def _remembered(record: str, changed: int) -> dict[str, Sum]:
    try:
        return sums_of(cache.server_info())
    except (ReferenceMissing, ServerError):
        return {}


def _fetcher() -> Fetcher:
    url = cache.server_url()
    if url is None:
        raise ReferenceMissing("there is no CRDS server (CRDS_SERVER_URL)")
    return Fetcher(Server(url))


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text)
    os.replace(scratch, path)
