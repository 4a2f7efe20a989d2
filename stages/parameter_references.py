"""The ``pars-`` references of CRDS: parameters of steps and pipelines for exposures of some kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calwebbd.stages import crds
from calwebbd.stages.errors import Unreadable
from calwebbd.stages.exposure import Header
from calwebbd.stages.parameters import Layer, Settings
from calwebbd.stages.references import reading
from calwebbd.stages.step import Pipeline, Step


def parameter_references(pipeline: Pipeline, header: Header, context: str) -> list[Layer]:
    """Those that CRDS has for the steps and then for the pipeline, as layers.

    Raises Unreadable, with the step or pipeline that it is for, where one is no such file.
    """
    owners: list[Step | Pipeline] = [*pipeline.steps, pipeline]
    found = crds.best_references(header, [each.pars for each in owners], context)
    layers = []
    for owner in owners:
        if name := found[owner.pars]:
            try:
                settings = _settings(name, owner.name, context)
            except Unreadable as error:
                error.step = owner.name
                raise
            layers.append(Layer(name, settings, strict=False, kind=owner.pars))
    return layers


def _settings(name: str, owner: str, context: str) -> Settings:
    """Parameters by step, with those of whom the file is for."""
    from asdf.util import load_yaml  # plain values only: asdf's extensions take a second to load

    path = crds.locate(name, context)
    with reading(path):
        tree = _mapping(load_yaml(path), "its tree")
        steps = tree.get("steps") or []
        found = {
            each["name"]: _mapping(each.get("parameters") or {}, f"parameters of {each['name']}")
            for each in (_mapping(each, "one of its steps") for each in steps)
        }
        return found | {owner: _mapping(tree.get("parameters") or {}, "parameters")}


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} should be names and values, not {value!r:.60}")
    return value
