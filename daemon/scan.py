"""A walk through a watched folder: the files that are ours, and a count of all others."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from calwebbd.daemon.canary import NAME
from calwebbd.daemon.config import Root
from calwebbd.daemon.records import stamp_of
from calwebbd.daemon.roots import refusal, storable


@dataclass
class Tally:
    """What a scan met.

    files : all that are no folders, each of them either found or ignored for a reason
    canary : whether it was there; it counts as no file
    """

    files: int = 0
    found: int = 0
    canary: bool = False
    ignored: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)

    def ignore(self, reason: str) -> None:
        self.files += 1
        self.ignored[reason] += 1


def walk(root: Root, excluded: frozenset[Path], tally: Tally) -> Iterator[tuple[Path, str]]:
    """Files that are taken, with their stamps, in the order in which the folders name them.

    A folder is read as it is walked: of one with very many files never more than a few are in memory.
    Links to files are followed if the root says so, links to folders never: they may lead in a circle.
    """
    yield from _walk(root, root.path, excluded, tally)


def _walk(root: Root, folder: Path, excluded: frozenset[Path], tally: Tally) -> Iterator[tuple[Path, str]]:
    for entry in _entries(root, folder, tally):
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if path in excluded or not root.recursive:
                continue
            if entry.name.startswith("."):
                tally.ignore("hidden folder")
            elif not storable(entry.name):
                tally.ignore("name is not UTF-8")
            else:
                yield from _walk(root, path, excluded, tally)
        elif entry.name == NAME:
            tally.canary |= folder == root.path
        elif reason := refusal(root, entry.name) or _flaw(root, entry):
            tally.ignore(reason)
        else:
            try:
                stamp = stamp_of(entry.stat())
            except OSError:  # gone, or a link to nothing since we looked
                continue
            tally.files += 1
            tally.found += 1
            yield path, stamp


def _entries(root: Root, folder: Path, tally: Tally) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        if folder == root.path or not isinstance(error, FileNotFoundError):  # a folder may go meanwhile
            tally.unreadable.append(f"{folder} ({error.strerror})")


def _flaw(root: Root, entry: "os.DirEntry[str]") -> str:
    """Why something with a good name is no file of ours."""
    if entry.is_symlink():
        if not root.links:
            return "link"
        if entry.is_dir():
            return "link to a folder"
        if not os.path.exists(entry):
            return "link to nothing"
    try:
        return "" if entry.is_file() else "not a file"
    except OSError:
        return "cannot be read"
