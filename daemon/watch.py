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

import logging
from collections.abc import Iterable
from pathlib import Path

from watchdog.observers import Observer

from calwebbd.daemon.config import Root
from calwebbd.daemon.hints import Overflow
from calwebbd.daemon.roots import Territory
from calwebbd.daemon.sightings import Post
from calwebbd.daemon.watched import PERIODIC, Watched

_LOG_OF_OVERFLOWS = logging.getLogger("watchdog.observers.inotify_c")


class Watcher:
    """Watches folders, but for `excluded` ones below them. All methods are for one thread."""

    def __init__(
        self, roots: Iterable[Root], excluded: Iterable[Path], post: Post, *, canaries: bool = True
    ) -> None:
        wanted = {root.path: root for root in roots}
        self._post = post
        self._territory = Territory(tuple(wanted.values()), frozenset(excluded), canaries)
        self._overflow = Overflow(post)
        self._observer = Observer()
        self._watched = {path: self._watch(root) for path, root in wanted.items()}

    def start(self) -> None:
        """Arm, then scan."""
        _LOG_OF_OVERFLOWS.addHandler(self._overflow)
        self._observer.start()
        for watched in self._watched.values():
            watched.arm()
        self.scan("at the start")

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join()
        _LOG_OF_OVERFLOWS.removeHandler(self._overflow)
        for watched in self._watched.values():
            watched.end()

    def reconfigure(self, roots: Iterable[Root], canaries: bool) -> None:
        """Watch these from now on; what is new, or has new rules, is scanned."""
        wanted = {root.path: root for root in roots}
        self._territory.canaries = canaries
        self._territory.roots = tuple(wanted.values())
        for path in [path for path, old in self._watched.items() if wanted.get(path) != old.root]:
            self._watched.pop(path).leave()
        for path in [path for path in wanted if path not in self._watched]:
            self._watched[path] = watched = self._watch(wanted[path])
            watched.arm()
            watched.scan("its rules are new")

    def check(self) -> None:
        """Arm roots which have come, gone, been replaced or grown deaf since the last look."""
        for watched in self._watched.values():
            watched.check()

    def scan(self, reason: str = PERIODIC, path: Path | None = None) -> None:
        """Walk a root, or all of them, each in a thread; where one is at it, once more after that."""
        for watched in self._watched.values():
            if path in (None, watched.root.path):
                watched.scan(reason)

    def poll(self) -> None:
        """Scan the roots which have no events."""
        for watched in self._watched.values():
            if not watched.heard:
                watched.scan()

    @property
    def roots(self) -> tuple[Root, ...]:
        return self._territory.roots

    def alive(self) -> bool:
        return self._observer.is_alive()

    def _watch(self, root: Root) -> Watched:
        return Watched(root, self._territory, self._observer, self._post)
