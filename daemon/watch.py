"""Watched folders: events are hints, scans are the truth.

The watch is armed before the first scan, so that nothing falls between them. Events only
hasten what the next scan would find: the kernel drops them when too many come at once,
and says nothing when a folder is replaced or mounted over, or another machine writes to
it. So folders are scanned again at the start, after an overflow, when a tree was moved
in, when a root is no longer the folder it was, and now and then; on network file systems
there are only scans, and more of them. Each scan of a folder that can be written to
begins with a canary, a small hidden file: the scan must see it and an event tell of it, or
the watch is armed anew. Everything found is posted; nothing here decides.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from watchdog import events
from watchdog.observers import Observer

from calwebbd.daemon import filesystems
from calwebbd.daemon.canary import NAME, Canary
from calwebbd.daemon.config import Root
from calwebbd.daemon.roots import owner, refusal, storable
from calwebbd.daemon.scan import Tally, walk

BATCH = 500
DEAF = 3  #: canaries in a row that nobody heard
EVENTS = "events"
PERIODIC = "now and then"  #: the scan that should find nothing which events have not told
_EVENTS = [
    events.FileClosedEvent,
    events.FileCreatedEvent,
    events.FileMovedEvent,
    events.DirMovedEvent,
    events.DirDeletedEvent,
]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Hint:
    """Something has happened to a file; `closed` if it was let go of by its writer."""

    path: Path
    closed: bool


@dataclass(frozen=True)
class Found:
    """Files that a scan has found, with their stamps; `expected` if events need not have told of them."""

    root: Path
    files: tuple[tuple[Path, str], ...]
    expected: bool = True


@dataclass(frozen=True)
class Scanned:
    """A scan of a root has ended.

    mode : ``events``, or why there are none; canary : what became of the last one
    """

    root: Path
    tally: Tally
    seconds: float
    mode: str
    canary: str


@dataclass(frozen=True)
class Doubt:
    """Events of a root, or of all, may have been lost: scan."""

    reason: str
    root: Path | None = None


Post = Callable[[Hint | Found | Scanned | Doubt], None]


class _Watched:
    """What is known of one root."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.identity: tuple[int, int] | None = None
        self.watch: Any = None
        self.mode = "not yet armed"
        self.only_scanned = False  #: for good
        self.canary = Canary(root.path / NAME)
        self.thread: threading.Thread | None = None
        self.again: str | None = None
        self.moved = time.monotonic()  #: when its scan last got on


