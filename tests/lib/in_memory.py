"""Folders for tests on a memory file system, where there is one.

The queue waits for the disk at every commit. What these tests ask is in which order
things are written, so that they need not wait.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED_MEMORY = Path("/dev/shm")


def folder() -> "tempfile.TemporaryDirectory[str]":
    """For tests that need one for each example."""
    fast = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="calwebbd-", dir=fast)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In place of pytest's own."""
    with folder() as found:
        yield Path(found)
