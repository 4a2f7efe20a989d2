"""The wall clock is set now and then, and a machine sleeps: it is held against one that only goes on."""

import time

JUMP_S = 5.0  #: less is what a clock that is kept right does


class WallClock:
    def __init__(self) -> None:
        self._ahead = _ahead()

    def jumped(self) -> float:
        """Seconds by which it was set forward since last asked, negative if back; 0 if it was not."""
        seconds = _ahead() - self._ahead
        if abs(seconds) < JUMP_S:
            return 0.0
        self._ahead += seconds
        return seconds


def _ahead() -> float:
    return time.time() - time.monotonic()
