"""Find cosmic rays that are known, with calwebbd and with the official package.

    python tests/oracle/jump_truth.py [--seed 1] [--write]

Ramps of noise and single-pixel hits of random heights, with showers for MIRI, go through the jump
step of both with its defaults. Exit code 0 if both give the same flags.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot")]

from official import VERSION, official_worker, our_worker  # noqa: E402
from workers import Answer  # noqa: E402

from calwebbd.stages.flags import JUMP_DET  # noqa: E402

PAGE = ROOT / "docs" / "jumps.md"
HEIGHTS = (3, 4, 5, 6, 8, 12, 20, 1000)  # sigma of one difference
SPACING = 5  # pixels between places where there may be a hit


@dataclass(frozen=True)
class Readout:
    """ngroups of nframes each, every group_time s; gain, e-/DN; noise of one frame, e-; rates, e-/s."""

    name: str
    shape: tuple[int, int, int]
    nframes: int
    group_time: float
    gain: float
    noise: float
    rates: tuple[float, float]
    showers: int = 0

    def settings(self) -> dict[str, Any]:
        """What `find_jumps` is told."""
        return {"nframes": self.nframes, "group_time": self.group_time, "showers": self.showers > 0}


READOUTS = (
    Readout("NIRCam RAPID, 5 groups", (5, 1024, 1024), 1, 10.737, 2.0, 11.0, (0.1, 100.0)),
    Readout("NIRCam RAPID, 10 groups", (10, 1024, 1024), 1, 10.737, 2.0, 11.0, (0.1, 100.0)),
    Readout("NIRCam MEDIUM8, 10 groups", (10, 1024, 1024), 8, 107.37, 2.0, 11.0, (0.1, 100.0)),
    Readout("MIRI FASTR1, 40 groups", (40, 1024, 1032), 1, 2.775, 3.1, 20.0, (1.0, 300.0), showers=30),
)


@dataclass(frozen=True)
class Sky:
    """A ramp, DN, and what is in it: the height of each hit, sigma, and the samples of showers."""

    sci: NDArray[np.float32]
    heights: NDArray[np.float32]
    showers: NDArray[np.bool_]


def observe(readout: Readout, rng: np.random.Generator) -> Sky:
    """One integration; its arrays are (ngroups, ny, nx)."""
    shape = readout.shape
    rate = np.exp(rng.uniform(*np.log(readout.rates), shape[1:]))
    mean = rate * readout.group_time
    sigma = np.sqrt(mean + 2 * readout.noise**2 / readout.nframes)
    heights = np.zeros(shape, np.float32)
    y, x = (axis.ravel() for axis in np.mgrid[2 : shape[1] - 2 : SPACING, 2 : shape[2] - 2 : SPACING])
    heights[rng.integers(1, shape[0], y.size), y, x] = np.exp(rng.uniform(*np.log((2, 200)), y.size))
    showers = np.zeros(shape, bool)
    steps = rng.poisson(mean, shape) + heights * sigma
    for _ in range(readout.showers):
        group, centre = rng.integers(1, shape[0] - 8), rng.uniform(0, shape[1], 2)
        inside = _ellipse(shape[1:], centre, rng)
        showers[group] |= inside
        steps[group] += inside * sigma * rng.uniform(1.0, 2.5)
    ramp = np.cumsum(steps, axis=0) + rng.normal(0, readout.noise / np.sqrt(readout.nframes), shape)
    return Sky((ramp / readout.gain).astype(np.float32), heights, showers)


def _ellipse(shape: tuple[int, ...], centre: Any, rng: np.random.Generator) -> NDArray[np.bool_]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    turn, a, b = rng.uniform(0, np.pi), *rng.uniform(8, 40, 2)
    along = (y - centre[0]) * np.cos(turn) + (x - centre[1]) * np.sin(turn)
    across = (x - centre[1]) * np.cos(turn) - (y - centre[0]) * np.sin(turn)
    return np.asarray((along / a) ** 2 + (across / b) ** 2 < 1)


def save(readout: Readout, sky: Sky, folder: Path) -> None:
    """The arrays that both jump steps start from."""
    shape = readout.shape[1:]
    np.save(folder / "sci.npy", sky.sci[np.newaxis])
    np.save(folder / "gain.npy", np.full(shape, readout.gain, np.float32))
    cds = np.sqrt(2) * readout.noise / readout.gain
    np.save(folder / "readnoise.npy", np.full(shape, cds, np.float32))


def found(sky: Sky, groupdq: NDArray[np.uint8]) -> list[float]:
    """Fraction flagged of the hits, by height; of samples where nothing happened; of those in showers."""
    jump = groupdq & JUMP_DET != 0
    hit = (sky.heights > 0) & ~sky.showers.any(axis=0)
    hits = [jump[hit & (sky.heights >= low) & (sky.heights < high)].mean() for low, high in pairwise(HEIGHTS)]
    quiet = ~(_near((sky.heights > 0).any(axis=0)) | sky.showers.any(axis=0))
    showers = float(jump[sky.showers].mean()) if sky.showers.any() else float("nan")
    return [*map(float, hits), float(jump[1:, quiet].mean()), showers]


def _near(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """These pixels and their neighbours, which a large hit flags too."""
    near = pixels.copy()
    for axis in (0, 1):
        for shift in (1, -1):
            near |= np.roll(pixels, shift, axis)
    return near


def page(rows: list[str]) -> str:
    """The table, in Markdown."""
    bins = [f"{low} to {high}" for low, high in pairwise(HEIGHTS[:-1])] + [f"above {HEIGHTS[-2]}"]
    head = ["Read-out", "Jump step", *bins, "False", "In showers", "CPU, s", "Memory, MB"]
    return "\n".join(
        [
            "# Jumps that are known",
            "",
            f"calwebbd and jwst {VERSION} on simulated ramps of noise and single-pixel hits, with the",
            "defaults of the jump step. Made by `python tests/oracle/jump_truth.py --write`.",
            "",
            "The fraction that is flagged: of hits, by their height in units of the noise (sigma) of one",
            "difference; of samples of pixels in which nothing happened (false); of samples in showers of",
            "1 to 2.5 sigma, of which there are 30 in the MIRI exposure.",
            "",
            f"| {' | '.join(head)} |",
            "|" + " --- |" * len(head),
            *rows,
            "",
        ]
    )


def row(readout: Readout, who: str, fractions: list[float], answer: Answer) -> str:
    *hits, false, showers = fractions
    cells = [f"{value:.1%}" for value in hits] + [f"{false:.3%}"]
    cells += ["" if np.isnan(showers) else f"{showers:.1%}", f"{answer.cpu:.1f}", f"{answer.peak_mb:.0f}"]
    return f"| {readout.name} | {who} | {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    rows, same = [], True
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for readout in READOUTS:
            sky = observe(readout, np.random.default_rng(args.seed))
            save(readout, sky, folder)
            flags = {}
            for who, start in (("ours", our_worker), ("theirs", official_worker)):
                with start({}, folder / "log") as worker:
                    if who == "ours":
                        worker.ask("warm")
                    answer = worker.ask("find_jumps", folder=folder, **readout.settings())
                flags[who] = np.load(folder / f"{who}.npy")[0]
                rows.append(row(readout, who, found(sky, flags[who]), answer))
                print(rows[-1], flush=True)
            same &= np.array_equal(flags["ours"], flags["theirs"])
    if args.write:
        PAGE.write_text(page(rows))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
