"""Whether there is somewhere to write: jobs wait while there is not."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def cannot_write(folders: Iterable[Path]) -> str:
    """The first folder that cannot be written to, and why; empty if all can. They are made if they lack."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-") as file:
                file.write(b"\0" * 4096)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return f"cannot write to {folder}: {error.strerror}"
    return ""