class Watcher:
    """Watches folders, but for `excluded` ones below them. All methods are for one thread."""

    def __init__(
        self, roots: Iterable[Root], excluded: Iterable[Path], post: Post, *, canaries: bool = True
    ) -> None:
        self._watched = {root.path: _Watched(root) for root in roots}
        self._roots = tuple(watched.root for watched in self._watched.values())  # read by other threads
        self._excluded = frozenset(excluded)
        self.post = post
        self._canaries = canaries
        self._overflow = _Overflow(post)
        self._observer = Observer()
        self._lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        """Arm, then scan."""
        logging.getLogger("watchdog.observers.inotify_c").addHandler(self._overflow)
        self._observer.start()
        for watched in self._watched.values():
            self._arm(watched, _identity(watched.root.path))
        self.scan("at the start")

    def stop(self) -> None:
        self._stopping = True
        self._observer.stop()
        self._observer.join()
        logging.getLogger("watchdog.observers.inotify_c").removeHandler(self._overflow)
        for watched in self._watched.values():
            if watched.thread is not None:
                watched.thread.join(timeout=5.0)  # one that hangs in a file system ends with the process
            watched.canary.bury()

    def reconfigure(self, roots: Iterable[Root], canaries: bool) -> None:
        """Watch these from now on; what is new, or has new rules, is scanned."""
        self._canaries = canaries
        wanted = {root.path: root for root in roots}
        self._roots = tuple(wanted.values())
        for path in [path for path, old in self._watched.items() if wanted.get(path) != old.root]:
            old = self._watched.pop(path)
            self._disarm(old)
            old.canary.bury()
        for path in [path for path in wanted if path not in self._watched]:
            self._watched[path] = watched = _Watched(wanted[path])
            self._arm(watched, _identity(path))
            self.scan("its rules are new", path)

    def check(self) -> None:
        """Arm roots which have come, gone, been replaced or grown deaf since the last look."""
        for watched in self._watched.values():
            path, before = watched.root.path, watched.identity
            if watched.only_scanned:  # scans see for themselves; to look here might take for ever
                continue
            now = _identity(path)
            if now != before or self._deaf(watched):
                self._arm(watched, now)
                if before is not None:
                    self.post(Doubt("it is not the folder it was", path))
                elif now is not None:
                    self.post(Doubt("it has come", path))
            elif watched.watch is not None and watched.canary.overdue():
                self._listen_again(watched)

    def scan(self, reason: str = PERIODIC, path: Path | None = None) -> None:
        """Walk a root, or all of them, each in a thread; where one is at it, once more after that."""
        for watched in [w for p, w in self._watched.items() if path in (None, p)]:
            with self._lock:
                if watched.thread is not None and watched.thread.is_alive():
                    watched.again = reason
                    continue
                name = f"scan {watched.root.path}"
                watched.thread = threading.Thread(
                    target=self._scan, args=(watched, reason), name=name, daemon=True
                )
                watched.moved = time.monotonic()
                watched.thread.start()

    def poll(self) -> None:
        """Scan the roots which have no events."""
        for path, watched in self._watched.items():
            if watched.watch is None:
                self.scan(PERIODIC, path)

    def wants(self, path: Path) -> bool:
        """Whether scans would take this file, as far as its name and folders tell."""
        root = owner(self._roots, path)
        if root is None or refusal(root, path.name) or not self._excluded.isdisjoint(path.parents):
            return False
        folders = path.relative_to(root.path).parts[:-1]
        if any(folder.startswith(".") or not storable(folder) for folder in folders):
            return False
        return root.links or not path.is_symlink()

    @property
    def roots(self) -> tuple[Root, ...]:
        return self._roots

    def alive(self) -> bool:
        return self._observer.is_alive()

    def stalled(self, seconds: float) -> list[Path]:
        """Roots whose scan has not got on for so long, as happens when a file system hangs."""
        now = time.monotonic()
        busy = [w for w in self._watched.values() if w.thread is not None and w.thread.is_alive()]
        return [watched.root.path for watched in busy if now - watched.moved > seconds]

    def _scan(self, watched: _Watched, reason: str) -> None:
        while True:
            self._walk(watched, reason)
            with self._lock:
                if watched.again is None or self._stopping:
                    watched.thread = None
                    return
                reason, watched.again = watched.again, None

    def _walk(self, watched: _Watched, reason: str) -> None:
        root, started, tally = watched.root, time.monotonic(), Tally()
        expected = reason != PERIODIC or watched.watch is None
        others = {other.path for other in self._roots} - {root.path}
        if self._canaries:
            watched.canary.sing()
        for batch in _batches(walk(root, self._excluded | others, tally)):
            watched.moved = time.monotonic()
            if self._stopping:
                return
            self.post(Found(root.path, batch, expected))
        if self._canaries:
            watched.canary.seen(tally.canary)
        seconds = time.monotonic() - started
        self.post(Scanned(root.path, tally, seconds, watched.mode, watched.canary.state(watched.mode)))

    def _listen_again(self, watched: _Watched) -> None:
        """The canary sang and nobody heard it."""
        if watched.canary.silent < DEAF:
            self._arm(watched, watched.identity)
            self.post(Doubt("its events do not come", watched.root.path))
        else:
            self._disarm(watched)
            self._only_scan(watched, "its events do not come")

    def _deaf(self, watched: _Watched) -> bool:
        """A watched root whose thread has ended, as it does when the folder is deleted."""
        return watched.watch is not None and not any(
            emitter.watch == watched.watch and emitter.is_alive() for emitter in self._observer.emitters
        )

    def _arm(self, watched: _Watched, identity: tuple[int, int] | None) -> None:
        self._disarm(watched)
        root, watched.identity, watched.only_scanned = watched.root, identity, False
        if identity is None:
            watched.mode = "is not there"
            _log.warning("watched folder is missing", folder=str(root.path))
            return
        if reason := _silence(root):
            self._only_scan(watched, reason)
            return
        handler = _Handler(self, watched.canary)
        try:
            watched.watch = self._observer.schedule(
                handler, str(root.path), recursive=root.recursive, event_filter=_EVENTS
            )
            watched.mode = EVENTS
        except OSError as error:  # the limit of watches, or gone again: the scans still find everything
            self._only_scan(watched, f"cannot be watched ({error.strerror})", look=True)

    def _only_scan(self, watched: _Watched, reason: str, *, look: bool = False) -> None:
        watched.mode, watched.only_scanned = reason, not look
        _log.warning("folder is only scanned", folder=str(watched.root.path), reason=reason)

    def _disarm(self, watched: _Watched) -> None:
        if watched.watch is not None:
            with contextlib.suppress(KeyError, OSError):  # its thread may have ended by itself
                self._observer.unschedule(watched.watch)
            watched.watch = None


class _Handler(events.FileSystemEventHandler):
    """Turns events into hints. Exceptions here would end the thread, so it only looks at names."""

    def __init__(self, watcher: Watcher, canary: Canary) -> None:
        self._watcher = watcher
        self._canary = canary
        self._post = watcher.post

    def on_closed(self, event: events.FileSystemEvent) -> None:
        self._hint(event.src_path, closed=True)

    def on_created(self, event: events.FileSystemEvent) -> None:
        self._hint(event.src_path, closed=False)

    def on_moved(self, event: events.FileSystemEvent) -> None:
        if event.is_directory:
            self._post(Doubt("a folder was moved"))
        else:
            self._hint(event.dest_path, closed=False)

    def on_deleted(self, event: events.FileSystemEvent) -> None:
        self._post(Doubt("a folder was deleted"))

    def _hint(self, name: str | bytes, *, closed: bool) -> None:
        path = Path(os.fsdecode(name))
        if path == self._canary.path:
            self._canary.heard()
        elif self._watcher.wants(path):
            self._post(Hint(path, closed))


class _Overflow(logging.Handler):
    """watchdog tells of lost events only in its log."""

    def __init__(self, post: Post) -> None:
        super().__init__(logging.WARNING)
        self._post = post

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._post(Doubt("the kernel has dropped events"))


def _silence(root: Root) -> str:
    """Why events are not to be relied on, if so."""
    if root.events is None:
        kind = filesystems.network(root.path)
        return f"lies on a network file system ({kind})" if kind else ""
    return "" if root.events else "events are switched off"


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(root)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _batches(files: Iterator[tuple[Path, str]]) -> Iterator[tuple[tuple[Path, str], ...]]:
    batch: list[tuple[Path, str]] = []
    for file in files:
        batch.append(file)
        if len(batch) == BATCH:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)
