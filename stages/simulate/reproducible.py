"""Same seed, same bytes: what keeps the time and the chances of memory out of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def dated(model: type[Any], date: str) -> type[Any]:
    """The data model with a fixed DATE instead of the time of writing."""

    def on_save(self: Any, path: str) -> None:
        model.on_save(self, path)
        self.meta.date = date

    # of the same name, because it becomes DATAMODL
    return type(model.__name__, (model,), {"on_save": on_save})


def ordered(path: Path) -> None:
    """Rewrite an ASDF file with the extensions it used in order.

    The library lists them as they come out of a set of objects, which differs from
    process to process; entries already there keep their places.
    """
    import asdf

    with asdf.open(path, lazy_load=False, memmap=False) as file:
        file.tree["history"]["extensions"].sort(key=lambda entry: entry["extension_uri"])
        file.write_to(path)
