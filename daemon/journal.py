"""Lines of the log go to systemd's journal with their names as fields, where stderr goes there.

``journalctl CALWEBBD_JOB=12`` then finds what ``calwebbd log --job 12`` finds in the file. The
protocol is that of https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
"""

import array
import errno
import fcntl
import json
import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any

SOCKET = "/run/systemd/journal/socket"
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def is_stderr() -> bool:
    """Whether systemd has connected stderr with the journal."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class JournalHandler(logging.Handler):
    """Sends what its formatter renders as a JSON object."""

    def __init__(self, path: str = SOCKET) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._send(b"".join(_encoded(*field) for field in fields(json.loads(self.format(record)))))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _send(self, content: bytes) -> None:
        """In one datagram, or if it is too long for that in a sealed file in memory."""
        try:
            self._socket.sendto(content, self._path)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            descriptor = os.memfd_create("calwebbd", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
            try:
                os.write(descriptor, content)
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
                self._socket.sendmsg([], [rights], 0, self._path)
            finally:
                os.close(descriptor)


def fields(line: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A line of the log as the journal's fields: its message for people, and each name by itself."""
    rest = {key: value for key, value in line.items() if key not in ("event", "level", "timestamp", "logger")}
    said = [f"{key}={value}" for key, value in rest.items() if key not in ("exception", "stack")]
    yield "MESSAGE", " ".join([str(line.get("event", "")), *said])
    yield "PRIORITY", str(_PRIORITIES.get(str(line.get("level")), 6))
    yield "SYSLOG_IDENTIFIER", "calwebbd"
    for key, value in line.items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"CALWEBBD_{_name(key)}", text


def _name(key: str) -> str:
    """Capitals, digits and underscores of ASCII are what the journal has for names."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in key.upper())[:55]


def _encoded(name: str, value: str) -> bytes:
    content = value.encode(errors="replace")
    if b"\n" not in content:
        return name.encode() + b"=" + content + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(content)) + content + b"\n"
