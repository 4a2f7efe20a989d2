"""The worker's way into the library: the site's parameters become a layer of settings.

The fork server imports this module, and with it all that a pipeline imports or loads only
when it is asked for, so that no worker has to do it again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import photutils.aperture
import photutils.background
import photutils.segmentation  # noqa: F401

import calwebbd.stages.crds.keep
import calwebbd.stages.crds.rules  # noqa: F401
from calwebbd.stages import kernels, pipelines, plugins
from calwebbd.stages.fits.write import load_schemas
from calwebbd.stages.parameters import Layer, check
from calwebbd.stages.process import Outcome, Report, process
from calwebbd.stages.steps.persistence.handover import any_open

for _name in pipelines.NAMES:
    pipelines.built_in(_name)
plugins.code()  # reads the metadata of all packages; plug-ins are imported by the jobs they belong to
load_schemas()
kernels.load()


def calibrate(
    file: Path,
    *,
    pipeline: str,
    output_dir: Path,
    context: str,
    steps: Mapping[str, Mapping[str, Any]],
    rules: Mapping[str, Mapping[str, Mapping[str, Any]]],
    report: Report,
    given: Path | None = None,
    left: Path | None = None,
) -> list[Outcome]:
    """Run one pipeline on one exposure or association.

    steps : of any pipeline; those of others than this one do not concern it, but a name
        which none has is a ParameterError
    rules : more of them, under the names of their rules, a later one over an earlier one
    given, left : what the exposure before it has handed on, and what it is to hand on itself; there is no
        such file if there is nothing
    """
    layers = (Layer("configuration", steps), *(Layer(f"rule {name}", rule) for name, rule in rules.items()))
    if left is not None:
        files = {"save_persistence": str(left)} | ({"persistence_array_file": str(given)} if given else {})
        layers = (*layers, Layer("time order", {"persistence": files}))
    check([pipelines.load(name) for name in pipelines.names()], layers)
    outcomes = process(
        file,
        pipeline=pipeline,
        output_dir=output_dir,
        context=context,
        layers=layers,
        chained=True,
        report=report,
    )
    if left is not None and left.exists() and not any_open(left):
        left.unlink()
    return outcomes
