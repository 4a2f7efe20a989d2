"""Several pipelines one after the other, outside the service: ``--through image2``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from calwebbd.stages import pipelines
from calwebbd.stages.associations import asn_file_name, level3_groups, make_asn, write_asn
from calwebbd.stages.errors import ParameterError
from calwebbd.stages.exptypes import pipeline_for
from calwebbd.stages.fits import read_header
from calwebbd.stages.parameters import check
from calwebbd.stages.process import Options, Outcome, process_file

Failed = Callable[[Exception], None]


def process_through(
    files: Sequence[Path], first: str | None, last: str | None, options: Options, failed: Failed
) -> Iterator[Outcome]:
    """Process each file, and then what came of it, up to the pipeline `last`; yield each outcome as it ends.

    first : the pipeline for the files; by their headers or associations if None
    last : None for no more than the first
    failed : called with the error of a file; the others go on

    With ``last="image3"`` the calibrated exposures are associated by their headers.
    """
    last = last.removeprefix("calwebb_") if last else None
    if last is not None and last not in pipelines.NAMES:
        raise ParameterError(f"there is no pipeline {last!r}, only {', '.join(pipelines.NAMES)}")
    if last is not None:
        known = [pipelines.load(name) for name in pipelines.NAMES]
        check(known, options.layers)
        if options.stop_after and not any(s.name == options.stop_after for p in known for s in p.steps):
            raise ParameterError(f"no pipeline has a step {options.stop_after!r} to stop after")
        options = replace(options, chained=True)
    calibrated: list[Path] = []
    for file in files:
        try:
            for outcome in _one(file, first, last, options):
                yield outcome
                calibrated += [p.path for p in outcome.products if p.suffix == "cal"]
        except Exception as error:
            failed(error)
    if last == "image3" and calibrated:
        yield from _combined(calibrated, options, failed)


def _one(file: Path, first: str | None, last: str | None, options: Options) -> Iterator[Outcome]:
    """A file through stages 1 and 2, as far as asked."""
    for outcome in process_file(file, first, options):
        yield outcome
        if last is None or outcome.pipeline == last:
            continue
        for product in outcome.products:
            route = pipeline_for(read_header(product.path), product.suffix)
            if route.pipeline in ("detector1", "image2"):
                yield from _one(product.path, route.pipeline, last, options)


def _combined(calibrated: Sequence[Path], options: Options, failed: Failed) -> Iterator[Outcome]:
    """The groups that the calibrated exposures form by their headers."""
    groups = level3_groups((path, read_header(path)) for path in calibrated)
    for number, (key, members) in enumerate(sorted(groups.items()), 1):
        asn = make_asn(key, [path.name for path in members])
        file = options.output_dir / asn_file_name(asn, number)
        write_asn(asn, file)
        try:
            yield from process_file(file, None, options)
        except Exception as error:
            failed(error)
