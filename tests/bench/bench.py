"""Time and memory of calwebbd beside the official package, on the same data, in one run.

    python tests/bench/bench.py [--only detector1 image2 image3 …] [--runs 3] [--write]

Each pipeline runs in a warm process of each implementation, in turns; the first run of
each is not counted. Steps that only the official package has are switched off there.
"""

from __future__ import annotations

import argparse
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot")]

import official  # noqa: E402
from associate import associate  # noqa: E402
from nights import FULL  # noqa: E402
from workers import HERE, Answer, Worker, memory_mb  # noqa: E402

from calwebbd.stages import pipelines  # noqa: E402
from calwebbd.stages.simulate import environment  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks.md"
HEADER = """# Benchmarks

calwebbd {ours} beside jwst {official}; {processor}, {cores} cores, {memory:.0f} GB, Python {python}.
Made by `python tests/bench/bench.py --write`.

Both run on the same data, in turns, each in a process that has run the pipeline once before;
medians of {runs} runs, the peak of memory is the largest of them. Processor time counts all
threads. Steps which calwebbd does not have yet are switched off in the official package."""


@dataclass
class Bench:
    """Where things are, and what has been measured."""

    folder: Path
    crds: Path
    raw: list[Path]
    runs: int
    rows: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environment = environment(self.crds)

    def our(self, name: str) -> Worker:
        return official.our_worker(self.environment, self.folder / f"ours-{name}.log")

    def detector1(self) -> None:
        """One full-frame exposure of ten groups."""
        self._both("detector1", self.raw[0], f"{self.raw[0].stat().st_size / 2**20:.0f} MB of raw data")

    def image2(self) -> None:
        """Its rate image."""
        self._both("image2", self._made("detector1", self.raw[0], "rate"), "one full frame, with i2d")

    def image3(self) -> None:
        """As many dithers as there are."""
        calibrated = []
        for raw in self.raw:
            rate = self._made("detector1", raw, "rate")
            calibrated.append(self._made("image2", rate, "cal"))
        (asn,) = associate(calibrated)
        self._both("image3", asn, f"{len(calibrated)} full-frame dithers")

    def start(self) -> None:
        """From typing `calwebbd process` to its first step."""
        with self.our("warm") as ours:
            ours.ask("warm")
        seconds = []
        for _ in range(self.runs + 1):
            command = [sys.executable, str(HERE / "first_step.py"), "process", str(self.raw[0])]
            typed = time.time()
            out = subprocess.run(command, env=self._variables(), capture_output=True, text=True, check=True)
            seconds.append(float(out.stdout) - typed)
        self.facts.append(f"`calwebbd process` reaches its first step after {_median(seconds[1:]):.2f} s.")

    def warm(self) -> None:
        """Compiling all kernels."""
        variables = self._variables() | {"CALWEBBD_CACHE": str(self.folder / "kernels")}
        began = time.perf_counter()
        command = [sys.executable, "-m", "calwebbd.daemon", "warm"]
        subprocess.run(command, env=variables, capture_output=True, check=True)
        self.facts.append(f"`calwebbd warm` compiles all kernels in {time.perf_counter() - began:.1f} s.")

    def service(self) -> None:
        """The service, when it waits."""
        for name in ("in", "out", "state"):
            (self.folder / name).mkdir()
        config = self.folder / "calwebbd.toml"
        config.write_text('[folders]\nwatch = ["in"]\noutput = "out"\nstate = "state"\n')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(self.folder / "notify"))
            ready.settimeout(60)
            variables = self._variables() | {"NOTIFY_SOCKET": str(self.folder / "notify")}
            command = [sys.executable, "-m", "calwebbd.daemon", "run", "--config", str(config)]
            with subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL) as process:
                while b"READY=1" not in ready.recv(4096):
                    pass
                time.sleep(2)
                resident = memory_mb("VmRSS", process.pid)
                process.terminate()
        self.facts.append(f"The service, watching an empty folder, has {resident:.0f} MB resident.")

    def _both(self, pipeline: str, file: Path, what: str) -> None:
        """Run both implementations in turns."""
        theirs, ours = [], []
        steps = [step.name for step in pipelines.load(pipeline).steps]
        request = {"pipeline": pipeline, "file": file}
        with (
            official.official_worker(self.environment, self.folder / f"official-{pipeline}.log") as there,
            self.our(pipeline) as here,
        ):
            for _ in range(self.runs + 1):
                theirs.append(there.ask("run", output_dir=self.folder / "theirs", steps=steps, **request))
                ours.append(here.ask("run", output_dir=self.folder / "ours", **request))
        self.rows += _rows(pipeline, what, theirs[1:], ours[1:])

    def _made(self, pipeline: str, file: Path, suffix: str) -> Path:
        """A product of ours, made if it is not there."""
        product = self.folder / "made" / file.name.replace(file.stem.rsplit("_", 1)[-1], suffix)
        if not product.exists():
            with self.our(f"made-{suffix}") as ours:
                ours.ask("run", pipeline=pipeline, file=file, output_dir=product.parent)
        return product

    def _variables(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "PYTHONPATH": str(official.IMPORTROOT)}


MEASURES: dict[str, Callable[[Bench], None]] = {
    name: getattr(Bench, name) for name in ("detector1", "image2", "image3", "start", "warm", "service")
}


def _rows(pipeline: str, what: str, theirs: Sequence[Answer], ours: Sequence[Answer]) -> Iterator[str]:
    """Three lines of the table: theirs, ours, and how many times less."""
    a, b = (
        (_median([r.wall for r in runs]), _median([r.cpu for r in runs]), max(r.peak_mb for r in runs))
        for runs in (theirs, ours)
    )
    yield f"| **{pipeline}**, {what} | official | {a[0]:.2f} | {a[1]:.2f} | {a[2]:.0f} |"
    yield f"| | calwebbd | {b[0]:.2f} | {b[1]:.2f} | {b[2]:.0f} |"
    yield f"| | ratio | {a[0] / b[0]:.1f} | {a[1] / b[1]:.1f} | {a[2] / b[2]:.1f} |"


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def page(bench: Bench) -> str:
    """What was measured as a page of the documentation."""
    header = HEADER.format(
        ours=version("calwebbd"),
        official=official.VERSION,
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9,
        python=platform.python_version(),
        runs=bench.runs,
    )
    table = "\n".join(["| | | wall, s | processor, s | peak, MB |", "|---|---|--:|--:|--:|", *bench.rows])
    facts = "\n".join(f"* {fact}" for fact in bench.facts)
    return "\n\n".join(part for part in (header, table if bench.rows else "", facts) if part) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), help="default: all but image3")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="that count, of each; default: 3")
    parser.add_argument("--crds", type=Path, help="a CRDS cache and …")
    parser.add_argument("--exposures", nargs="+", type=Path, help="… exposures, instead of simulated ones")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    wanted = args.only or [name for name in MEASURES if name != "image3"]
    with tempfile.TemporaryDirectory(prefix="calwebbd-bench-") as scratch:
        folder = Path(scratch)
        crds, raw = args.crds, args.exposures
        if not raw:
            dithers = 4 if "image3" in wanted else 1
            crds, raw = replace(FULL, dithers=dithers).make(folder, seed=1)
        bench = Bench(folder, crds, raw, args.runs)
        for name, measure in MEASURES.items():
            if name in wanted:
                print(name, "…", file=sys.stderr)
                measure(bench)
        text = page(bench)
    print(text)
    if args.write:
        PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
