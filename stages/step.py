"""Steps and pipelines as declarations.

A step is a function of an exposure, its references and its parameters, bound to
the names by which JWST knows it. A pipeline is a function that applies steps
through a `Run`, bound to the list of its steps. The runner, the documentation
and the service read the declarations; they never look inside.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Skip(Exception):
    """A step that does not apply to this exposure: it is recorded as SKIPPED with this reason.

    only : of several exposures, those that the step does not apply to; it has done the others, in place
    """

    def __init__(self, reason: str, only: Sequence[Any] = ()) -> None:
        super().__init__(reason)
        self.only = only


class Failed(Exception):
    """A step tried in vain: it is recorded as FAILED with this reason; the exposure must be as it was."""


@dataclass(frozen=True)
class NoParams:
    """A step or pipeline without parameters of its own."""


@dataclass(frozen=True)
class Step:
    """One calibration step.

    name : the official name, as in ``--set jump.rejection_threshold=4``
    keyword : where its status is written; "" if nowhere
    references : CRDS types it needs; one that is N/A for the exposure skips the step
    optional : CRDS types it uses when there is one; of those it needs, which it does not wait for: a
        context that has no rule for the exposure skips the step
    names_all : whether the header names those of all its types, not just of those it looked for
    params : frozen dataclass with the official parameter names and defaults
    skip : True if the step is off unless asked for
    whole : whether it must have all integrations of a ramp; of others it may get a few at a time
    origin : package and version of a plug-in; "" for the steps of calwebbd
    """

    name: str
    keyword: str
    function: Callable[..., Any]
    references: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    params: type = NoParams
    skip: bool = False
    whole: Callable[[Any], bool] = lambda ramp: False
    names_all: bool = False
    origin: str = ""

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]

    @property
    def pars(self) -> str:
        """CRDS type of the step's parameter reference."""
        return f"pars-{self.name.replace('_', '')}step"

    def __call__(self, exposure: Any, references: Any = None, **params: Any) -> Any:
        """Apply the step by hand, as in a notebook: ``jump(ramp, references, rejection_threshold=5)``."""
        return self.function(exposure, references or {}, self.params(**params))


def step(
    *,
    keyword: str,
    references: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    params: type = NoParams,
    skip: bool = False,
    whole: bool | Callable[[Any], bool] = False,
    name: str | None = None,
    names_all: bool = False,
) -> Callable[[Callable[..., Any]], Step]:
    """Declare the function below as a step; its name is the step's unless `name` says otherwise."""

    def declare(function: Callable[..., Any]) -> Step:
        always = whole if callable(whole) else lambda ramp: bool(whole)
        called = name or function.__name__
        return Step(called, keyword, function, references, optional, params, skip, always, names_all)

    return declare


@dataclass(frozen=True)
class Plugin:
    """A step of a site's own, and its place: right after, or before, one of a pipeline's steps."""

    step: Step
    pipeline: str
    after: str = ""
    before: str = ""


@dataclass(frozen=True)
class Pipeline:
    """One pipeline: its steps in order, and the function that applies them.

    reads : suffixes of products it starts from
    writes : suffixes it may write
    lacking : official steps that this version does not have, with their keyword ("" if they
        write none); they are recorded as skipped
    combines : True if it takes a list of exposures, False if one
    params : frozen dataclass of the parameters of the pipeline itself, with the official names and defaults
    function : (run, exposure or exposures) -> products by suffix
    chosen : those of the steps that an exposure of this header is taken through, in order
    plugins : steps of the site, which are among the steps, too
    origin : package and version of a plug-in; "" for the pipelines of calwebbd
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    steps: tuple[Step, ...]
    function: Callable[..., Any]
    lacking: Mapping[str, str] = field(default_factory=dict)
    combines: bool = False
    chosen: Callable[[Any], Sequence[Step]] | None = None
    params: type = NoParams
    plugins: tuple[Plugin, ...] = ()
    origin: str = ""

    @property
    def pars(self) -> str:
        """CRDS type of the pipeline's parameter reference."""
        return f"pars-{self.name}pipeline"

    def steps_for(self, header: Any) -> Sequence[Step]:
        """The steps that an exposure of this header is taken through, in order."""
        return self.placed(self.chosen(header)) if self.chosen else self.steps

    def placed(self, steps: Iterable[Step]) -> list[Step]:
        """Its own steps with the plug-ins in between."""
        found: list[Step] = []
        for step in steps:
            found += [plugin.step for plugin in self.plugins if plugin.before == step.name]
            found.append(step)
            found += [plugin.step for plugin in self.plugins if plugin.after == step.name]
        return found

    def step(self, name: str) -> Step:
        """KeyError if the pipeline has no such step."""
        for candidate in self.steps:
            if candidate.name == name:
                return candidate
        raise KeyError(name)


def pipeline(
    *,
    reads: tuple[str, ...],
    writes: tuple[str, ...],
    steps: tuple[Step, ...],
    lacking: Mapping[str, str] | None = None,
    combines: bool = False,
    chosen: Callable[[Any], Sequence[Step]] | None = None,
    params: type = NoParams,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], Pipeline]:
    """Declare the function below as a pipeline; its name is the pipeline's unless `name` says otherwise."""

    def declare(function: Callable[..., Any]) -> Pipeline:
        called = name or function.__name__
        return Pipeline(called, reads, writes, steps, function, lacking or {}, combines, chosen, params)

    return declare
