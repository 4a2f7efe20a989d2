"""When something that happens by the clock is due: pure. What a sleep or a stop has missed is due at once."""

import hashlib
import socket

DAY_S = 86400.0
RETRY_S = 3600.0  #: after a refresh that failed


def spread(host: str | None = None) -> float:
    """Seconds after the hour at which this machine begins: not all shall ask the server at once."""
    name = host or socket.gethostname()
    return float(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 3600)


def refresh_due(last: float | None, failed: float | None, now: float, hour: int, delay_s: float) -> bool:
    """Whether the daily refresh is to begin.

    last : when it last succeeded; failed : when it last failed since then; hour : UTC, and so much later
    """
    if failed is not None and 0 <= now - failed < RETRY_S:
        return False
    scheduled = now - (now - hour * 3600.0 - delay_s) % DAY_S
    return last is None or last < scheduled or last > now + DAY_S  # the clock was wrong


def again_due(last: float | None, now: float, every_s: float) -> bool:
    """Whether what is done every so many seconds is to be done again."""
    return last is None or now - last >= every_s or last > now + DAY_S
