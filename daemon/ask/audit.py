"""Is every file accounted for? The records are held against the folders, both ways."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from calwebbd.daemon.ask.reader import Answer, Reader
from calwebbd.daemon.config import Config
from calwebbd.daemon.scan import Tally, walk

_SHOWN = 1000  # findings that are told of one by one


class Audit(Reader):
    def audit(self, config: Config, *, disk: bool = False) -> Answer:
        """What became of every file, and all that does not add up.

        Of each watched folder all files are counted: on record, or ignored for a reason. Found wanting is a
        file that is not on record or has changed since; an input of which nothing has followed without a
        reason; a product that is not there, or is not what was made (with `disk` by its checksum, else by
        its size and time); and anything else in the output folder.
        """
        ignored: Counter[str] = Counter()
        findings = [*self._watched(config, ignored), *self._unexplained()]
        findings += self._products(config.folders.output, config.folders.scratch, disk)
        watch = self._setting("watch")
        return {
            "ok": not findings,
            "accounts": {row["account"]: row["n"] for row in self._all("accounts_by_kind")},
            "ignored": dict(ignored),
            "findings": len(findings),
            "examples": findings[:_SHOWN],
            "scans": json.loads(watch) if watch else None,
        }

    def _watched(self, config: Config, ignored: "Counter[str]") -> Iterator[Answer]:
        known = dict(map(tuple, self._each("stamps")))
        excluded = frozenset((config.folders.output, config.folders.state))
        for root in config.watched:
            tally = Tally()
            for path, stamp in walk(root, excluded, tally):
                if str(path) not in known:
                    yield _finding("not on record yet", path)
                elif known[str(path)] != stamp:
                    yield _finding("changed since it was looked at", path)
            ignored.update(tally.ignored)
            yield from (_finding("cannot be read", folder) for folder in tally.unreadable)

    def _unexplained(self) -> Iterator[Answer]:
        for row in self._all("unexplained"):
            yield _finding("nothing has followed from it, and no reason is on record", row["path"])

    def _products(self, output: Path, scratch: Path, disk: bool) -> Iterator[Answer]:
        """What is on disk is looked at where it lies, without asking for each of very many paths."""
        made = {path: (sha256, size) for path, sha256, size in self._each("products_on_record")}
        for path in _files(str(output), str(scratch)):
            if path not in made:
                yield _finding("is no product of this service", path)
            elif flaw := _flaw(path, *made.pop(path), disk=disk):
                yield _finding(flaw, path)
        for path, (sha256, size) in sorted(made.items()):
            if flaw := _flaw(path, sha256, size, disk=disk):
                yield _finding(flaw, path)


def _files(folder: str, scratch: str) -> Iterator[str]:
    """All files below a folder, by name; links to folders are none. What cannot be read is missed there."""
    with suppress(FileNotFoundError, PermissionError), os.scandir(folder) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                if entry.path != scratch:
                    yield from _files(entry.path, scratch)
            elif not entry.is_symlink() or not entry.is_dir():
                yield entry.path


def _flaw(path: str, sha256: str, size: int, *, disk: bool) -> str:
    """Why a product on disk is not what was made; empty if it is."""
    try:
        if disk:
            with open(path, "rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
            return "" if same else "its checksum is not that of what was made"
        found = os.stat(path).st_size
    except OSError as error:
        return f"was made but cannot be read: {error.strerror}"
    return "" if found == size else f"has {found} bytes, made were {size}"


def _finding(what: str, path: Any) -> Answer:
    return {"what": what, "path": str(path)}
