"""Which references have been verified, so that each is hashed once a week and not once a job.

There is a small file for each reference, below CALWEBBD_CACHE, in a folder named for the
cache it is about. An entry holds as long as size, time and inode stay what they were, and
for no longer than a week. The first sum of a file that no server vouches for is taken for
the true one.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from calwebbd.stages.crds import cache
from calwebbd.stages.crds.fetch import matches, measure
from calwebbd.stages.crds.server import Sum
from calwebbd.stages.errors import ReferenceMissing

WEEK_S = 7 * 86400.0
VERSION = "references-1"


class Corrupt(ReferenceMissing):
    """A file is not what it was, or not what the server says; `good_at` is when it last was (0: never)."""

    good_at = 0.0


class Entry(msgspec.Struct, frozen=True):
    """sha1, size : of the content; stamp : of the file; at : when it was verified, s since 1970
    corrupt : why it is not to be used; then `at` is when it was last well
    """

    sha1: str
    size: int
    stamp: str
    at: float
    corrupt: str = ""

    def holds(self, stamp: str, since: float) -> bool:
        """Whether just this file has been found well since then."""
        return not self.corrupt and self.stamp == stamp and self.at > since


def folder() -> Path:
    """Where the entries for this cache are."""
    own = Path.home() / ".cache"
    base = os.environ.get("CALWEBBD_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or own, "calwebbd")
    about = hashlib.sha256(str(cache.cache_path().resolve()).encode()).hexdigest()[:16]
    return Path(base) / f"{VERSION}-{about}"


@dataclass(frozen=True)
class Ledger:
    """now : clock, for tests to replace"""

    folder: Path = field(default_factory=folder)
    holds_s: float = WEEK_S
    now: Callable[[], float] = time.time

    def get(self, name: str) -> Entry | None:
        try:
            return msgspec.json.decode((self.folder / f"{name}.json").read_bytes(), type=Entry)
        except (OSError, msgspec.DecodeError):
            return None

    def entries(self) -> Iterator[tuple[str, Entry]]:
        for path in sorted(self.folder.glob("*.json")):
            name = path.name.removesuffix(".json")
            if (entry := self.get(name)) is not None:
                yield name, entry

    def verify(
        self, path: Path, expected: Callable[[], Sum | None] = lambda: None, *, anew: bool = False
    ) -> Entry:
        """The entry of a file that is what it must be, hashed only if there is no entry that holds.

        expected : what the server says of it, asked only when it matters
        anew : hash it whatever the entry says
        Raises Corrupt, after a note of it; OSError if the file cannot be read.
        """
        known, stamp, now = self.get(path.name), _stamp(path), self.now()
        if (
            known
            and not anew
            and not known.corrupt
            and known.stamp == stamp
            and now - known.at < self.holds_s
        ):
            return known
        found = measure(path)
        said = expected()
        if said is None and known is not None:
            said = Sum(known.sha1, known.size)
        if said is not None and not matches(found, said):
            good_at = known.at if known else 0.0
            reason = (
                f"{path.name} has SHA-1 {found.sha1} and {found.size} bytes, not {said.sha1} and {said.size}"
            )
            self._put(path.name, Entry(said.sha1, said.size, stamp, good_at, reason))
            error = Corrupt(f"{reason}: it is corrupt")
            error.good_at = good_at
            raise error
        entry = Entry(found.sha1, found.size, stamp, now)
        self._put(path.name, entry)
        return entry

    def _put(self, name: str, entry: Entry) -> None:
        """Write an entry whole or not at all; where that cannot be done, nothing is remembered."""
        scratch = self.folder / f".{name}.{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(msgspec.json.encode(entry))
            os.replace(scratch, self.folder / f"{name}.json")
        except OSError:
            with suppress(OSError):
                scratch.unlink()


def _stamp(path: Path) -> str:
    found = path.stat()
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"
