"""The worker's way into the library: the site's parameters become a layer of settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calwebbd.stages import pipelines
from calwebbd.stages.parameters import Layer, check
from calwebbd.stages.process import Outcome, Report, process


def calibrate(
    file: Path,
    *,
    pipeline: str,
    output_dir: Path,
    context: str,
    steps: Mapping[str, Mapping[str, Any]],
    report: Report,
) -> list[Outcome]:
    """Run one pipeline on one exposure or association.

    steps : of any pipeline; those of others than this one do not concern it, but a name
        which none has is a ParameterError
    """
    check([pipelines.load(name) for name in pipelines.NAMES], [Layer("configuration", steps)])
    own = {step.name for step in pipelines.load(pipeline).steps}
    layer = Layer("configuration", {name: values for name, values in steps.items() if name in own})
    return process(
        file, pipeline=pipeline, output_dir=output_dir, context=context, layers=(layer,), report=report
    )
