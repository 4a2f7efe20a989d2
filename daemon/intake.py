"""Look at a file that stands still: is it whole, what is it, what does it hold?

Reads only, in a thread of its own; the catalogue is the business of `dispatch`.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calwebbd.daemon import manifest
from calwebbd.daemon.config import FOLDER
from calwebbd.daemon.records import Known, stamp
from calwebbd.daemon.route import POOL, keep
from calwebbd.stages.associations import Association, load_asn
from calwebbd.stages.associations.generate import of_candidates
from calwebbd.stages.associations.pool import read_pool
from calwebbd.stages.errors import Incomplete, InputError
from calwebbd.stages.verify import Facts

Verify = Callable[[Path], Facts]


@dataclass(frozen=True)
class Seen:
    """A whole file, unchanged while it was read.

    closed : when it got its content or its name here, whichever was later, s since 1970; its time of
        modification may have come with it from elsewhere
    asn, awaited, pool : what it holds, if it is an association, a manifest or a pool (associations by the
        names of their files)
    """

    known: Known
    stamp: str
    size: int
    asn: Association | None = None
    closed: float | None = None
    awaited: Mapping[Path, str] | None = None
    pool: Mapping[str, Association] | None = None


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used as it stands.

    stamp : empty if it could not be read, and so must be looked at again; growing : it may only be unfinished
    """

    path: Path
    stamp: str
    reason: str
    growing: bool


def examine(path: Path, before: str, verify: Verify) -> Seen | Refused | None:
    """Verify and hash a file whose stamp was `before`; None if it has changed or gone meanwhile."""
    try:
        asn = load_asn(path) if path.suffix == ".json" else None
        awaited = manifest.read(path) if manifest.listing(path.name) else None
        pool = of_candidates(read_pool(path)) if path.name.endswith(POOL) else None
        facts = verify(path) if asn is None and awaited is None and pool is None else None
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            found = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    except InputError as error:
        unread = isinstance(error.__cause__, OSError)
        return _refused(path, before, error.reason, growing=isinstance(error, Incomplete), unread=unread)
    except OSError as error:
        return _refused(path, before, f"cannot be read: {error.strerror}", growing=False, unread=True)
    if stamp(path) != before:
        return None
    known = Known(path, sha256, "asn" if asn else "pool" if pool is not None else "manifest", {})
    if facts is not None:
        known = Known(path, sha256, facts.kind, keep(facts.header) | {FOLDER: str(path.parent)})
    return Seen(known, before, found.st_size, asn, found.st_ctime, awaited, pool)


def _refused(path: Path, before: str, reason: str, *, growing: bool, unread: bool = False) -> Refused | None:
    """A reason found in a file that was changing under our eyes says nothing."""
    return Refused(path, "" if unread else before, reason, growing) if stamp(path) == before else None
