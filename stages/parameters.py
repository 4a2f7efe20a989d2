"""The parameters a step or pipeline runs with, and where each came from.

Weak to strong: code default, the step's ``pars-`` reference, the pipeline's
``pars-`` reference, then the layers that the caller gives (site configuration,
command line). Source: specification crds §7.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.step import Pipeline, Step

Settings = Mapping[str, Mapping[str, Any]]  # step, or pipeline -> parameter -> value


@dataclass(frozen=True)
class Layer:
    """Settings of one origin; `strict` if an unknown name in it is an error.

    kind : the CRDS type of a reference, ``""`` for other origins
    """

    origin: str
    settings: Settings
    strict: bool = True
    kind: str = ""


@dataclass(frozen=True)
class Effective:
    """What one step, or a pipeline itself, runs with.

    values : instance of its parameter dataclass
    origins : parameter -> name of the layer that set it
    skip : whether it is switched off, None for a pipeline; overrides : CRDS type -> file instead, or N/A
    """

    values: Any
    origins: Mapping[str, str]
    skip: bool | None
    overrides: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, list[Any]]:
        """Parameter -> [value, origin], for the records."""
        values = dataclasses.asdict(self.values)
        if self.skip is not None:
            values["skip"] = self.skip
        values |= {f"override_{kind}": file for kind, file in self.overrides.items()}
        return {name: [value, self.origins.get(name, "default")] for name, value in values.items()}


def check(pipelines: Sequence[Pipeline], layers: Sequence[Layer]) -> None:
    """Raise ParameterError for a strict setting of a step that none of the pipelines has.

    An official step that they lack in this version may be set to be skipped: it is.
    """
    known = {name for pipeline in pipelines for name in _settable(pipeline)}
    lacking = {name for pipeline in pipelines for name in pipeline.lacking}
    for layer in layers:
        for name, settings in layer.settings.items():
            skipped = {key: str(value).lower() for key, value in settings.items()} == {"skip": "true"}
            if not layer.strict or name in known or (name in lacking and skipped):
                continue
            if name in lacking:
                raise ParameterError(f"{layer.origin} sets step {name!r}, which this version does not have")
            steps = ", ".join(sorted(known))
            raise ParameterError(f"{layer.origin} sets step {name!r}, which is none of {steps}")


def concerning(pipeline: Pipeline, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Layers made for several pipelines, with the settings of this one's steps only."""
    own = _settable(pipeline) | set(pipeline.lacking)
    return tuple(
        replace(layer, settings={name: values for name, values in layer.settings.items() if name in own})
        for layer in layers
    )


def _settable(pipeline: Pipeline) -> set[str]:
    """Names of the steps, and of the pipeline itself if it has parameters."""
    own = {pipeline.name} if dataclasses.fields(pipeline.params) else set()
    return own | {step.name for step in pipeline.steps}


def effective(step: Step | Pipeline, layers: Sequence[Layer]) -> Effective:
    """Merge the layers, weak to strong, over the defaults of a step, or of a pipeline itself."""
    kinds = typing.get_type_hints(step.params)
    is_step = isinstance(step, Step)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    overrides: dict[str, str] = {}
    skip = step.skip if isinstance(step, Step) else None
    for layer in layers:
        whose = step.name if layer.strict else f"{layer.origin}: {step.name}"
        for name, raw in layer.settings.get(step.name, {}).items():
            if name == "skip" and is_step:
                skip = _convert(raw, bool, f"{whose}.skip")
            elif name.startswith("override_") and is_step:
                overrides[name.removeprefix("override_")] = str(raw)
            elif name in kinds:
                values[name] = _convert(raw, kinds[name], f"{whose}.{name}")
            elif layer.strict:
                raise ParameterError(f"{layer.origin} sets {step.name}.{name}, which it does not have")
            else:
                continue
            origins[name] = layer.origin
    return Effective(step.params(**values), origins, skip, overrides)


def parse_settings(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """``["jump.rejection_threshold=5"]`` as settings; values stay text until a step needs them."""
    settings: dict[str, dict[str, str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        step, dot, parameter = name.strip().partition(".")
        if not (equals and dot and step and parameter):
            raise ParameterError(f"{text!r} is not STEP.PARAM=VALUE")
        settings.setdefault(step, {})[parameter] = value.strip()
    return settings


def _convert(raw: Any, kind: Any, name: str) -> Any:
    """`raw` as a value of type `kind`; texts are read as the command line gives them."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    choices = sorted(typing.get_args(kind), key=lambda k: k is not type(None)) if union else [kind]
    for choice in choices:
        try:
            return _as_one(raw, choice)
        except (TypeError, ValueError):
            continue
    wanted = " or ".join(_words(choice) for choice in choices)
    raise ParameterError(f"{name} cannot be {raw!r}: it takes {wanted}")


def _words(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(kind)))}"
    return getattr(kind, "__name__", str(kind))


def _as_one(raw: Any, kind: Any) -> Any:
    if kind is type(None):
        if raw is None or str(raw).strip().lower() in ("none", ""):
            return None
    elif typing.get_origin(kind) is typing.Literal:
        if raw in typing.get_args(kind):
            return raw
    elif kind is bool:
        if str(raw).lower() in ("true", "false"):
            return str(raw).lower() == "true"
    elif kind is int and not isinstance(raw, bool):
        if float(raw) == int(float(raw)):
            return int(float(raw))
    elif kind is float and not isinstance(raw, bool):
        return float(raw)
    elif kind is str and raw is not None:
        return str(raw)
    elif typing.get_origin(kind) is tuple:
        parts = str(raw).replace(",", " ").split() if isinstance(raw, str) else list(raw)
        return tuple(_as_one(p, typing.get_args(kind)[0]) for p in parts)
    raise ValueError(raw)
