"""When files are left where they are: too much waits in the queue, or there is no room for products.

The clocks of associations stand still meanwhile, for their members may be among those files; they
do so too while no service runs, and after its start until the folders have been looked through.
"""

import time

from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.workshop import Tell, Workshop

LOOK_S = 1.0  #: between looks at the queue and the disk
FIRST_S = 60.0  #: clocks go on so long after the first scan, at the latest


class Pressure:
    """high : why no file is taken in, or ``""``."""

    def __init__(self, dispatch: Dispatch, workshop: Workshop, backlog: int, tell: Tell) -> None:
        self.high = ""
        self._dispatch = dispatch
        self._workshop = workshop
        self._backlog = backlog
        self._tell = tell
        self._looked = 0.0
        self._since = 0.0
        self._scanned: float | None = None

    def begin(self, now: float) -> None:
        """The service was away: its clocks stood still, and go back with the machine's."""
        alive = self._dispatch.records.setting("alive")
        away = now - float(alive or now)
        if away < 0:
            self._dispatch.shift("", away, now)  # leases were another life's
        else:
            self._dispatch.postpone(away, now)
        self.note(now)
        self._dispatch.records.set("intake", "", now)

    def note(self, now: float) -> None:
        """The service lives."""
        self._dispatch.records.set("alive", str(now), now)

    def look(self) -> str:
        """Look at queue and disk, if that was not just done; why no file may be taken in."""
        now = time.monotonic()
        if self._looked and now - self._looked < LOOK_S:
            return self.high
        self._looked = now
        found = self._reason()
        if bool(found) != bool(self.high):
            if found:
                self._since = now
                self._tell("intake waits", reason=found)
            else:
                self._dispatch.postpone(now - self._since, time.time())
                self._tell("intake goes on", seconds=round(now - self._since))
            self._dispatch.records.set("intake", found, time.time())
        self.high = found
        return found

    def clocks_go(self, scanned: bool, settled: bool) -> bool:
        """Whether groups may be judged.

        scanned : all folders have been looked through since the start
        settled : nothing that was found is still to be examined
        """
        if self._scanned is None and scanned:
            self._scanned = time.monotonic()
        if self._scanned is None or self.high:
            return False
        return settled or time.monotonic() - self._scanned > FIRST_S

    def _reason(self) -> str:
        waiting = self._dispatch.store.backlog()
        if waiting >= self._backlog:
            return f"{waiting} jobs wait in the queue"
        room = self._workshop.room_mb
        return "" if room > 0 else "there is no room for products on their disk"
