"""Whether each part of the service gets on: the supervisor's watchdog is fed only while all do."""

import time
from collections.abc import Callable


class Pulse:
    """Parts beat when they have done something; one that has not for too long is stalled."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: dict[str, float] = {}
        self._beats: dict[str, float] = {}

    def expect(self, part: str, within_s: float) -> None:
        """From now on, a beat at least so often."""
        self._limits[part], self._beats[part] = within_s, self._clock()

    def beat(self, part: str) -> None:
        self._beats[part] = self._clock()

    def stalled(self) -> list[str]:
        """Parts that have not beaten in time."""
        now = self._clock()
        return [part for part, limit in self._limits.items() if now - self._beats[part] > limit]
