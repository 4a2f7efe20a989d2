"""Whether products are what the data models of the official package want."""

from __future__ import annotations

from pathlib import Path

from stdatamodels.jwst import datamodels

from calwebbd.stages.names import split_suffix


def models(folder: Path) -> dict[str, str]:
    """The data model of each kind of product in a folder, validated with everything strict, by its suffix."""
    found = {}
    for path in sorted(folder.glob("*.fits")):
        with datamodels.open(path, strict_validation=True, pass_invalid_values=False) as model:
            model.validate()
            suffix = split_suffix(path.name)[2] or path.stem.rpartition("_")[2].partition("-")[0]
            found[suffix] = type(model).__name__
    return found
