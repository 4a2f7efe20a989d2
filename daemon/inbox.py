"""What threads have to tell the main loop, which alone may touch the database."""

import contextlib
import os
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue one can wait for together with the pipes of workers."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[T] = SimpleQueue()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """Readable while something waits."""
        return self._read

    def post(self, item: T) -> None:
        """From any thread, or a signal handler."""
        self._queue.put(item)
        with contextlib.suppress(BlockingIOError):  # full of wake-ups: one is enough
            os.write(self._write, b"!")

    def drain(self) -> list[T]:
        """All that has come, in order."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 65536)
        items = []
        with contextlib.suppress(Empty):
            while True:
                items.append(self._queue.get_nowait())
        return items

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)
