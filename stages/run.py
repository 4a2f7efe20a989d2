"""Apply steps to exposures: parameters, references, status keywords and the record of it all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from calwebbd.stages import crds, memory
from calwebbd.stages.errors import CalibrationError, InputError, PluginError, ReferenceMissing
from calwebbd.stages.exposure import Catalogue, Exposure, Header, Ramp
from calwebbd.stages.members import LeftOut
from calwebbd.stages.parameter_references import parameter_references
from calwebbd.stages.parameters import Effective, Layer, effective
from calwebbd.stages.references import References, reference_keywords
from calwebbd.stages.step import Failed, Pipeline, Skip, Step
from calwebbd.stages.stream import in_parts, together
from calwebbd.stages.stripes import window

Status = Literal["COMPLETE", "SKIPPED", "FAILED"]
Files = Mapping[str, str | None]  #: reference files by type; None where there is none


@dataclass(frozen=True)
class StepRecord:
    """What one step did: its ending and why, its references and parameters, and the time it took, s.

    references : by type, ``N/A`` where there is none; of ``pars-`` types those that have parameters for it
    plugin : package and version of a step of the site's own
    """

    name: str
    keyword: str
    status: Status
    reason: str
    seconds: float
    references: Mapping[str, str]
    parameters: Mapping[str, Any]
    plugin: str = ""


class StopAfter(Exception):
    """The step after which the caller wanted to stop has run; carries what it returned."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


