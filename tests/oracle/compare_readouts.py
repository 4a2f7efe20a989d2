"""Compare stage 1 of calwebbd with the official package, read-out by read-out and step by step.

    python tests/oracle/compare_readouts.py CACHE UNCAL… [--contexts NAME …] [--results DIR] [--write]

The raw exposures and the CRDS cache may come from any program. Both packages calibrate each exposure
in each context and save every step. With a folder for the results, what is in it is not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot"), str(Path(__file__).parent)]

import official  # noqa: E402
from astropy.io import fits  # noqa: E402
from compare_official import our_name, suffix_of  # noqa: E402
from likeness import Likeness, of_products  # noqa: E402
from matrix import CONTEXTS, PRODUCTS, TIMES, Result, render, rewritten, tables  # noqa: E402
from workers import Worker  # noqa: E402

from calwebbd.stages import pipelines  # noqa: E402
from calwebbd.stages.exptypes import pipeline_for  # noqa: E402
from calwebbd.stages.fits import read_header  # noqa: E402
from calwebbd.stages.simulate import environment  # noqa: E402

PAGE = ROOT / "docs" / "agreement.md"
GUIDING = {
    "FGS_ID-IMAGE": "identification, strips",
    "FGS_ID-STACK": "identification, stacked",
    "FGS_ACQ1": "acquisition 1",
    "FGS_ACQ2": "acquisition 2",
    "FGS_TRACK": "track",
    "FGS_FINEGUIDE": "fine guidance",
}
#: What ours is told, lest a departure hide everything else (docs/departures.md).
SETTINGS: Mapping[str, dict[str, dict[str, Any]]] = {
    "NIRISS": {"dark_current": {"average_dark_current": 0.0}},
}


def measure(
    file: Path,
    context: str,
    theirs: Worker,
    ours: Worker,
    folder: Path,
    parameters: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Result:
    """Calibrate one exposure with both; what it is, and the likeness of each step and of the products.

    parameters : of steps, that both are told
    """
    header = read_header(file)
    pipeline = pipeline_for(header, "uncal").pipeline
    assert pipeline
    result: Result = {"context": context, "pipeline": pipeline, **named(header)}
    request = {"pipeline": pipeline, "file": file, "save_steps": True}
    steps = [step.name for step in pipelines.load(pipeline).steps]
    try:
        theirs.ask("run", output_dir=folder / "theirs", steps=steps, parameters=parameters, **request)
    except RuntimeError as error:
        return result | {"failed": str(error).strip().splitlines()[-1]}
    told = {name: own for name, own in SETTINGS.get(header["INSTRUME"], {}).items() if name in steps}
    told |= {name: {**told.get(name, {}), **own} for name, own in parameters.items()}
    ours.ask("run", output_dir=folder / "ours", parameters=told, **request)
    cells: dict[str, Likeness] = {}
    for reference in sorted((folder / "theirs").glob("*.fits")):
        name = our_name(reference.name, {})
        candidate, product = folder / "ours" / name, name.removesuffix(".fits").rpartition("_")[2]
        step = product if product in PRODUCTS else suffix_of(name).removesuffix("ints")
        if product in PRODUCTS or _ran(pipeline, step, reference):
            cells[step] = cells.get(step, Likeness()) | of_products(reference, candidate)
            if other := _statuses(reference, candidate):
                result.setdefault("statuses", {})[step] = other
    return result | {"cells": {name: asdict(found) for name, found in cells.items()}}


def named(header: Mapping[str, Any]) -> dict[str, str]:
    exp_type = str(header["EXP_TYPE"])
    readout = " ".join(str(header[key]) for key in ("DETECTOR", "SUBARRAY", "READPATT"))
    readout += ", dark" if "DARK" in exp_type else ""
    if (segments := header.get("EXSEGTOT") or 1) > 1:
        readout += f", in {segments} segments"
    return {
        "instrument": str(header["INSTRUME"]),
        "readout": GUIDING.get(exp_type, readout),
        "size": f"{header['NINTS']} {TIMES} {header['NGROUPS']}",
    }


def _ran(pipeline: str, name: str, reference: Path) -> bool:
    """Whether the step that saved this file has done something."""
    keywords = {step.name: step.keyword for step in pipelines.load(pipeline).steps}
    return name in keywords and fits.getheader(reference).get(keywords[name]) == "COMPLETE"


def _statuses(reference: Path, candidate: Path) -> dict[str, list[str]]:
    """Those of steps that are not the same."""
    if not candidate.exists():
        return {}
    theirs, ours = fits.getheader(reference), fits.getheader(candidate)
    keys = (key for key in theirs if key.startswith("S_") and key != "S_REGION")
    return {key: [theirs[key], ours.get(key)] for key in keys if theirs[key] != ours.get(key)}


def sweep(cache: Path, files: Iterable[Path], contexts: Iterable[str], results: Path) -> None:
    """Measure what has not been measured yet."""
    for context in contexts:
        variables = environment(cache, context)
        missing = {file: results / f"{file.stem}-{context}.json" for file in files}
        missing = {file: to for file, to in missing.items() if not to.exists()}
        if not missing:
            continue
        with (
            official.official_worker(variables, results / f"official-{context}.log") as theirs,
            official.our_worker(variables, results / f"ours-{context}.log") as ours,
        ):
            for file, to in missing.items():
                print(file.name, context, file=sys.stderr, flush=True)
                with tempfile.TemporaryDirectory(prefix="calwebbd-readouts-", dir=results) as scratch:
                    to.write_text(json.dumps(measure(file, context, theirs, ours, Path(scratch)), indent=1))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    option = parser.add_argument
    option("cache", type=Path, help="CRDS cache with the contexts")
    option("files", type=Path, nargs="*", metavar="UNCAL", help="none: only what was measured before")
    option("--contexts", nargs="+", choices=list(CONTEXTS), default=list(CONTEXTS))
    option("--results", type=Path, metavar="DIR", help="go on from what was measured before")
    option("--write", action="store_true", help=f"write the tables into {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="calwebbd-readouts-") as scratch:
        folder = args.results or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        sweep(args.cache, args.files, args.contexts, folder)
        results = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    made = tables(results)
    print("\n\n".join(f"## {title}\n\n{render(rows, rows[0])}" for title, rows in made.items()))
    if args.write:
        PAGE.write_text(rewritten(PAGE.read_text(), made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
