"""Stripes before and after clean_flicker_noise, in exposures whose truth is known."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import official
from nights import SUBARRAYS, Case
from pulls import stripes_of
from workers import Worker

from calwebbd.stages import pipelines
from calwebbd.stages.simulate import environment
from calwebbd.stages.simulate.truth import read_truth

CONTEXT = "jwst_0001.pmap"
CASES = ("nrc-medium8", "nrs-s200a1", "nis-ami", "fgs-rapid")
STEP = "clean_flicker_noise"
METHODS: dict[str, dict[str, Any]] = {
    "median": {"fit_method": "median", "background_method": "median"},
    "model": {"fit_method": "median", "background_method": "model"},
    "fft": {"fit_method": "fft", "background_method": "median"},
}
HEADER = """## Stripes

What the lines along which a detector is read have in common, in differences of successive groups whose
true signal is taken off: rms of the lines' medians, DN, of pixels without flags. Before and after
clean_flicker_noise, by the way in which it fits; at last that of the same exposure without stripes, which
photons and reading leave. What is cleaned may have less, for the step takes their part as well."""


def section(folder: Path, results: Path, beside: bool) -> str:
    """The table with its heading; what `results` holds is not measured again."""
    titles = ["", "", "before", *METHODS, "without stripes"]
    lines = ["| " + " | ".join(titles) + " |", "|---|---" + "|--:" * (len(titles) - 2) + "|"]
    for title, name, values in measure(folder, results, beside):
        told = ["\N{EN DASH}" if value is None else f"{value:.4f}" for value in values]
        lines.append("| " + " | ".join([title, name, *told]) + " |")
    return HEADER + "\n\n" + "\n".join(lines) + "\n"


def measure(folder: Path, results: Path, beside: bool) -> list[tuple[str, str, list[float | None]]]:
    """Read-out, implementation, and the stripes."""
    striped = [replace(case, snowballs=0.0) for case in SUBARRAYS.cases if case.name in CASES]
    files = {
        (case, name): results / f"{case.name}-{name}-stripes.json"
        for case in striped
        for name in ("official", "calwebbd")[not beside :]
    }
    if missing := {key: to for key, to in files.items() if not to.exists()}:
        plain = {case: replace(case, name=f"{case.name}-plain", stripes=0.0) for case, _ in missing}
        cache, raw = replace(SUBARRAYS, cases=(*plain, *plain.values())).simulate(folder, seed=1)
        variables = environment(cache, CONTEXT)
        with (
            official.official_worker(variables, folder / "official.log") as theirs,
            official.our_worker(variables, folder / "ours.log") as ours,
        ):
            for (case, name), to in missing.items():
                print(case.name, name, "stripes", file=sys.stderr)
                worker, place = theirs if name == "official" else ours, folder / f"{case.name}-{name}"
                values = list(_stripes(worker, name, case, raw[case][0], place, list(METHODS)))
                values += _stripes(worker, name, case, raw[plain[case]][0], place / "plain", [])
                to.write_text(json.dumps(values))
    return [
        (f"{case.instrument} {case.title}", name, json.loads(to.read_text()))
        for (case, name), to in files.items()
    ]


def _stripes(
    worker: Worker, name: str, case: Case, file: Path, folder: Path, methods: Sequence[str]
) -> Iterator[float | None]:
    """Before the step, and after it with each method; None where the instrument does not have it."""
    truth = read_truth(file.parent / "truth" / file.name.replace("_uncal", "_truth"))
    request: dict[str, Any] = {"pipeline": "detector1", "file": file, "save_steps": True}
    if name == "official":
        request["steps"] = [step.name for step in pipelines.load("detector1").steps]
    worker.ask("run", output_dir=folder, parameters={}, **request)
    yield stripes_of(_saved(folder, "jump"), truth)
    for method in methods:
        if method == "fft" and case.instrument != "NIRSPEC":
            yield None
            continue
        parameters = {STEP: {"skip": False, **METHODS[method]}}
        worker.ask("run", output_dir=folder / method, parameters=parameters, **request)
        yield stripes_of(_saved(folder / method, STEP), truth)


def _saved(folder: Path, step: str) -> Path:
    (file,) = folder.glob(f"*_{step}.fits")
    return file