@dataclass
class Run:
    """One run of one pipeline on one exposure or association, in one literal context.

    header : that by which references are chosen; of an association, its first science member's
    layers : settings, weak to strong, without the ``pars-`` references
    report : called as (step name, "start" or status) for progress
    keep : called with (step, result) after each step that changed something, for ``--save-steps``
    save : writes a product, by suffix, that the next step would change
    begin : begins to write products that the steps to come leave as they are
    byproducts : what steps made beside their results, by suffix
    others : files of the association that are not science, by role: background, imprint, …
    left_out : science members that cannot be read; the pipeline adds others that it does not use
    """

    pipeline: Pipeline
    header: Header
    context: str
    layers: Sequence[Layer] = ()
    stop_after: str | None = None
    report: Callable[[str, str], None] = lambda step, state: None
    keep: Callable[[Step, Any], None] | None = None
    save: Callable[[str, Exposure], None] = lambda suffix, product: None
    begin: Callable[[str, Any], None] = lambda suffix, product: None
    records: list[StepRecord] = field(default_factory=list)
    byproducts: dict[str, Exposure | Catalogue | Sequence[Exposure]] = field(default_factory=dict)
    others: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    left_out: Sequence[LeftOut] = ()
    _settings: list[Layer] | None = None

    def record_lacking(self, exposures: Iterable[Exposure]) -> None:
        """Stamp the official steps that this version does not have as skipped."""
        for name, keyword in self.pipeline.lacking.items():
            if keyword:
                for exposure in exposures:
                    exposure.header[keyword] = "SKIPPED"
                self.records.append(StepRecord(name, keyword, "SKIPPED", "not in this version", 0.0, {}, {}))

    @cached_property
    def parameters(self) -> Effective:
        """Those of the pipeline itself."""
        return effective(self.pipeline, self.all_layers())

    def steps(self, steps: Iterable[Step], exposure: Any) -> Any:
        """Apply steps one after the other; to a ramp on disk where they can, to a part of it at a time."""
        if not (isinstance(exposure, Ramp) and exposure.stored):
            for step in steps:
                exposure = self.step(step, exposure)
            return exposure
        apart = bool(self.keep or self.stop_after or self.pipeline.plugins)
        for some in together(self.pipeline.placed(steps), exposure, apart=apart):
            if self._follows_skipped(some[0]):
                continue
            if some[0].whole(exposure) or all(self.settings(step).skip for step in some):
                for step in some:
                    exposure = self._step(step, exposure)
            else:
                exposure = self._in_parts(some, exposure)
        return exposure

    def _in_parts(self, steps: Sequence[Step], ramp: Ramp) -> Ramp:
        self.all_layers()  # once, not for each part
        plain = replace(self.pipeline, plugins=())  # they are among the steps already
        shown = replace(self, pipeline=plain, keep=None, stop_after=None, records=[])
        rest = replace(shown, report=lambda step, state: None)
        runs: list[Run] = []

        def apply(part: Ramp) -> Ramp:
            runs.append(replace(rest if runs else shown, records=[]))
            done: Ramp = runs[-1].steps(steps, part)
            return done

        ramp = in_parts(apply, ramp)
        for records in zip(*(run.records for run in runs), strict=True):
            self.records.append(replace(records[0], seconds=sum(r.seconds for r in records)))
        self._after(steps[-1], self.records[-1].status, ramp)
        return ramp

    def step(self, step: Step, exposure: Any, **inputs: Any) -> Any:
        """Apply one step to an exposure, or to a list of them, with the plug-ins around it.

        `inputs` go to the step's function as they are: other exposures that it uses.
        Returns what the last of them returns; the exposure itself if the step is skipped or fails.
        """
        for each in self.pipeline.placed([step]):
            if each is step:
                exposure = self._step(step, exposure, **inputs)
            elif not self._follows_skipped(each):
                exposure = self._step(each, exposure)
        return exposure

    def _follows_skipped(self, step: Step) -> bool:
        """Whether it is a plug-in after a step that was skipped; it is recorded as skipped then."""
        for plugin in self.pipeline.plugins:
            if plugin.step is step and plugin.after:
                ended = next(r.status for r in reversed(self.records) if r.name == plugin.after)
                if ended != "COMPLETE":
                    reason = f"{plugin.after} was {ended.lower()}"
                    self._record(step, self.settings(step), "SKIPPED", reason, 0.0, {})
                    return True
        return False

    def _step(self, step: Step, exposure: Any, **inputs: Any) -> Any:
        """Apply just this step, and record how it ended."""
        self.report(step.name, "start")
        start = time.perf_counter()
        settings = self.settings(step)
        files: Files = {}
        references = References({}, _first(exposure).subarray)
        status: Status = "COMPLETE"
        reason = ""
        skipped: Sequence[Any] = ()
        result = exposure
        try:
            if not settings.skip:
                files = self.files(step, settings)
            if reason := reason_to_skip(step, settings, files):
                raise Skip(reason)
            references = References(self._located(files), window(_first(exposure)))
            result = step.function(exposure, references, settings.values, **inputs)
        except Skip as skip:
            reason, skipped = str(skip), skip.only
            status = "COMPLETE" if skipped else "SKIPPED"
        except Failed as failed:
            reason, status = str(failed), "FAILED"
        except CalibrationError as error:
            error.step = error.step or step.name
            raise
        except Exception as error:
            if not step.origin:
                raise
            reason = f"plug-in of {step.origin}: {type(error).__name__}: {error}"
            raise PluginError(reason, step=step.name) from error
        unused = set() if step.names_all else set(step.optional) - references.asked
        files = {kind: name for kind, name in files.items() if kind not in unused}
        for each in _each(result):
            if step.keyword:
                each.header[step.keyword] = "SKIPPED" if any(each is one for one in skipped) else status
            each.header.update(reference_keywords(files))
            self.byproducts |= each.byproducts
            each.byproducts.clear()
        if not isinstance(exposure, Ramp) or step.whole(exposure):  # there were, or are, many arrays
            memory.release()
        self._record(step, settings, status, reason, time.perf_counter() - start, files)
        self._after(step, status, result)
        return result

    def begin_before(self, step: Step, suffix: str, product: Any) -> None:
        """Begin to write what a step only looks at; not if it might stamp or change it, or be the last."""
        if not (self.settings(step).skip or self.pipeline.plugins or self.stop_after):
            self.begin(suffix, product)

    def _after(self, step: Step, status: Status, result: Any) -> None:
        if self.keep and status == "COMPLETE" and step.keyword:  # one without leaves the exposure as it is
            self.keep(step, result)
        if step.name == self.stop_after:
            raise StopAfter(result)

    def files(self, step: Step, settings: Effective) -> Files:
        """Which reference files a step has; an override N/A takes one away."""
        wanted = [k for k in step.references + step.optional if k not in settings.overrides]
        found = crds.best_references(self.header, wanted, self.context, step.optional)
        chosen = {kind: None if name == "N/A" else name for kind, name in settings.overrides.items()}
        return {**chosen, **found}

    def named(self, step: Step, files: Files) -> dict[str, str]:
        """A step's references as they are recorded: see `StepRecord`."""
        pars = (layer for layer in self.all_layers() if layer.kind and step.name in layer.settings)
        own = {layer.kind: layer.origin for layer in pars}
        return own | {kind: name or "N/A" for kind, name in files.items()}

    def settings(self, step: Step) -> Effective:
        """What a step runs with."""
        return effective(step, self.all_layers())

    def all_layers(self) -> list[Layer]:
        """The parameter references of this exposure, then the caller's layers."""
        if self._settings is None:
            self._settings = [*parameter_references(self.pipeline, self.header, self.context), *self.layers]
        return self._settings

    def _located(self, files: Files) -> dict[str, Path]:
        located = {}
        for kind, name in files.items():
            if name is not None:
                located[kind] = Path(name) if "/" in name else crds.locate(name, self.context)
                if not located[kind].exists():
                    raise ReferenceMissing(f"override_{kind} names {name}, which does not exist")
        return located

    def _record(
        self, step: Step, settings: Effective, status: Status, reason: str, seconds: float, files: Files
    ) -> None:
        made = (self.named(step, files), settings.record(), step.origin)
        self.records.append(StepRecord(step.name, step.keyword, status, reason, seconds, *made))
        self.report(step.name, status)


def reason_to_skip(step: Step, settings: Effective, files: Files) -> str:
    """Why a step is not run at all; empty if it is. `files` are not looked at if it is switched off."""
    if settings.skip:
        return f"switched off by {settings.origins.get('skip', 'default')}"
    absent = (kind for kind in step.references if files[kind] is None)
    return next((f"the {kind} reference is N/A for this exposure" for kind in absent), "")


def _each(result: Any) -> list[Exposure]:
    found = result if isinstance(result, Iterable) else [result]
    return [each for each in found if isinstance(each, Exposure)]


def _first(exposure: Any) -> Exposure:
    found = _each(exposure)
    if not found:
        raise InputError("there is no exposure to work on")
    return found[0]
