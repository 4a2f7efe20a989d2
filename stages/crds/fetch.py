"""Bring files of CRDS into the cache: one writer at a time, whole and verified or not at all.

A file is written beside its place as ``.NAME.part``, under the lock that the crds package
takes as well (``NAME.lock``); what is there of an earlier attempt is continued. Only when
its size and SHA-1 are those of the server's file information is it renamed to its name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from calwebbd.stages.crds import cache
from calwebbd.stages.crds.server import Refused, Server, ServerError, Sum, folder_url, sums_of
from calwebbd.stages.errors import ReferenceMissing

SPARE = 64 * 2**20  #: bytes that stay free on the disk


@dataclass(frozen=True)
class Patience:
    """attempts : at one file; first_s : pause after the first, doubled up to `longest_s`
    lock_s : for whoever else brings the same file
    """

    attempts: int = 6
    first_s: float = 1.0
    longest_s: float = 60.0
    lock_s: float = 4 * 3600.0

    def pause(self, attempt: int) -> float:
        return min(self.first_s * 2.0 ** (attempt - 1), self.longest_s) * (1.0 + 0.25 * random.random())


@dataclass
class Fetcher:
    """What the server said about itself is asked for once, unless it is given."""

    server: Server
    known: dict[str, Any] | None = None
    patience: Patience = field(default_factory=Patience)
    sleep: Callable[[float], None] = time.sleep

    @cached_property
    def info(self) -> dict[str, Any]:
        return self.known if self.known is not None else self.server.info()

    @cached_property
    def sums(self) -> dict[str, Sum]:
        return sums_of(self.info)

    def fetch(self, name: str, *, anew: bool = False) -> Path:
        """Path of a file in the cache, which it is brought into if it is not there.

        anew : replace what is there, unless it is what it must be
        Raises ReferenceMissing: ServerError, or that the cache is read-only or the disk is full.
        """
        target = cache.place(name)
        if target.exists() and not anew:
            return target
        if not cache.writable():
            raise ReferenceMissing(f"{name} is not in the CRDS cache, which is read-only")
        expected = self.sums.get(name)
        if expected is None:
            raise Refused(f"{name} is not a file that {self.server.url} knows")
        kind = "mapping" if name.endswith(cache.MAPPINGS) else "reference"
        url = folder_url(self.info, kind) + name
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target, self.patience.lock_s):
            if target.exists() and (not anew or measure(target) == expected):
                return target  # another brought it meanwhile
            self._bring(url, target, expected)
        return target

    def _bring(self, url: str, target: Path, expected: Sum) -> None:
        part = target.with_name(f".{target.name}.part")
        for attempt in range(1, self.patience.attempts + 1):
            try:
                self._continue(url, part, expected)
                break
            except Refused:
                raise
            except ServerError:
                if attempt == self.patience.attempts:
                    raise
            except OSError as error:
                raise ReferenceMissing(f"{target.name} cannot be written ({error.strerror})") from error
            self.sleep(self.patience.pause(attempt))
        part.chmod(0o644)
        os.replace(part, target)
        _sync(target.parent)

    def _continue(self, url: str, part: Path, expected: Sum) -> None:
        """Write what is missing of a part. Raises ServerError, after which it may be continued."""
        have = part.stat().st_size if part.exists() else 0
        if have > expected.size:
            part.unlink()
            have = 0
        free = os.statvfs(part.parent)
        if free.f_bavail * free.f_frsize < expected.size - have + SPARE:
            raise ReferenceMissing(f"there is no room for {url} ({expected.size} bytes) in {part.parent}")
        if have < expected.size:
            begins, chunks = self.server.bytes_of(url, have, expected.size)
            with part.open("r+b" if have else "wb") as file:
                file.truncate(begins)
                file.seek(begins)
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        size = part.stat().st_size
        if size < expected.size:
            raise ServerError(f"{url} ends after {size} of {expected.size} bytes")
        if not matches(found := measure(part), expected):
            part.unlink()
            raise ServerError(
                f"{url} is not what the server says it is: "
                f"SHA-1 {found.sha1}, {found.size} bytes, not {expected.sha1 or 'any'}, {expected.size} bytes"
            )


def matches(found: Sum, expected: Sum) -> bool:
    return found.size == expected.size and expected.sha1 in ("", found.sha1)


def measure(path: Path) -> Sum:
    """SHA-1 and size of a file as it is."""
    with path.open("rb") as file:
        return Sum(hashlib.file_digest(file, "sha1").hexdigest(), os.fstat(file.fileno()).st_size)


@contextmanager
def alone(target: Path, patience_s: float) -> Iterator[None]:
    """Hold the lock by which one process writes a file. Raises ReferenceMissing when that takes too long."""
    path = target.with_name(f"{target.name}.lock")
    latest = time.monotonic() + patience_s
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):  # its last holder may have removed what we have locked
                break
        except BlockingIOError:
            if time.monotonic() > latest:
                os.close(descriptor)
                raise ReferenceMissing(f"another process has been bringing {target.name} for long") from None
            time.sleep(0.05)
        os.close(descriptor)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
