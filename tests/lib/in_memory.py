"""Folders for tests on a memory file system, where there is one.

The queue waits for the disk at every commit. What these tests ask is in which order
things are written, so that they need not wait.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In place of pytest's own."""
    fast = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="calwebbd-", dir=fast))
    yield folder
    shutil.rmtree(folder)
