"""Which files of a watched folder are ours to calibrate, by their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from calwebbd.daemon.config import Root
from calwebbd.daemon.route import wanted
from calwebbd.stages.names import parse

#: what browsers and copying programs call a file that is not yet whole
TEMPORARY = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", "~")
_PROGRAM = re.compile(r"jw(\d{5})")
_INSTRUMENTS = {"nrc": "nircam", "nrs": "nirspec", "nis": "niriss", "mir": "miri", "gui": "fgs"}


def refusal(root: Root, name: str) -> str:
    """Why a file of this name is passed over, in a word or two; empty if it is taken."""
    if name.startswith("."):
        return "hidden"
    if name.endswith(TEMPORARY):
        return "temporary"
    if not wanted(name):
        return "other name"
    if not storable(name):
        return "name is not UTF-8"
    if root.names and not any(fnmatchcase(name, pattern) for pattern in root.names):
        return "pattern"
    if root.programs and not _of_program(root, name):
        return "program"
    if root.instruments and not _of_instrument(root, name):
        return "instrument"
    return ""


def storable(name: str) -> bool:
    """Whether the records can hold it: names are bytes to the kernel, but text to us."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def owner(roots: Sequence[Root], path: Path) -> Root | None:
    """The watched folder that a file belongs to, of several the innermost; None if too deep for it."""
    above = path.parents
    inside = [root for root in roots if root.path in above]
    if not inside:
        return None
    root = max(inside, key=lambda root: len(root.path.parts))
    return root if root.recursive or root.path == path.parent else None


@dataclass
class Territory:
    """All watched folders together. Threads read it while it changes: each field is replaced as a whole.

    excluded : folders below them of which nothing is taken
    canaries : whether scans begin with one
    """

    roots: tuple[Root, ...]
    excluded: frozenset[Path] = frozenset()
    canaries: bool = True

    def wants(self, path: Path) -> bool:
        """Whether scans would take this file, as far as its name and folders tell."""
        root = owner(self.roots, path)
        if root is None or refusal(root, path.name) or not self.excluded.isdisjoint(path.parents):
            return False
        folders = path.relative_to(root.path).parts[:-1]
        if any(folder.startswith(".") or not storable(folder) for folder in folders):
            return False
        return root.links or not path.is_symlink()

    def beyond(self, root: Root) -> frozenset[Path]:
        """Folders that a scan of the root leaves out: the excluded ones, and other roots."""
        return self.excluded | ({other.path for other in self.roots} - {root.path})


def _of_program(root: Root, name: str) -> bool:
    found = _PROGRAM.match(name)
    return found is None or found[1] in {program.zfill(5) for program in root.programs}


def _of_instrument(root: Root, name: str) -> bool:
    """Associations and manifests name their files: those are asked one by one."""
    found = parse(name)
    if found is not None:
        instrument = _INSTRUMENTS.get(found.detector[:3], "")
    elif "_gs-" in name:
        instrument = "fgs"
    else:
        return not name.endswith(".fits")
    return instrument in {wanted.lower() for wanted in root.instruments}
