"""Files that are not yet known to be finished: pure, but for the look at each of them.

An event that its writer has closed a file makes it due at once. A file that was only
found, or made by a rename or link, is due when two looks `settle_s` apart see the same
size, time and inode; the clock is monotonic, for the times in files come from anywhere. One that then proves
unfinished is looked at less and less often, and given up when it has not grown for
`patience_s`; should it grow later, it is found anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from calwebbd.daemon.records import stamp

FIRST_S, LONGEST_S = 0.2, 60.0


@dataclass
class _Entry:
    due: float
    stamp: str | None = None  #: at the last look
    closed: bool = False
    heard: bool = False
    unfinished_since: float | None = None
    wait: float = FIRST_S


@dataclass(frozen=True)
class Due:
    """A file to be examined.

    last : if it is unfinished still, it is so for good; heard : its coming was no surprise
    """

    path: Path
    stamp: str
    last: bool
    heard: bool = True


class Settling:
    def __init__(
        self, settle_s: float, patience_s: float, look: Callable[[Path], str | None] = stamp
    ) -> None:
        self.settle_s = settle_s
        self.patience_s = patience_s
        self._look = look
        self._entries: dict[Path, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, path: Path) -> bool:
        return path in self._entries

    def see(self, path: Path, now: float, *, closed: bool = False, heard: bool = True) -> None:
        """There is a file; `closed` if its writer has just let go of it, `heard` if an event told of it."""
        entry = self._entries.setdefault(path, _Entry(due=now))
        entry.heard |= heard
        if closed:
            entry.closed = True
            entry.due = now

    def unfinished(self, path: Path, stamp: str, now: float) -> None:
        """The file was examined and may still be growing."""
        entry = _Entry(due=now + FIRST_S, stamp=stamp, heard=True, unfinished_since=now)
        self._entries.setdefault(path, entry)

    def due(self, now: float) -> list[Due]:
        """Files which are to be examined now; they are forgotten here until seen again."""
        ready = []
        for path in [path for path, entry in self._entries.items() if entry.due <= now]:
            found = self._look(path)
            if found is None:
                del self._entries[path]
            elif (last := self._judge(self._entries[path], found, now)) is not None:
                heard = self._entries.pop(path).heard
                ready.append(Due(path, found, last, heard))
        return ready

    def hurry(self) -> None:
        """Nothing else is left to do: unfinished files are not waited for."""
        for entry in self._entries.values():
            if entry.unfinished_since is not None:
                entry.unfinished_since = entry.due = -float("inf")

    def next_due(self) -> float | None:
        return min((entry.due for entry in self._entries.values()), default=None)

    def patient(self) -> bool:
        """Whether all that is left are unfinished files."""
        return all(entry.unfinished_since is not None for entry in self._entries.values())

    def _judge(self, entry: _Entry, found: str, now: float) -> bool | None:
        """Whether it is the last look, or None if the file must wait."""
        if entry.closed:
            return False
        if found != entry.stamp:
            entry.stamp, entry.unfinished_since, entry.wait = found, None, FIRST_S
            entry.due = now + self.settle_s
            return None
        if entry.unfinished_since is None:
            return False
        if now - entry.unfinished_since >= self.patience_s:
            return True
        entry.wait = min(2 * entry.wait, LONGEST_S)
        entry.due = min(now + entry.wait, entry.unfinished_since + self.patience_s)
        return None
