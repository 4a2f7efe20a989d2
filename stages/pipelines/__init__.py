"""The pipelines by name; each is imported, with its steps and kernels, when it is asked for."""

from __future__ import annotations

from importlib import import_module

from calwebbd.stages import plugins
from calwebbd.stages.errors import ParameterError
from calwebbd.stages.step import Pipeline

#: in the order in which an exposure meets them
NAMES = ("guider", "dark", "detector1", "image2", "image3", "wfs-image3")


def load(name: str) -> Pipeline:
    """The pipeline of this name, with or without ``calwebb_``, and with the steps that sites add to it.

    Raises ParameterError if there is none, PluginError if a plug-in cannot be used.
    """
    plain = name.removeprefix("calwebb_")
    if plain in NAMES:
        return plugins.with_plugins(built_in(plain))
    if plain in plugins.programs():
        return plugins.programs()[plain]
    raise ParameterError(f"there is no pipeline {name!r}, only {', '.join(names())}")


def names() -> tuple[str, ...]:
    """Of our pipelines and of those that sites have for whole programs."""
    return (*NAMES, *plugins.programs())


def built_in(plain: str) -> Pipeline:
    """One of NAMES, as it is without plug-ins."""
    module = plain.replace("-", "_")
    loaded = getattr(import_module(f"{__name__}.{module}"), module)
    if not isinstance(loaded, Pipeline):
        raise TypeError(f"{plain} is not declared as a pipeline")
    return loaded
