"""A small file that proves that events and scans of a folder work.

It is written before each scan; then an event has to tell of it, and the scan to see it.
Where the folder cannot be written to there is none. Nothing but this file is ever
written to a watched folder, and it is removed when the service stops.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

NAME = ".calwebbd-canary"
PATIENCE_S = 10.0  #: an event takes milliseconds


class Canary:
    """Written by the thread that scans, heard by that of the events, asked by the main loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen_by_scan = False
        self._sang_at: float | None = None
        self._alone = ""  #: why there is none
        self._heard = False
        self.silent = 0  #: songs in a row that were not heard

    def sing(self) -> None:
        """Write it anew; never through a link that somebody has put in its place."""
        self._heard = False
        try:
            _write(self.path)
        except OSError as error:
            self._alone, self._sang_at = error.strerror or str(error), None
            return
        self._alone, self._sang_at = "", time.monotonic()

    def heard(self) -> None:
        """An event has told of it."""
        self._heard, self.silent = True, 0

    def seen(self, by_scan: bool) -> None:
        """Whether the scan that followed saw it."""
        self.seen_by_scan = by_scan

    def overdue(self) -> bool:
        """Whether an event should have come by now; asked once a song."""
        if self._sang_at is None or self._heard or time.monotonic() - self._sang_at < PATIENCE_S:
            return False
        self._sang_at = None
        self.silent += 1
        return True

    def state(self, mode: str) -> str:
        """In a few words, for whoever asks."""
        if self._alone:
            return f"none ({self._alone})"
        if not self.seen_by_scan:
            return "not seen by the scan"
        if mode != "events":
            return "seen by the scan"
        return f"not heard {self.silent} times" if self.silent else "heard"

    def bury(self) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def _write(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644))
