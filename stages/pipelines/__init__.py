"""The pipelines by name; each is imported, with its steps and kernels, when it is asked for."""

from __future__ import annotations

from importlib import import_module

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.step import Pipeline

#: in the order in which an exposure meets them
NAMES = ("guider", "dark", "detector1", "image2", "image3", "wfs-image3")


def load(name: str) -> Pipeline:
    """The pipeline of this name, with or without ``calwebb_``. Raises ParameterError if there is none."""
    plain = name.removeprefix("calwebb_")
    if plain not in NAMES:
        raise ParameterError(f"there is no pipeline {name!r}, only {', '.join(NAMES)}")
    module = plain.replace("-", "_")
    loaded = getattr(import_module(f"{__name__}.{module}"), module)
    if not isinstance(loaded, Pipeline):
        raise TypeError(f"{plain} is not declared as a pipeline")
    return loaded
