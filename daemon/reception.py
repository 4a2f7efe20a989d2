"""Receives what the watcher finds: wait until it stands still, examine it, hand it on."""

import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calwebbd.daemon.config import Watch
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.intake import Refused, Seen, Verify, examine
from calwebbd.daemon.settle import Due, Settling
from calwebbd.daemon.watch import Found, Hint

Tell = Callable[..., None]


@dataclass(frozen=True)
class Examined:
    """What a thread found out about a file; None if it changed meanwhile."""

    due: Due
    answer: Seen | Refused | None


class Reception:
    """Lives in the main loop; files are read in threads, which post `Examined`."""

    def __init__(
        self, dispatch: Dispatch, verify: Verify, config: Watch, post: Callable[[Any], None], tell: Tell
    ) -> None:
        self._dispatch = dispatch
        self._verify = verify
        self._post = post
        self._tell = tell
        self._settling = Settling(config.settle_seconds, config.patience_seconds)
        self._examining: set[Path] = set()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="examine")

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    @property
    def stuck(self) -> bool:
        """Whether there is nothing in hand but unfinished files, if those."""
        return not self._examining and self._settling.patient()

    def hint(self, hint: Hint) -> None:
        self._settling.see(hint.path, time.monotonic(), closed=hint.closed)

    def found(self, found: Found) -> None:
        """Most of what a scan finds is known already."""
        now = time.monotonic()
        for path, stamp in found.files:
            if not self._dispatch.records.unchanged(path, stamp):
                self._settling.see(path, now)

    def look(self) -> None:
        """Have those files examined which have stood still."""
        now = time.monotonic()
        for due in self._settling.due(now):
            if due.path in self._examining:
                self._settling.see(due.path, now + 0.2)
            elif not self._dispatch.records.unchanged(due.path, due.stamp):
                self._examining.add(due.path)
                future = self._threads.submit(examine, due.path, due.stamp, self._verify)
                future.add_done_callback(lambda done, due=due: self._post(_examined(due, done)))  # type: ignore[misc]

    def examined(self, examined: Examined) -> None:
        """Catalogue a whole file; quarantine a bad one, but give an unfinished one time."""
        due, answer = examined.due, examined.answer
        self._examining.discard(due.path)
        if isinstance(answer, Seen):
            self._dispatch.arrived(answer, time.time())
            self._tell("arrived", file=due.path.name, kind=answer.known.kind)
        elif answer is None:
            self._settling.see(due.path, time.monotonic())
        elif answer.growing and not due.last:
            self._settling.unfinished(due.path, due.stamp, time.monotonic())
        else:
            self._dispatch.refused(answer, time.time())
            self._tell("quarantined", file=due.path.name, reason=answer.reason)

    def hurry(self) -> bool:
        """Wait for unfinished files no longer; False if there are none."""
        self._settling.hurry()
        return len(self._settling) > 0

    def next_due(self) -> float | None:
        return self._settling.next_due()


def _examined(due: Due, done: "Future[Seen | Refused | None]") -> Examined:
    """A file which the examination itself cannot bear is quarantined: the rest goes on."""
    error = done.exception()
    if error is None:
        return Examined(due, done.result())
    where = traceback.extract_tb(error.__traceback__)[-1]
    reason = f"cannot be examined: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    return Examined(due, Refused(due.path, due.stamp, reason, growing=False))
