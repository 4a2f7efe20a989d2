"""Compare steps of stage 1 with the official package where a parameter has another value than its default.

    python tests/oracle/compare_parameters.py CACHE UNCAL… [--results DIR] [--write]

Each trial of `trials` takes the exposure of its read-out, in the context jwst_0002.pmap (as operated). With a
folder for the results, what is in it is not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any
from zlib import crc32

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot"), str(Path(__file__).parent)]

import official  # noqa: E402
import section  # noqa: E402
from compare_readouts import PAGE, measure, named  # noqa: E402
from likeness import Likeness  # noqa: E402
from matrix import DASH, PRODUCTS  # noqa: E402
from trials import TRIALS  # noqa: E402

from calwebbd.stages.fits import read_header  # noqa: E402
from calwebbd.stages.simulate import environment  # noqa: E402

CONTEXT = "jwst_0002.pmap"
HEAD = ("step", "parameters", "read-out", "products", "every step")

Trial = tuple[str, str, dict[str, Any]]  #: step, read-out, its parameters


def trials() -> list[Trial]:
    """All of them."""
    return [(step, readout, settings) for step, some in TRIALS.items() for readout, settings in some]


def measured(cache: Path, files: Iterable[Path], folder: Path) -> dict[int, dict[str, Any]]:
    """The result of each trial, by its number in `trials`; those without an exposure are left out."""
    exposures = {named(read_header(file))["readout"]: file for file in files}
    variables = environment(cache, CONTEXT)
    results = {}
    with (
        official.official_worker(variables, folder / "official.log") as theirs,
        official.our_worker(variables, folder / "ours.log") as ours,
    ):
        for number, (step, readout, settings) in enumerate(trials()):
            kept = folder / f"{step}-{crc32(repr((readout, settings)).encode()):08x}.json"
            if not kept.exists() and readout in exposures:
                print(step, readout, settings, file=sys.stderr, flush=True)
                with tempfile.TemporaryDirectory(prefix="calwebbd-parameters-", dir=folder) as scratch:
                    told = {step: {"skip": False} | settings}
                    found = measure(exposures[readout], CONTEXT, theirs, ours, Path(scratch), told)
                kept.write_text(json.dumps(found, indent=1))
            if kept.exists():
                results[number] = json.loads(kept.read_text())
    return results


def table(results: dict[int, dict[str, Any]]) -> str:
    """A row for each trial."""
    lines = [HEAD, ("---",) * len(HEAD)]
    for number, (step, readout, settings) in enumerate(trials()):
        if number in results:
            told = ", ".join(f"{name}={value}" for name, value in settings.items())
            found = results[number]
            cells = {name: Likeness(**cell) for name, cell in found.get("cells", {}).items()}
            products = [cell for name, cell in cells.items() if name in PRODUCTS]
            shown = [str(reduce(or_, some)) if some else DASH for some in (products, list(cells.values()))]
            lines.append((step, f"`{told}`" if told else "", readout, *shown))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    option = parser.add_argument
    option("cache", type=Path, help=f"CRDS cache with {CONTEXT}")
    option("files", type=Path, nargs="*", metavar="UNCAL", help="none: only what was measured before")
    option("--results", type=Path, metavar="DIR", help="go on from what was measured before")
    option("--write", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="calwebbd-parameters-") as scratch:
        folder = args.results or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        made = table(measured(args.cache, args.files, folder))
    print(made)
    if args.write:
        section.write(PAGE, "tests/oracle/compare_parameters.py", made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
