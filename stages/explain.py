"""What a pipeline would do with a file, without doing it: steps, references, parameters and their origins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calwebbd.stages import crds, pipelines
from calwebbd.stages.errors import CalibrationError, ParameterError
from calwebbd.stages.exptypes import path_of
from calwebbd.stages.fits import read_header
from calwebbd.stages.process import Options, tasks_of
from calwebbd.stages.run import Run, reason_to_skip
from calwebbd.stages.step import Step


@dataclass(frozen=True)
class Planned:
    """One step as it would be run.

    skip : why it would not be; empty if it would. A step may find more reasons when it runs.
    references : file by CRDS type; N/A where there is none
    parameters : [value, origin] by name
    """

    name: str
    skip: str
    references: Mapping[str, str]
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """One run of a pipeline as it would be; `parameters` are those of the pipeline itself."""

    product: str
    pipeline: str
    context: str
    steps: tuple[Planned, ...]
    parameters: Mapping[str, Any]


def explain(file: Path, name: str | None, options: Options) -> list[Plan]:
    """What `process_file` would do: one plan for each product.

    Raises InputError, ReferenceMissing or ParameterError with the file named.
    """
    try:
        pipeline, tasks = tasks_of(file, name)
        context = crds.literal_context(options.context)
        layers = options.layers_for(pipeline)
        plans = []
        for task in tasks:
            run = Run(pipeline, read_header(task.science[0]), context, layers)
            own = run.parameters.record()
            plans.append(Plan(task.name, pipeline.name, context, planned(run), own))
    except CalibrationError as error:
        error.file = error.file or str(file)
        raise
    return plans


def explain_through(file: Path, first: str | None, last: str | None, options: Options) -> list[Plan]:
    """The plans of the pipelines from the file's own to `last`, as far as its header tells."""
    plans = explain(file, first, replace(options, chained=last is not None))
    if last is None or not plans:
        return plans
    header = read_header(tasks_of(file, first)[1][0].science[0])
    stages = path_of(header)
    last = pipelines.load(last).name
    if plans[0].pipeline not in stages or last not in stages[stages.index(plans[0].pipeline) :]:
        raise ParameterError(f"{last} does not follow on {plans[0].pipeline}")
    later = stages[stages.index(plans[0].pipeline) + 1 : stages.index(last) + 1]
    for name in later:
        plans += explain(file, name, replace(options, chained=True))
    return plans


def planned(run: Run) -> tuple[Planned, ...]:
    """The steps of a run in the order in which its exposure would meet them."""
    return tuple(_planned(run, step) for step in run.pipeline.steps_for(run.header))


def _planned(run: Run, step: Step) -> Planned:
    settings = run.settings(step)
    files = run.files(step, settings)
    reason = reason_to_skip(step, settings, files)
    return Planned(step.name, reason, run.named(step, files), settings.record())
