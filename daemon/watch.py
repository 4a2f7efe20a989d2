"""Watched folders: events are hints, scans are the truth.

The watch is armed before the first scan, so that nothing falls between them. Events only
hasten what the next scan would find: the kernel drops them when too many come at once,
and says nothing when a folder is replaced or mounted over. So folders are scanned again
at the start, after an overflow, when a tree was moved in, when a root is no longer the
folder it was, and now and then. Everything found is posted; nothing here decides.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from watchdog import events
from watchdog.observers import Observer

from calwebbd.daemon.records import stamp_of
from calwebbd.daemon.route import wanted

BATCH = 500
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
    """Files that a scan has found, with their stamps."""

    files: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Scanned:
    """A scan of all roots has ended; `unreadable` folders are named."""

    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class Doubt:
    """Events may have been lost: scan."""

    reason: str


Post = Callable[[Hint | Found | Scanned | Doubt], None]


class Watcher:
    """Watches folders and all below them, but for `excluded` ones."""

    def __init__(self, roots: Iterable[Path], excluded: Iterable[Path], post: Post) -> None:
        self._roots: dict[Path, tuple[int, int] | None] = dict.fromkeys(roots)
        self._excluded = frozenset(excluded)
        self._post = post
        self._watches: dict[Path, Any] = {}
        self._handler = _Handler(self._excluded, post)
        self._overflow = _Overflow(post)
        self._observer = Observer()
        self._scanner: threading.Thread | None = None
        self._again = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Arm, then scan."""
        logging.getLogger("watchdog.observers.inotify_c").addHandler(self._overflow)
        self._observer.start()
        for root in self._roots:
            self._arm(root, _identity(root))
        self.scan()

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join()
        logging.getLogger("watchdog.observers.inotify_c").removeHandler(self._overflow)
        if self._scanner is not None:
            self._scanner.join()

    def check(self) -> None:
        """Arm roots which have come, gone or been replaced since the last look."""
        for root, before in self._roots.items():
            now = _identity(root)
            if now != before or self._deaf(root):
                self._arm(root, now)
                if before is not None:
                    self._post(Doubt(f"{root} is not the folder it was"))
                elif now is not None:
                    self._post(Doubt(f"{root} has come"))

    def scan(self) -> None:
        """Walk all roots in a thread; if one is at it, once more after that."""
        with self._lock:
            if self._scanner is not None and self._scanner.is_alive():
                self._again = True
                return
            self._scanner = threading.Thread(target=self._scan, name="scan", daemon=True)
            self._scanner.start()

    def alive(self) -> bool:
        return self._observer.is_alive()

    def _scan(self) -> None:
        while True:
            unreadable: list[str] = []
            for root in self._roots:
                for batch in _batches(_walk(root, self._excluded, unreadable)):
                    self._post(Found(batch))
            self._post(Scanned(tuple(unreadable)))
            with self._lock:
                if not self._again:
                    self._scanner = None
                    return
                self._again = False

    def _deaf(self, root: Path) -> bool:
        """A watched root whose thread has ended, as it does when the folder is deleted."""
        watch = self._watches.get(root)
        return watch is not None and not any(
            emitter.watch == watch and emitter.is_alive() for emitter in self._observer.emitters
        )

    def _arm(self, root: Path, identity: tuple[int, int] | None) -> None:
        old = self._watches.pop(root, None)
        if old is not None:
            with contextlib.suppress(KeyError, OSError):  # its thread may have ended by itself
                self._observer.unschedule(old)
        self._roots[root] = identity
        if identity is None:
            _log.warning("watched folder is missing", folder=str(root))
            return
        try:
            self._watches[root] = self._observer.schedule(
                self._handler, str(root), recursive=True, event_filter=_EVENTS
            )
        except OSError as error:  # the limit of watches, or gone again: the scans still find everything
            _log.warning("folder cannot be watched, only scanned", folder=str(root), reason=str(error))


class _Handler(events.FileSystemEventHandler):
    """Turns events into hints. Exceptions here would end the thread, so it only looks at names."""

    def __init__(self, excluded: frozenset[Path], post: Post) -> None:
        self._excluded = excluded
        self._post = post

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
        if wanted(path.name) and self._excluded.isdisjoint(path.parents):
            self._post(Hint(path, closed))


class _Overflow(logging.Handler):
    """watchdog tells of lost events only in its log."""

    def __init__(self, post: Post) -> None:
        super().__init__(logging.WARNING)
        self._post = post

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._post(Doubt("the kernel has dropped events"))


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(root)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _walk(root: Path, excluded: frozenset[Path], unreadable: list[str]) -> Iterator[tuple[Path, str]]:
    """Regular files with a name that is wanted, below a folder, depth first."""
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError as error:
        unreadable.append(f"{root} ({error.strerror})")
        return
    for entry in entries:
        path = root / entry.name
        with contextlib.suppress(FileNotFoundError):
            if entry.is_dir(follow_symlinks=False):
                if path not in excluded and not entry.name.startswith("."):
                    yield from _walk(path, excluded, unreadable)
            elif wanted(entry.name) and entry.is_file():
                yield path, stamp_of(entry.stat())


def _batches(files: Iterator[tuple[Path, str]]) -> Iterator[tuple[tuple[Path, str], ...]]:
    batch: list[tuple[Path, str]] = []
    for file in files:
        batch.append(file)
        if len(batch) == BATCH:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)
