"""Proof that no file was lost: what became of each that a scan met, and how files were noticed.

Of each watched folder, the files that its last scan met are catalogued, aliases of others,
in quarantine, still in hand, or ignored for a reason; these must add up to the number that
the scan itself counted. A file that a scan found although an event should have told of it
was lost by the events.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calwebbd.daemon.sightings import EVENTS, Scanned

IN_HAND = "in hand"
STANDINGS = ("catalogued", "aliases", "quarantined", IN_HAND)


@dataclass
class _Sorted:
    """The files of one scan of one root."""

    counts: Counter[str] = field(default_factory=Counter)
    in_hand: set[Path] = field(default_factory=set)

    def sort(self, path: Path, standing: str) -> None:
        if standing == IN_HAND:
            self.in_hand.add(path)
        else:
            self.counts[standing] += 1

    def settled(self, path: Path, standing: str) -> None:
        if path in self.in_hand:
            self.in_hand.remove(path)
            self.counts[standing] += 1


class Audit:
    """Kept by the main loop.

    noticed : how files came to be looked at; examined : what came of the looks
    """

    def __init__(self, now: float) -> None:
        self.noticed: Counter[str] = Counter()
        self.examined: Counter[str] = Counter()
        self._since = now
        self._scanning: dict[Path, _Sorted] = {}
        self._scanned: dict[Path, tuple[Scanned, _Sorted, float]] = {}
        self.changed = True

    def sort(self, root: Path, path: Path, standing: str) -> None:
        """A scan under way has met a file."""
        self._scanning.setdefault(root, _Sorted()).sort(path, standing)

    def settled(self, path: Path, standing: str) -> None:
        """A file that was looked at has come to this."""
        self.examined[standing] += 1
        self.changed = True
        if standing in STANDINGS:
            for done in [*self._scanning.values(), *(scan[1] for scan in self._scanned.values())]:
                done.settled(path, standing)

    def scanned(self, scan: Scanned, now: float) -> list[str]:
        """A scan has ended. Returns what is wrong with it, in sentences."""
        done = self._scanning.pop(scan.root, _Sorted())
        self._scanned[scan.root] = (scan, done, now)
        self.changed = True
        flaws = [f"cannot be read: {folder}" for folder in scan.tally.unreadable]
        if done.counts.total() + len(done.in_hand) != scan.tally.found:
            flaws.append(f"{scan.tally.found} files were found, but {done.counts.total()} accounted for")
        if scan.canary.startswith("not "):
            flaws.append(f"the canary was {scan.canary}")
        return flaws

    def forget(self, roots: set[Path]) -> None:
        """Only these are watched still."""
        self._scanned = {root: scan for root, scan in self._scanned.items() if root in roots}

    def told(self) -> dict[str, Any]:
        """All of it, plain."""
        return {
            "since": self._since,
            "noticed": dict(self.noticed),
            "examined": dict(self.examined),
            "roots": [_root(*scan) for _, scan in sorted(self._scanned.items())],
        }


def _root(scan: Scanned, done: _Sorted, at: float) -> dict[str, Any]:
    tally, counts = scan.tally, done.counts | Counter({IN_HAND: len(done.in_hand)})
    standings = {standing: counts[standing] for standing in STANDINGS}
    return {
        "folder": str(scan.root),
        "events": scan.mode == EVENTS,
        "mode": scan.mode,
        "canary": scan.canary,
        "scanned_at": at,
        "seconds": round(scan.seconds, 3),
        "seen": tally.files,
        **standings,
        "ignored": dict(tally.ignored),
        "unreadable": tally.unreadable,
        "adds_up": tally.files == sum(standings.values()) + tally.ignored.total(),
    }
