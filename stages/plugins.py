"""Steps and pipelines of a site's own, found by their entry points.

A package that is installed beside calwebbd names them in its metadata:

* ``calwebbd.steps``: a step and its place in a pipeline, as `plugin` declares it. It is given what
  the steps there are given: an exposure, or all exposures of an association.
* ``calwebbd.programs``: a pipeline of its own, which is given all products of a program.

Their code is imported when a pipeline is loaded; what is installed is known without that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points, version
from typing import TypeVar

from calwebbd.stages.errors import PluginError
from calwebbd.stages.step import Pipeline, Plugin, Step

T = TypeVar("T")
STEPS, PROGRAMS = "calwebbd.steps", "calwebbd.programs"


def plugin(*, pipeline: str, after: str = "", before: str = "") -> Callable[[Step], Plugin]:
    """Give the step below its place: right after, or before, one of the pipeline's own steps.

    After a step that is skipped it is skipped as well. Of several at one place each is given what the one
    before it returned, in the order of the names of their entry points.
    """

    def place(step: Step) -> Plugin:
        return Plugin(step, pipeline, after, before)

    return place


@cache
def installed(group: str) -> tuple[EntryPoint, ...]:
    """What there is, by name, without importing it."""
    return tuple(sorted(entry_points(group=group), key=lambda each: each.name))


@cache
def code() -> str:
    """What identifies the code that calibrates: our version, and those of packages with plug-ins."""
    packages = {_origin(each) for group in (STEPS, PROGRAMS) for each in installed(group)}
    return " + ".join([version("calwebbd"), *sorted(packages)])


def with_plugins(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the steps that sites add to it. Raises PluginError if one has no place in it."""
    found = []
    for entry in installed(STEPS):
        loaded = _load(entry, Plugin)
        if loaded.pipeline == pipeline.name:
            _check(loaded, pipeline, entry)
            found.append(replace(loaded, step=replace(loaded.step, origin=_origin(entry))))
    if not found:
        return pipeline
    extended = replace(pipeline, plugins=tuple(found))
    return replace(extended, steps=tuple(extended.placed(pipeline.steps)))


@cache
def programs() -> dict[str, Pipeline]:
    """Pipelines that sites have for whole programs, by name. Raises PluginError."""
    found: dict[str, Pipeline] = {}
    for entry in installed(PROGRAMS):
        loaded = _load(entry, Pipeline)
        if not loaded.combines:
            raise PluginError(f"{_said(entry)} does not combine exposures, so it is no pipeline for programs")
        origin = _origin(entry)
        steps = tuple(replace(step, origin=origin) for step in loaded.steps)
        found[loaded.name] = replace(loaded, steps=steps, origin=origin)
    return found


def _load(entry: EntryPoint, kind: type[T]) -> T:
    try:
        loaded = entry.load()
    except Exception as error:
        raise PluginError(f"{_said(entry)} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(loaded, kind):
        raise PluginError(
            f"{_said(entry)} is {entry.value}, which is not declared as a {kind.__name__.lower()}"
        )
    return loaded


def _check(plugin: Plugin, pipeline: Pipeline, entry: EntryPoint) -> None:
    names = [step.name for step in pipeline.steps]
    if bool(plugin.after) == bool(plugin.before):
        raise PluginError(f"{_said(entry)} must be either after or before a step")
    place = plugin.after or plugin.before
    if place not in names:
        raise PluginError(f"{_said(entry)} is placed by {place!r}, which {pipeline.name} does not have")
    if plugin.step.name in names:
        raise PluginError(f"{_said(entry)} is named {plugin.step.name}, as a step of {pipeline.name} is")


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _said(entry: EntryPoint) -> str:
    return f"plug-in {entry.name} ({_origin(entry)})"
