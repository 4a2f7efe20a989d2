"""One service for one state folder, and how to tell whether another one lives."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunning(Exception):
    """Another service uses the state folder."""


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold the lock of a state folder; the kernel lets go of it however we end."""
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 100, 0).decode()
            raise AlreadyRunning(f"{state} is in use by process {holder}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def identity(pid: int | None = None) -> str:
    """``host:boot:pid:start``, never the same for two processes; start is empty for one that is no more."""
    pid = os.getpid() if pid is None else pid
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        # The name, in parentheses, may hold anything; the 20th field after it is the start time.
        start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        start = ""
    return f"{socket.gethostname()}:{boot}:{pid}:{start}"


def alive(worker: str) -> bool:
    """Whether the process of this identity lives; of another machine nobody can tell, so it does."""
    host, _, pid, _ = worker.rsplit(":", 3)
    return host != socket.gethostname() or identity(int(pid)) == worker
