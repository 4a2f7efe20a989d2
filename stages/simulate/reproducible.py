"""Same seed, same bytes: what keeps the time and the chances of memory out of files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def dated(model: type[Any], date: str) -> type[Any]:
    """The data model with a fixed DATE instead of the time of writing."""

    def on_save(self: Any, path: str) -> None:
        model.on_save(self, path)
        self.meta.date = date

    # of the same name, because it becomes DATAMODL
    return type(model.__name__, (model,), {"on_save": on_save})


def settle(path: Path) -> None:
    """Rewrite an ASDF file without what differs from one process to the next.

    The library dates entries of the history, and lists the extensions it used as they
    come out of a set of objects; entries already there keep their places.
    """
    import asdf

    with asdf.open(path, lazy_load=False, memmap=False) as file:
        history = file.tree["history"]
        history["extensions"].sort(key=lambda entry: entry["extension_uri"])
        for entry in history["entries"]:
            entry["time"] = datetime(2026, 1, 1, tzinfo=UTC)
        file.write_to(path)
