"""One watched folder: whether it is listened to, and the scans of it.

Events are not relied on where the file system is of a network, where they are switched off or
where the canaries of several scans in a row were not heard; such a root is only scanned.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from watchdog.observers.api import BaseObserver

from calwebbd.daemon import filesystems
from calwebbd.daemon.canary import NAME, Canary
from calwebbd.daemon.config import Root
from calwebbd.daemon.hints import KINDS, Handler
from calwebbd.daemon.roots import Territory
from calwebbd.daemon.scan import Tally, walk
from calwebbd.daemon.sightings import EVENTS, Doubt, Found, Post, Scanned

BATCH = 500
PATIENCE_S = 0.5  #: after which a scan looks whether it is still wanted
DEAF = 3  #: canaries in a row that nobody heard
PERIODIC = "now and then"  #: the scan that should find nothing which events have not told
_log = structlog.get_logger(__name__)


class Watched:
    """Methods are for one thread; each scan is in a thread of its own, one at a time."""

    def __init__(self, root: Root, territory: Territory, observer: BaseObserver, post: Post) -> None:
        self.root = root
        self._territory = territory
        self._observer = observer
        self._post = post
        self._identity: tuple[int, int] | None = None
        self._watch: Any = None
        self._mode = "not yet armed"
        self._only_scanned = False  #: for good
        self._canary = Canary(root.path / NAME)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again: str | None = None  #: the reason for the scan after this one

    @property
    def heard(self) -> bool:
        """Whether there are events."""
        return self._watch is not None

    def arm(self) -> None:
        """Listen to its events from now on, if that can be done."""
        self._arm(_identity(self.root.path))

    def check(self) -> None:
        """Arm it anew if it has come, gone, been replaced or grown deaf since the last look."""
        if self._only_scanned:  # scans see for themselves; to look here might take for ever
            return
        before, now = self._identity, _identity(self.root.path)
        if now != before or self._deaf():
            self._arm(now)
            if before is not None:
                self._post(Doubt("it is not the folder it was", self.root.path))
            elif now is not None:
                self._post(Doubt("it has come", self.root.path))
        elif self.heard and self._canary.overdue():
            self._listen_again()

    def leave(self) -> None:
        """Listen to it no longer; a scan of it goes on to its end."""
        self._disarm()
        self._canary.bury()

    def end(self) -> None:
        """The observer has stopped, and so does the scan."""
        if self._thread is not None:
            self._thread.join(timeout=5.0)  # one that hangs in a file system ends with the process
        self._canary.bury()

    def scan(self, reason: str = PERIODIC) -> None:
        """Walk through it in a thread; where one is at it, once more after that."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                self._again = reason
                return
            name = f"scan {self.root.path}"
            self._thread = threading.Thread(target=self._scan, args=(reason,), name=name, daemon=True)
            self._thread.start()

    @property
    def _stopping(self) -> bool:
        return not self._observer.should_keep_running()

    def _scan(self, reason: str) -> None:
        while True:
            self._walk(reason)
            with self._lock:
                if self._again is None or self._stopping:
                    self._thread = None
                    return
                reason, self._again = self._again, None

    def _walk(self, reason: str) -> None:
        root, started, tally = self.root, time.monotonic(), Tally()
        expected = reason != PERIODIC or not self.heard
        beyond = self._territory.beyond(root)
        if self._territory.canaries:
            self._canary.sing()
        for batch in _batches(walk(root, beyond, tally)):
            found = Found(root.path, batch, expected)
            self._post(found)
            while not found.handled.wait(PATIENCE_S):
                if self._stopping:
                    return
        if self._territory.canaries:
            self._canary.seen(tally.canary)
        seconds = time.monotonic() - started
        self._post(Scanned(root.path, tally, seconds, self._mode, self._canary.state(self._mode)))

    def _listen_again(self) -> None:
        """The canary sang and nobody heard it."""
        reason = "its events do not come"
        if self._canary.silent < DEAF:
            self._arm(self._identity)
            self._post(Doubt(reason, self.root.path))
        else:
            self._disarm()
            self._only_scan(reason)

    def _deaf(self) -> bool:
        """A watch whose thread has ended, as it does when the folder is deleted."""
        return self.heard and not any(
            emitter.watch == self._watch and emitter.is_alive() for emitter in self._observer.emitters
        )

    def _arm(self, identity: tuple[int, int] | None) -> None:
        self._disarm()
        self._identity, self._only_scanned = identity, False
        if identity is None:
            self._mode = "is not there"
            _log.warning("watched folder is missing", folder=str(self.root.path))
            return
        if reason := _silence(self.root):
            self._only_scan(reason)
            return
        handler = Handler(self._territory, self._canary, self._post)
        path, recursive = str(self.root.path), self.root.recursive
        try:
            self._watch = self._observer.schedule(handler, path, recursive=recursive, event_filter=KINDS)
            self._mode = EVENTS
        except OSError as error:  # the limit of watches, or gone again: the scans still find everything
            self._only_scan(f"cannot be watched ({error.strerror})", look=True)

    def _only_scan(self, reason: str, *, look: bool = False) -> None:
        """look : whether to look for a change of it, and then try again"""
        self._mode, self._only_scanned = reason, not look
        _log.warning("folder is only scanned", folder=str(self.root.path), reason=reason)

    def _disarm(self) -> None:
        if self.heard:
            with contextlib.suppress(KeyError, OSError):  # its thread may have ended by itself
                self._observer.unschedule(self._watch)
            self._watch = None


def _silence(root: Root) -> str:
    """Why events are not to be relied on, if so."""
    if root.events is None:
        kind = filesystems.network(root.path)
        return f"lies on a network file system ({kind})" if kind else ""
    return "" if root.events else "events are switched off"


def _identity(root: Path) -> tuple[int, int] | None:
    """Device and inode; None if it is not there."""
    try:
        found = os.stat(root)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _batches(files: Iterator[tuple[Path, str]]) -> Iterator[tuple[tuple[Path, str], ...]]:
    """A few at a time, each time by name: what was taken first is calibrated first."""
    while batch := sorted(islice(files, BATCH)):
        yield tuple(batch)
