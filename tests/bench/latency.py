"""From a file that is closed to its products, beside computing them; and throughput beside bare pipelines.

    python tests/bench/latency.py [--data DIR] [--write docs/load.md]

A service calibrates small simulated exposures through stages 1 and 2: first one by one, each when nothing is
left to do of the one before, then all at once. The same exposures go through the pipelines without a
service, in two warm processes, and some of them through those of the official package if
CALWEBBD_OFFICIAL_VENV says where it is.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "importroot"), str(HERE.parent / "lib"), str(HERE)]

import official  # noqa: E402
from astropy.io import fits  # noqa: E402
from passages import STAGES, Flood, at_once, close, one_by_one, passages, rename  # noqa: E402
from section import machine, table, write  # noqa: E402
from serving import REAL, Served, serving  # noqa: E402
from workers import Worker  # noqa: E402

from calwebbd.stages import pipelines  # noqa: E402
from calwebbd.stages.simulate import environment, simulate_cache, simulate_exposures  # noqa: E402
from calwebbd.stages.simulate.crds_cache import CONTEXT, MANIFEST  # noqa: E402

CONFIG = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
path = "{crds}"
server = ""
context = "{context}"
[workers]
processes = {processes}
[associations]
level3 = false
"""
PROCESSES = 2
SINGLE = {"CALWEBBD_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
PRODUCTS = {"rate": "stage 1", "cal": "stages 1 and 2"}


def exposures(data: Path, count: int) -> tuple[Path, list[Path]]:
    """The CRDS cache and so many exposures of 160 x 160 pixels and 5 groups, made if they are not there.

    Four dithers are simulated; the others differ from them in their headers.
    """
    crds, folder = data / "crds", data / "exposures"
    names = [f"jw01234001001_02101_{n + 1:05d}_nrca1_uncal.fits" for n in range(count)]
    if not (crds / MANIFEST).exists():
        simulate_cache(crds, detectors=("NRCA1",), subarrays=("SUB160P",), seed=1)
    if not (folder / names[-1]).exists():
        dithers = simulate_exposures(crds, folder, detectors=("NRCA1",), subarray="SUB160P", seed=1).paths
        for number, name in enumerate(names[len(dithers) :], len(dithers)):
            with fits.open(dithers[number % len(dithers)]) as hdus:
                hdus[0].header.update(EXPOSURE=f"{number + 1:05d}", FILENAME=name)
                hdus.writeto(folder / name, overwrite=True)
    return crds, [folder / name for name in names]


def serve(base: Path, crds: Path, files: Sequence[Path], singles: int) -> tuple[list[tuple[str, ...]], Flood]:
    """Rows of the times of exposures that came one by one, in either way, and what became of a flood."""
    source = base / "calwebbd.toml"
    source.write_text(CONFIG.format(crds=crds.resolve(), context=CONTEXT, processes=PROCESSES))
    warm, first, second, rest = _parted(files, 2, singles, singles // 4)
    with serving(source, REAL) as served:
        one_by_one(served, warm, close)
        rows = list(_rows(served, one_by_one(served, first, close), "written in its place"))
        rows += _rows(served, one_by_one(served, second, rename), "renamed, as rsync does")
        flood = at_once(served, rest)
        rows += _rows(served, flood.sent, f"{len(rest)} at once")
    return rows, flood


def _parted(files: Sequence[Path], *counts: int) -> Iterator[Sequence[Path]]:
    for count in counts:
        yield files[:count]
        files = files[count:]
    yield files


def _rows(served: Served, sent: dict[str, float], way: str) -> Iterator[tuple[str, ...]]:
    for suffix, found in passages(served, sent).items():
        total, compute, beyond = (
            _spread([getattr(each, what) for each in found]) for what in ("total", "compute", "beyond")
        )
        yield f"{way}, {PRODUCTS[suffix]}", total, compute, beyond


def _spread(values: Sequence[float]) -> str:
    ranked = sorted(values)
    median, last = (ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.99))
    return f"{median:.2f}, {last:.2f}"


def bare(start: Callable[[Path], Worker], files: Sequence[Path], folder: Path, theirs: bool) -> float:
    """Exposures per minute through the pipelines in warm processes, without a service."""
    folder.mkdir()
    with ExitStack() as stack:
        workers = [stack.enter_context(start(folder / f"log-{number}")) for number in range(PROCESSES)]
        for worker in workers:
            _calibrate(worker, files[0], folder / "warm", theirs)
        waiting = iter(files)

        def work(worker: Worker) -> None:
            for file in waiting:
                _calibrate(worker, file, folder / "out", theirs)

        began = time.monotonic()
        with ThreadPoolExecutor(PROCESSES) as pool:
            list(pool.map(work, workers))
        seconds = time.monotonic() - began
    shutil.rmtree(folder)
    return 60 * len(files) / seconds


def _calibrate(worker: Worker, file: Path, output: Path, theirs: bool) -> None:
    for pipeline, suffix in STAGES.items():
        steps = {"steps": [step.name for step in pipelines.load(pipeline).steps]} if theirs else {}
        worker.ask("run", pipeline=pipeline, file=file, output_dir=output, **steps)
        file = output / file.name.replace("_uncal", f"_{suffix}")


def measure(base: Path, data: Path, singles: int, flood: int, official_ones: int) -> str:
    crds, files = exposures(data, 2 + singles + singles // 4 + flood)
    variables = environment(crds) | SINGLE
    rows, rush = serve(base, crds, files, singles)
    per_minute = 60 * flood / rush.seconds
    ours = bare(lambda log: official.our_worker(variables, log), files[-flood:], base / "ours", False)
    rates = [("the service", f"{per_minute:.0f}", "1.00"), _rate("calwebbd's pipelines", ours, per_minute)]
    if "CALWEBBD_OFFICIAL_VENV" in os.environ:
        some = files[-official_ones:]
        theirs = bare(lambda log: official.official_worker(variables, log), some, base / "theirs", True)
        rates.append(_rate("the official pipelines", theirs, per_minute))
    head = ("s, median and 99 of 100", "from the file to its product", "computing", "the rest")
    return "\n\n".join(
        (
            f"{machine()}; NIRCam, 160 x 160 pixels, 5 groups; {singles} one by one.",
            table(head, rows),
            table((f"{PROCESSES} processes", "exposures per minute", "service to this"), rates),
            f"The service's own process took {1000 * rush.own_s / flood:.0f} ms of processor time for each.",
        )
    )


def _rate(what: str, per_minute: float, service: float) -> tuple[str, ...]:
    return what, f"{per_minute:.0f}", f"{service / per_minute:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    option = parser.add_argument
    option("--singles", type=int, default=60, metavar="N", help="one by one; default: 60")
    option("--flood", type=int, default=150, metavar="N", help="at once; default: 150")
    option("--official", type=int, default=20, metavar="N", help="of those, through the official pipelines")
    option("--data", type=Path, metavar="DIR", help="keep simulated data here, and use those that are there")
    option("--write", type=Path, metavar="PAGE", help="the tables go there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="calwebbd-latency-") as scratch:
        base = Path(scratch)
        text = measure(base, args.data or base, args.singles, args.flood, args.official)
    print(text)
    if args.write:
        write(args.write, "tests/bench/latency.py", text)


if __name__ == "__main__":
    main()
