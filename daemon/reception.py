"""Receives what the watcher finds: wait until it stands still, examine it, hand it on."""

import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calwebbd.daemon.audit import Audit
from calwebbd.daemon.config import Watch
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.intake import Refused, Seen, Verify, examine
from calwebbd.daemon.manifest import listing
from calwebbd.daemon.settle import Due, Settling
from calwebbd.daemon.sightings import Found, Hint

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
        self.audit = Audit(time.time())
        self._dispatch = dispatch
        self._verify = verify
        self._post = post
        self._tell = tell
        self._settling = Settling(config.settle_seconds, config.patience_seconds)
        self._examining: set[Path] = set()
        self._manifests: set[Path] = set()  #: in hand; what lies with them has to wait for them
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="examine")

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    @property
    def stuck(self) -> bool:
        """Whether there is nothing in hand but unfinished files, if those."""
        return not self._examining and self._settling.patient()

    def reconfigure(self, config: Watch) -> None:
        """Patience of another length, for the files in hand too."""
        self._settling.settle_s, self._settling.patience_s = config.settle_seconds, config.patience_seconds

    def hint(self, hint: Hint) -> None:
        self.audit.noticed["events"] += 1
        self._expect(hint.path)
        self._settling.see(hint.path, time.monotonic(), closed=hint.closed)

    def found(self, found: Found) -> None:
        """Most of what a scan finds is known already. What is new, an event should have told of."""
        now = time.monotonic()
        for path, stamp in found.files:
            standing = self._dispatch.records.standing(path, stamp)
            self.audit.sort(found.root, path, standing.name)
            if standing.look:
                self._expect(path)
                self._settling.see(path, now, heard=found.expected or not standing.new)
        found.handled.set()

    def look(self) -> None:
        """Have those files examined which have stood still."""
        now = time.monotonic()
        lost = []
        for due in self._settling.due(now):
            if due.path in self._examining or self._manifests_first(due.path):
                self._settling.see(due.path, now + 0.2)
            elif (standing := self._dispatch.records.standing(due.path, due.stamp)).look:
                if not due.heard:
                    lost.append(due.path)
                self._examining.add(due.path)
                future = self._threads.submit(examine, due.path, due.stamp, self._verify)
                future.add_done_callback(lambda done, due=due: self._post(_examined(due, done)))  # type: ignore[misc]
            else:
                self._manifests.discard(due.path)
                self.audit.settled(due.path, standing.name)
        self._manifests = {
            path for path in self._manifests if path in self._settling or path in self._examining
        }
        if lost:
            self.audit.noticed["only by scan"] += len(lost)
            self._tell("events lost", files=len(lost), first=str(lost[0]))

    def examined(self, examined: Examined) -> None:
        """Catalogue a whole file; quarantine a bad one, but give an unfinished one time."""
        due, answer = examined.due, examined.answer
        self._examining.discard(due.path)
        records = self._dispatch.records
        if isinstance(answer, Seen):
            self._dispatch.arrived(answer, time.time())
            standing = records.standing(due.path, answer.stamp).name
            self._tell("arrived", file=due.path.name, kind=answer.known.kind)
            if standing == "quarantined":
                self._tell("quarantined", file=due.path.name, reason=records.held(due.path))
        elif answer is None:
            standing = "changed meanwhile"
            self._settling.see(due.path, time.monotonic())
        elif answer.growing and not due.last:
            standing = "unfinished"
            self._settling.unfinished(due.path, due.stamp, time.monotonic())
        else:
            standing = "quarantined"
            if records.held(due.path) != answer.reason or answer.stamp:  # else it still cannot be read
                self._dispatch.refused(answer, time.time())
                self._tell("quarantined", file=due.path.name, reason=answer.reason)
        self.audit.settled(due.path, standing)

    def _expect(self, path: Path) -> None:
        if listing(path.name):
            self._manifests.add(path)

    def _manifests_first(self, path: Path) -> bool:
        """Whether a manifest that may name the file has yet to be read."""
        return path not in self._manifests and any(m.parent in path.parents for m in self._manifests)

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
