"""What a context needs and the loop has no time for, in a process of its own: ``python -m … NAME``.

It asks the server, brings mappings into the cache, hashes references, and compares contexts
over the database, which it only reads. The question comes as JSON on standard input, the
answer goes as JSON to standard output. A process that lives for one question also remembers
nothing of an older answer of the server.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.daemon.contexts.epochs import Change
from calwebbd.stages.crds import BAD_FILES, cache, keep, literal_context
from calwebbd.stages.crds.damage import Damaged
from calwebbd.stages.crds.fetch import Fetcher
from calwebbd.stages.crds.ledger import Corrupt
from calwebbd.stages.crds.server import Server
from calwebbd.stages.errors import ReferenceMissing

CONTEXT = re.compile(r"jwst_\d{4,}\.pmap")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """context : ``latest``, ``build`` or a literal one; active : that in force, "" if none is
    database : compared with the products in it, unless it is None
    """

    context: str
    active: str = ""
    as_jwst: str = ""
    database: str | None = None
    references: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an errand; `doubt` is why nothing did. bad : files that must not be used"""

    change: Change | None = None
    bad: tuple[str, ...] = ()
    damaged: tuple[Damaged, ...] = ()
    verified: int = 0
    doubt: str = ""


def refresh(asked: Asked) -> Answer:
    """Which context it is now, with all its mappings in the cache, and what it would change."""
    fetcher = _fetcher()
    context = _resolve(asked, fetcher)
    sums = keep.keep_context(context, fetcher)
    bad = _bad(fetcher)
    if rules := sorted(bad & sums.keys()):
        raise ReferenceMissing(f"{context} has rules on the list of bad files: {', '.join(rules)}")
    if fetcher is not None and cache.writable():
        keep.remember(fetcher.info)
    forbidden = sorted(bad.union(os.environ.get(BAD_FILES, "").split()))
    return Answer(change=compared(context, asked.database, _digest(sums)), bad=tuple(forbidden))


def compare(asked: Asked) -> Answer:
    """What a known context would change; no server is asked, but for rules that the cache lacks."""
    rules = _digest(keep.keep_context(asked.context))
    return Answer(change=compared(asked.context, asked.database, rules))


def verify(asked: Asked) -> Answer:
    """Hash the references of the cache, all or those asked for; fetch again what is corrupt."""
    fetcher = _fetcher()
    damaged, verified = [], 0
    for name, found in keep.verify_all(asked.references or keep.cached_references(), fetcher):
        if isinstance(found, Corrupt):
            mended, reason = _mend(name, fetcher, found.reason)
            damaged.append(Damaged(name, reason, found.good_at, mended))
        else:
            verified += 1
    return Answer(damaged=tuple(damaged), verified=verified)


def compared(context: str, database: str | None, rules: str = "") -> Change:
    """What a context would change of what the database knows."""
    if database is None or not Path(database).exists():
        return Change(context, rules)
    from calwebbd.daemon.contexts.impact import impact
    from calwebbd.queues.store import connect

    connection = connect(Path(database), readonly=True)
    try:
        found = impact(connection, context)
    finally:
        connection.close()
    return Change(
        context,
        rules,
        jobs=tuple(each.job for each in found.first),
        certified=tuple(found.certified),
        summary=found.summary(),
    )


def _digest(sums: Mapping[str, str]) -> str:
    """One SHA-1 for those of all rules."""
    return hashlib.sha1("".join(f"{name} {sums[name]}\n" for name in sorted(sums)).encode()).hexdigest()


def _resolve(asked: Asked, fetcher: Fetcher | None) -> str:
    """The context that is meant. Raises ReferenceMissing for an answer that is not to be believed."""
    if asked.context.endswith(".pmap"):
        return asked.context
    if fetcher is None:
        return literal_context(asked.context)
    if asked.context in {"build", "jwst-build"} and asked.as_jwst:
        found = fetcher.server.build_context(asked.as_jwst)
    else:
        key = "build_context" if "build" in asked.context else "latest_context"
        found = str(fetcher.info.get(key) or fetcher.info.get("operational_context"))
    if not CONTEXT.fullmatch(found):
        raise ReferenceMissing(f"{fetcher.server.url} says that the context is {found!r}")
    if (
        "latest" in asked.context
        and CONTEXT.fullmatch(asked.active)
        and _serial(found) < _serial(asked.active)
    ):
        raise ReferenceMissing(
            f"{fetcher.server.url} says that {found} is the latest context, but {asked.active} is newer"
        )
    return found


def _serial(context: str) -> int:
    return int(context.removeprefix("jwst_").removesuffix(".pmap"))


def _bad(fetcher: Fetcher | None) -> frozenset[str]:
    if fetcher is None:
        return cache.bad_files()
    bad = fetcher.info.get("bad_files_list") or []
    return frozenset(bad.split() if isinstance(bad, str) else map(str, bad))


def _mend(name: str, fetcher: Fetcher | None, reason: str) -> tuple[bool, str]:
    try:
        keep.keep(name, anew=True, fetcher=fetcher)
    except ReferenceMissing as error:
        return False, error.reason
    return True, reason


def _fetcher() -> Fetcher | None:
    url = cache.server_url()
    return None if url is None else Fetcher(Server(url))


ERRANDS: dict[str, Callable[[Asked], Answer]] = {"refresh": refresh, "compare": compare, "verify": verify}


def main(name: str, question: bytes) -> bytes:
    """Run one errand; whatever goes wrong is an answer."""
    try:
        answer = ERRANDS[name](msgspec.json.decode(question, type=Asked))
    except ReferenceMissing as error:
        answer = Answer(doubt=" ".join(error.reason.split()))
    except Exception as error:
        answer = Answer(doubt=f"{type(error).__name__}: {' '.join(str(error).split())}")
    return msgspec.json.encode(answer)


def _alone(*_: Any) -> None:
    """End with whoever asked."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    _alone()
    answered = main(sys.argv[1], sys.stdin.buffer.read())
    sys.stdout.buffer.write(answered)
