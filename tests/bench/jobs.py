"""Memory of the service over very many jobs, and a picture of it.

    python tests/bench/jobs.py [--jobs 10000] [--write docs/load.md] [--picture PNG]

Calibration is fake and takes hundredths of a second; service, queue, workers, records and files are real.
Observations of four exposures come as fast as they are done: a few are always under way.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("lib", "importroot", "campaign")]

import section  # noqa: E402
from night import Night  # noqa: E402
from observatory import DITHERS, Observatory, write  # noqa: E402

JOBS = 2 * DITHERS + 1  # of an observation
UNDER_WAY = 12  # observations
POINTS = 100  # of the picture
ROWS = 10  # of the table
DONE = "SELECT count(*) FROM activity WHERE outcome = 'complete'"


class Sample(NamedTuple):
    """Jobs that are done, s since the first, and memory of the service's own process, MB."""

    jobs: int
    seconds: float
    resident: float
    own: float  #: of which no file is the source


def samples(folder: Path, jobs: int) -> Iterator[Sample]:
    """Memory of a service from its start until so many jobs are done."""
    night = Night(folder)
    sky = Observatory(folder / "in", random.Random(1))
    process = night.start()
    began, following, done = time.monotonic(), 0, 0
    try:
        while done < jobs:
            if process.poll() is not None:
                raise RuntimeError(f"the service ended with {process.returncode}, see {folder / 'log'}")
            while JOBS * (sky.made - UNDER_WAY) < done:
                sky.observe("", write)
            rows = night.ask(DONE)
            done = rows[0][0] if rows else 0
            if done >= following:
                yield Sample(done, time.monotonic() - began, *_memory(process.pid))
                following += max(1, jobs // POINTS)
            time.sleep(0.1)
    finally:
        night.kill()


def _memory(process: int) -> tuple[float, float]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    resident, own = (int(found[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))
    return resident, own


def table(taken: list[Sample]) -> str:
    """Some of them, the last among them."""
    each = max(1, len(taken) // ROWS)
    head = ("jobs done", "s", "resident, MB", "of its own, MB")
    rows = [tuple(f"{value:.0f}" for value in sample) for sample in reversed(taken[::-1][::each])]
    return f"{section.machine()}.\n\n{section.table(head, rows)}"


def draw(taken: list[Sample], picture: Path) -> None:
    """Memory against the number of jobs."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3), layout="constrained")
    done = [sample.jobs for sample in taken]
    axes.plot(done, [sample.resident for sample in taken], label="resident")
    axes.plot(done, [sample.own for sample in taken], label="of its own")
    axes.set(xlabel="jobs done", ylabel="MB", xlim=(0, None), ylim=(0, None))
    axes.legend(loc="lower right")
    figure.savefig(picture, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the table goes there")
    parser.add_argument("--picture", type=Path, help="draw one here; takes matplotlib")
    args = parser.parse_args()
    taken = []
    with tempfile.TemporaryDirectory(prefix="calwebbd-jobs-") as folder:
        for sample in samples(Path(folder), args.jobs):
            taken.append(sample)
            print(*(f"{value:.0f}" for value in sample), flush=True)
    text = table(taken)
    print(text)
    if args.write:
        section.write(args.write, "tests/bench/jobs.py", text)
    if args.picture:
        draw(taken, args.picture)


if __name__ == "__main__":
    main()
