"""A process that ends before one of its writes: what is left on disk is what a kill -9 leaves."""

from collections.abc import Iterator
from contextlib import contextmanager

from calwebbd.queues.store import Store


class Crash(BaseException):
    """The process ends here."""


class Fuse:
    """Counts writes, and crashes before the one of the given number."""

    def __init__(self, blows_at: int | None) -> None:
        self.writes = 0
        self._blows_at = blows_at

    def burn(self) -> None:
        if self.writes == self._blows_at:
            raise Crash
        self.writes += 1


class FragileStore(Store):
    """A store whose commits burn the fuse."""

    fuse: Fuse

    @contextmanager
    def transaction(self) -> Iterator[None]:
        before = self.connection.total_changes
        with super().transaction():
            yield
            if self._depth == 1 and self.connection.total_changes > before:
                self.fuse.burn()
