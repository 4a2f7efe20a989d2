"""Runs pipelines of the official package, in its own environment (see workers.py)."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import Any

from workers import serve

PIPELINES = {
    "detector1": "Detector1Pipeline",
    "dark": "DarkPipeline",
    "guider": "GuiderPipeline",
    "image2": "Image2Pipeline",
    "image3": "Image3Pipeline",
}


Settings = dict[str, dict[str, Any]]


def run(
    pipeline: str,
    file: str,
    output_dir: str,
    steps: list[str],
    save_steps: bool = False,
    parameters: Settings | None = None,
) -> list[str]:
    """Run a pipeline with these of its steps; returns the names of those that were left out.

    parameters : by step, and those of the pipeline by its name; they are set against what CRDS says
    """
    import jwst.pipeline

    if pipeline == "wfs-image3":
        return _combine_pair(file, output_dir)
    kind = getattr(jwst.pipeline, PIPELINES[pipeline])
    left_out = sorted(kind.step_defs.keys() - set(steps))
    settings: Settings = {name: {"skip": True} for name in left_out}
    for name in kind.step_defs.keys() & set(steps):
        settings[name] = {"save_results": save_steps} | (parameters or {}).get(name, {})
    file, output_dir = (str(Path(each).resolve()) for each in (file, output_dir))
    Path(output_dir).mkdir(parents=True, exist_ok=True)
    own = (parameters or {}).get(pipeline, {})
    with contextlib.chdir(output_dir):  # where some steps write what else they make
        result = kind.call(file, output_dir=output_dir, save_results=True, steps=settings, **own)
    for model in result if isinstance(result, list | tuple) else [result]:
        if hasattr(model, "close"):
            model.close()
    return left_out


def _combine_pair(file: str, output_dir: str) -> list[str]:
    """Wavefront sensing, which is a step and not a pipeline; it writes where it is."""
    from jwst.wfs_combine import WfsCombineStep

    Path(output_dir).mkdir(parents=True, exist_ok=True)
    file = str(Path(file).resolve())
    with contextlib.chdir(output_dir):
        WfsCombineStep.call(file, save_results=True)
    return []


def validate(files: list[str]) -> dict[str, str]:
    """What is wrong with each file, as its data model sees it with everything strict."""
    from stdatamodels.jwst import datamodels

    wrong = {}
    for file in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with datamodels.open(file, strict_validation=True, pass_invalid_values=False) as model:
                    model.validate()
        except Exception as error:
            wrong[file] = f"{type(error).__name__}: {error}".split("\n")[0]
    return wrong


def find_jumps(folder: str, nframes: int, group_time: float, showers: bool) -> None:
    """Take the arrays of a folder through the jump step; the flags go to ``theirs.npy``."""
    import numpy as np
    from jwst.jump import JumpStep
    from stdatamodels.jwst import datamodels

    def load(name: str) -> Any:
        return np.load(Path(folder, f"{name}.npy"))

    overrides = {}
    kinds = {"gain": datamodels.GainModel, "readnoise": datamodels.ReadnoiseModel}
    for name, kind in kinds.items():
        overrides[f"override_{name}"] = str(Path(folder, f"{name}.fits"))
        with kind(load(name)) as model:
            _place(model)
            model.save(overrides[f"override_{name}"])
    with datamodels.RampModel(load("sci")) as ramp:
        _place(ramp)
        ramp.meta.exposure.nframes, ramp.meta.exposure.group_time = nframes, group_time
        result = JumpStep(find_showers=showers, **overrides).process(ramp)
        np.save(Path(folder, "theirs.npy"), result.groupdq)


def _place(model: Any) -> None:
    """All of a detector of this size."""
    model.meta.subarray.xstart = model.meta.subarray.ystart = 1
    model.meta.subarray.ysize, model.meta.subarray.xsize = model.data.shape[-2:]


if __name__ == "__main__":
    serve({"run": run, "validate": validate, "find_jumps": find_jumps})
