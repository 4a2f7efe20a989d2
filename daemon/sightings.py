"""What the watch of folders has to tell: messages to the main loop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from calwebbd.daemon.scan import Tally

EVENTS = "events"  #: the mode of a root that is not only scanned


@dataclass(frozen=True)
class Hint:
    """Something has happened to a file; `closed` if it was let go of by its writer."""

    path: Path
    closed: bool


@dataclass(frozen=True)
class Found:
    """Files that a scan has found, with their stamps; `expected` if events need not have told of them.

    The scan waits until they have been `handled`: a folder may have more of them than memory.
    """

    root: Path
    files: tuple[tuple[Path, str], ...]
    expected: bool = True
    handled: Event = field(default_factory=Event, compare=False)


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
