"""Whether each part of the service gets on: the supervisor's watchdog is fed only while all do."""

import time
from collections.abc import Callable

import structlog

from calwebbd.daemon.notify import notify

FEED_S = 1.0  #: no more often
_log = structlog.get_logger(__name__)


class Pulse:
    """Parts beat when they have done something; one that has not for too long is stalled."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: dict[str, float] = {}
        self._beats: dict[str, float] = {}
        self._stalled: list[str] = []
        self._fed_at = 0.0

    def expect(self, part: str, within_s: float) -> None:
        """From now on, a beat at least so often."""
        self._limits[part], self._beats[part] = within_s, self._clock()

    def beat(self, part: str) -> None:
        self._beats[part] = self._clock()

    def stalled(self) -> list[str]:
        """Parts that have not beaten in time."""
        now = self._clock()
        return [part for part, limit in self._limits.items() if now - self._beats[part] > limit]

    def feed(self, state: str) -> None:
        """Tell the supervisor that we live and what we do; not if a part is stalled, but then which."""
        now = self._clock()
        if now - self._fed_at < FEED_S:
            return
        self._fed_at = now
        before, self._stalled = self._stalled, self.stalled()
        if stalled := self._stalled:
            if stalled != before:
                _log.error("stalled", parts=stalled)
            notify(f"STATUS=stalled: {', '.join(stalled)}", wait_s=0)
            return
        notify("WATCHDOG=1", f"STATUS={state}", wait_s=0)  # a supervisor that is slow does not make us so
