"""What watchdog's threads tell, made into hints and doubts.

Exceptions here would end such a thread, so names are looked at and nothing else is done.
"""

import logging
import os
from pathlib import Path

from watchdog import events

from calwebbd.daemon.canary import Canary
from calwebbd.daemon.roots import Territory
from calwebbd.daemon.sightings import Doubt, Hint, Post

#: those that a Handler hears
KINDS: list[type[events.FileSystemEvent]] = [
    events.FileClosedEvent,
    events.FileCreatedEvent,
    events.FileMovedEvent,
    events.DirMovedEvent,
    events.DirDeletedEvent,
]


class Handler(events.FileSystemEventHandler):
    """Hears the events of one root."""

    def __init__(self, territory: Territory, canary: Canary, post: Post) -> None:
        self._territory = territory
        self._canary = canary
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
        if path == self._canary.path:
            self._canary.heard()
        elif self._territory.wants(path):
            self._post(Hint(path, closed))


class Overflow(logging.Handler):
    """watchdog tells of lost events only in its log."""

    def __init__(self, post: Post) -> None:
        super().__init__(logging.WARNING)
        self._post = post

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._post(Doubt("the kernel has dropped events"))
