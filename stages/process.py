"""Run a pipeline on files: choose it, read, calibrate, write. The library's front door.

from calwebbd.stages.process import process
process("jw…_uncal.fits", output_dir="out")
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from calwebbd.stages import crds, memory, pipelines, scratch
from calwebbd.stages.associations import Association, load_asn, member_path
from calwebbd.stages.errors import CalibrationError, InputError, ParameterError
from calwebbd.stages.exposure import Exposure
from calwebbd.stages.exptypes import pipeline_for
from calwebbd.stages.fits import read_guide_star, read_header, read_image, read_ramp
from calwebbd.stages.groups import GROUP_ID
from calwebbd.stages.members import LeftOut, read_usable
from calwebbd.stages.names import PRODUCTS, split_suffix
from calwebbd.stages.parameters import Layer, check, concerning
from calwebbd.stages.run import Run, StepRecord, StopAfter
from calwebbd.stages.step import Pipeline
from calwebbd.stages.verify import verify
from calwebbd.stages.writer import Task, Writer, Written

Report = Callable[[str, str], None]


@dataclass(frozen=True)
class Outcome:
    """What one run of a pipeline made, of what, and how.

    inputs : science members first, then the others that the association lists
    parameters : of the pipeline itself, each with its value and origin
    left_out : science members that were not used, and why
    """

    pipeline: str
    context: str
    name: str
    inputs: tuple[Path, ...]
    products: tuple[Written, ...]
    steps: tuple[StepRecord, ...]
    seconds: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    def product(self, suffix: str) -> Path | None:
        """The first product with this suffix."""
        return next((p.path for p in self.products if p.suffix == suffix), None)


@dataclass(frozen=True)
class Options:
    """How to process. `layers` are settings of steps, weak to strong, over those of CRDS.

    context : ``jwst_NNNN.pmap``, ``latest`` or None for CRDS_CONTEXT, else the latest
    save_steps : write the exposure after each step as ``…_<step>.fits``
    stop_after : end after this step, and write what it gave
    chained : the settings are for several pipelines, and have been checked
    """

    output_dir: Path = field(default_factory=Path)
    context: str | None = None
    layers: tuple[Layer, ...] = ()
    save_steps: bool = False
    stop_after: str | None = None
    chained: bool = False
    report: Report = lambda step, state: None

    def layers_for(self, pipeline: Pipeline) -> tuple[Layer, ...]:
        """The settings for one pipeline. Raises ParameterError for those it cannot take."""
        layers = concerning(pipeline, self.layers) if self.chained else self.layers
        check([pipeline], layers)
        return layers


def process(
    file: Path | str, *, pipeline: str | None = None, output_dir: Path | str = "", **options: Any
) -> list[Outcome]:
    """Calibrate one exposure, or what one association lists; one outcome for each product.

    pipeline : its name; chosen by the header or the association if None
    output_dir : default: here
    options : the other fields of `Options`

    Raises InputError, ReferenceMissing or ParameterError with the file named.
    """
    return process_file(Path(file), pipeline, Options(Path(output_dir), **options))


def process_file(file: Path, name: str | None, options: Options) -> list[Outcome]:
    """`process` with its options in one piece."""
    try:
        with memory.only_new_garbage():
            pipeline, tasks = tasks_of(file, name)
            return [run_task(task, pipeline, options) for task in tasks]
    except CalibrationError as error:
        error.file = error.file or str(file)
        raise


def tasks_of(file: Path, name: str | None) -> tuple[Pipeline, list[Task]]:
    """The pipeline for a file, that of this name or by its header, and the products it is to make."""
    asn = load_asn(file) if file.suffix == ".json" else None
    tasks = list(_tasks(file, asn))
    return pipelines.load(name or (asn and _of_association(asn)) or _of_file(file)), tasks


def run_task(task: Task, pipeline: Pipeline, options: Options) -> Outcome:
    """Make one product with one pipeline. The first run of a version compiles its kernels."""
    from calwebbd.stages import kernels

    start = time.perf_counter()
    memory.keep_heap_small()
    memory.release()  # what the last one had
    kernels.warm()
    layers = options.layers_for(pipeline)
    stop_after = options.stop_after
    if stop_after and stop_after not in {step.name for step in pipeline.steps}:
        if not options.chained:
            raise ParameterError(f"{pipeline.name} has no step {stop_after!r} to stop after")
        stop_after = None
    context = crds.literal_context(options.context)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    with scratch.folder(options.output_dir), Writer(task, context, options.output_dir) as writer:
        science = task.science if pipeline.combines else task.science[:1]
        read = partial(_read, read=_reader(pipeline, science), task=task)
        exposures, left_out = read_usable(science, read)
        run = Run(pipeline, exposures[0].header.copy(), context, layers, stop_after, options.report)
        run.save, run.begin = writer.write, writer.begin
        run.others, run.left_out = task.others, left_out
        if options.save_steps:
            run.keep = writer.keep
        run.record_lacking(exposures)
        products = _apply(run, pipeline, exposures)
        for suffix, product in (products | run.byproducts).items():
            writer.write(suffix, product)
    return Outcome(
        pipeline.name,
        context,
        task.name,
        task.files,
        tuple(writer.written.values()),
        tuple(run.records),
        time.perf_counter() - start,
        run.parameters.record(),
        tuple(run.left_out),
    )


def _tasks(file: Path, asn: Association | None) -> Iterator[Task]:
    if asn is None:
        name, separator, _ = split_suffix(file.name)
        yield Task(name, (file,), separator=separator)
        return
    for product in asn.products:
        members = [(member_path(file.parent, m), m) for m in product.members]
        groups = {path: m.group_id for path, m in members if isinstance(m.group_id, str)}
        roles: dict[str, list[Path]] = {}
        for path, member in members:
            roles.setdefault(member.exptype, []).append(path)
        science = tuple(dict.fromkeys(roles.pop("science")))
        yield Task(product.name, science, asn, file.name, groups=groups, others=roles)


def _of_association(asn: Association) -> str | None:
    """The pipeline that its type names; None where the type says nothing."""
    return asn.pipeline if asn.pipeline not in ("", "none", "user_built") else None


def _check(path: Path) -> None:
    """Raise InputError for a file that is not there or not whole, whatever its name."""
    try:
        if split_suffix(path.name)[2] in PRODUCTS:
            verify(path, named=False)
        elif not path.exists():
            raise InputError("does not exist")
    except FileNotFoundError:
        raise InputError("does not exist", file=str(path)) from None
    except InputError as error:
        error.file, error.step = str(path), ""
        raise


def _of_file(file: Path) -> str:
    _check(file)
    if file.suffix == ".json":
        raise InputError("asn_type does not say which pipeline; name it")
    header, kind = read_header(file), split_suffix(file.name)[2]
    route = pipeline_for(header, kind)
    if route.pipeline is None and kind == "rateints":  # the service takes rate; whoever asks gets both
        route = pipeline_for(header, "rate")
    if route.pipeline is None:
        raise InputError(route.reason)
    return route.pipeline


def _read(path: Path, read: Callable[[Path], Exposure], task: Task) -> Exposure:
    _check(path)
    try:
        exposure = read(path)
    except CalibrationError as error:
        error.file = str(path)
        raise
    exposure.header.update(task.keywords())
    if path in task.groups:
        exposure.metadata[GROUP_ID] = task.groups[path]
    return exposure


def _reader(pipeline: Pipeline, files: Sequence[Path]) -> Callable[[Path], Exposure]:
    """Arrays of images stay in their files where those of all together would be too much for memory."""
    if pipeline.name == "guider":
        return read_guide_star
    if "uncal" in pipeline.reads:
        return read_ramp
    size = sum(file.stat().st_size for file in files if file.exists())
    return partial(read_image, stored=pipeline.combines and size > memory.budget())


def _apply(run: Run, pipeline: Pipeline, exposures: list[Exposure]) -> dict[str, Any]:
    """The pipeline's products by suffix; those of the last step, by its name, if stopped there."""
    try:
        products: dict[str, Any] = pipeline.function(run, exposures if pipeline.combines else exposures.pop())
        return products
    except StopAfter as stop:
        return {str(run.stop_after): stop.result}
