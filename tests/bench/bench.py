"""Time and memory of calwebbd beside the official package, on the same data, in one run.

    python tests/bench/bench.py [--case nircam irs2 image2 series …] [--runs 3] [--data DIR] [--write]

Each pipeline runs in a warm process of each implementation, in turns; the first run of
each is not counted. Steps that only the official package has are switched off there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot"), str(Path(__file__).parent)]

import official  # noqa: E402
import program  # noqa: E402
import section  # noqa: E402
from associate import associate  # noqa: E402
from floor import Floor, measure_floor  # noqa: E402
from readouts import CASES, DITHERS, SERIES, Measured  # noqa: E402
from workers import Answer, Worker  # noqa: E402

from calwebbd.stages import pipelines  # noqa: E402
from calwebbd.stages.simulate import environment  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks.md"
HEADER = """calwebbd {ours} beside jwst {official}; {machine}, {memory:.0f} GB of memory.
Both ran on the same data, in turns, each in a process {warm}; {runs}.
Made by `python tests/bench/bench.py --case {cases} --write`."""


@dataclass
class Bench:
    """Where things are, and what has been measured."""

    folder: Path
    data: Path
    cases: Sequence[str]
    runs: int
    first: bool = False
    rows: list[str] = field(default_factory=list)
    series: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    def stage1(self, case: Measured) -> None:
        """One exposure through detector1, and the floor under it."""
        crds, (raw, *_) = case.simulated(self.data)
        variables = environment(crds, case.context)
        self._both(variables, "detector1", raw, case.title)
        self.rows.append(_floor_row(measure_floor(raw, self.folder / "ours", crds, self.folder / "floor")))

    def image2(self) -> None:
        """The rate image of a full frame."""
        crds, (raw, *_) = CASES["nircam"].simulated(self.data)
        rate = self._made(crds, "detector1", raw, "rate")
        self._both(environment(crds), "image2", rate, "one full frame, with i2d")

    def image3(self) -> None:
        """Some dithers of it."""
        crds, raw = DITHERS.simulated(self.data)
        rates = [self._made(crds, "detector1", file, "rate") for file in raw]
        calibrated = [self._made(crds, "image2", rate, "cal") for rate in rates]
        (asn,) = associate(calibrated)
        self._both(environment(crds), "image3", asn, f"{len(calibrated)} full-frame dithers")

    def memory(self) -> None:
        """The peak of ours, for ever longer series."""
        for case in SERIES:
            crds, (raw, *_) = case.simulated(self.data)
            with official.our_worker(environment(crds), self.folder / "ours-series.log") as ours:
                request = {"pipeline": "detector1", "file": raw, "output_dir": self.folder / "series"}
                answer = ours.ask("run", **request)
            size = raw.stat().st_size / 2**20
            self.series.append(f"| {case.title} | {size:.0f} | {answer.peak_mb:.0f} |")
            shutil.rmtree(self.folder / "series")

    def start(self) -> None:
        crds, (raw, *_) = CASES["nircam"].simulated(self.data)
        seconds = [program.first_step(raw, environment(crds)) for _ in range(self.runs + 1)]
        self.facts.append(f"`calwebbd process` reaches its first step after {_median(seconds[1:]):.2f} s.")

    def warm(self) -> None:
        seconds = program.warm(self.folder / "kernels")
        self.facts.append(f"`calwebbd warm` compiles all kernels in {seconds:.1f} s.")

    def service(self) -> None:
        resident = program.service(self.folder / "service")
        self.facts.append(f"The service, watching an empty folder, has {resident:.0f} MB resident.")

    def _both(self, variables: dict[str, str], pipeline: str, file: Path, what: str) -> None:
        """Run both implementations in turns."""
        theirs, ours = [], []
        steps = [step.name for step in pipelines.load(pipeline).steps]
        request = {"pipeline": pipeline, "file": file}
        with self._official(variables, pipeline) as there, self._our(variables, pipeline) as here:
            for _ in range(self.runs + (not self.first)):
                for who in ("theirs", "ours"):  # to replace a file waits for the disk
                    shutil.rmtree(self.folder / who, ignore_errors=True)
                os.sync()  # what others have written is not waited for
                theirs.append(there.ask("run", output_dir=self.folder / "theirs", steps=steps, **request))
                os.sync()
                ours.append(here.ask("run", output_dir=self.folder / "ours", **request))
        rows = list(_rows(pipeline, what, theirs[-self.runs :], ours[-self.runs :]))
        print(*rows, sep="\n", file=sys.stderr)  # should a later case fail
        self.rows += rows

    def _made(self, crds: Path, pipeline: str, file: Path, suffix: str) -> Path:
        """A product of ours, made if it is not there."""
        product = crds.parent / "made" / file.name.replace(file.stem.rsplit("_", 1)[-1], suffix)
        if not product.exists():
            with self._our(environment(crds), f"made-{suffix}") as ours:
                ours.ask("run", pipeline=pipeline, file=file, output_dir=product.parent)
        return product

    def _our(self, variables: dict[str, str], name: str) -> Worker:
        return official.our_worker(variables, self.folder / f"ours-{name}.log")

    def _official(self, variables: dict[str, str], name: str) -> Worker:
        return official.official_worker(variables, self.folder / f"official-{name}.log")


MEASURES: dict[str, Callable[[Bench], None]] = {
    **{name: (lambda bench, case=case: bench.stage1(case)) for name, case in CASES.items()},
    **{name: getattr(Bench, name) for name in ("image2", "image3", "start", "warm", "service")},
    "series": Bench.memory,
}
USUAL = ("nircam", "image2", "start", "warm", "service")


def _rows(pipeline: str, what: str, theirs: Sequence[Answer], ours: Sequence[Answer]) -> Iterator[str]:
    """Three lines of the table: theirs, ours, and how many times less."""
    a, b = (
        (_median([r.wall for r in runs]), _median([r.cpu for r in runs]), max(r.peak_mb for r in runs))
        for runs in (theirs, ours)
    )
    yield f"| **{pipeline}**, {what} | official | {a[0]:.2f} | {a[1]:.2f} | {a[2]:.0f} |"
    yield f"| | calwebbd | {b[0]:.2f} | {b[1]:.2f} | {b[2]:.0f} |"
    yield f"| | ratio | {a[0] / b[0]:.1f} | {a[1] / b[1]:.1f} | {a[2] / b[2]:.1f} |"


def _floor_row(floor: Floor) -> str:
    amount = f"{floor.read_mb:.0f} MB read, {floor.written_mb:.0f} MB written"
    return f"| {amount} | floor | {floor.wall:.2f} | {floor.cpu:.2f} | |"


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def page(bench: Bench) -> str:
    """What was measured, for the documentation."""
    header = HEADER.format(
        ours=version("calwebbd"),
        official=official.VERSION,
        machine=section.machine(),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9,
        runs="one run each" if bench.runs == 1 else f"medians of {bench.runs} runs, the highest peak",
        cases=" ".join(bench.cases),
        warm="of its own" if bench.first else "that has run the pipeline once before",
    )
    table = "\n".join(["| | | wall, s | processor, s | peak, MB |", "|---|---|--:|--:|--:|", *bench.rows])
    series = "\n".join(["| calwebbd alone | raw data, MB | peak, MB |", "|---|--:|--:|", *bench.series])
    facts = "\n".join(f"* {fact}" for fact in bench.facts)
    parts = (header, table if bench.rows else "", series if bench.series else "", facts)
    return "\n\n".join(part for part in parts if part)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    option = parser.add_argument
    option("--case", nargs="+", choices=list(MEASURES), default=USUAL, help=f"default: {' '.join(USUAL)}")
    option("--runs", type=int, default=3, metavar="N", help="that count, of each; default: 3")
    option("--first", action="store_true", help="count the first run of each, too: for long cases")
    option("--data", type=Path, metavar="DIR", help="keep simulated data here, and use those that are there")
    option("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="calwebbd-bench-") as scratch:
        folder = Path(scratch)
        cases = [name for name in MEASURES if name in args.case]
        bench = Bench(folder, args.data or folder, cases, args.runs, args.first)
        for name in cases:
            print(name, "…", file=sys.stderr)
            MEASURES[name](bench)
        text = page(bench)
    print(text)
    if args.write:
        section.write(PAGE, "tests/bench/bench.py", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
