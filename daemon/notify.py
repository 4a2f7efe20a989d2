"""Tell systemd how the service does (sd_notify(3)): a datagram to NOTIFY_SOCKET."""

import os
import socket
from contextlib import suppress


def notify(*lines: str, wait_s: float = 1.0) -> None:
    """Send lines such as ``READY=1``; without a supervisor nothing happens.

    One that does not take them in this time will miss our WATCHDOG=1 and act on that; the service goes on.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with (
        suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.settimeout(wait_s)
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall("\n".join(lines).encode())


def watchdog_seconds() -> float | None:
    """How often the supervisor wants ``WATCHDOG=1`` at the least, or None."""
    usec = os.environ.get("WATCHDOG_USEC")
    pid = os.environ.get("WATCHDOG_PID")
    return int(usec) / 1e6 if usec and pid in (None, str(os.getpid())) else None
