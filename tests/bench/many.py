"""Peak of memory of image3 for ever more exposures, and a picture of it.

    python tests/bench/many.py DATA [--counts 4 8 16 32 64] [--picture docs/pictures/image3_memory.png]

A few full frames are simulated and calibrated into DATA, and 1024 x 1024 pixels are cut from them, with
a corner that differs from exposure to exposure: dithers of one another whose stars lie where they should.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot"), str(Path(__file__).parent)]

import official  # noqa: E402
from associate import associate  # noqa: E402
from readouts import DITHERS  # noqa: E402
from workers import Answer  # noqa: E402

from calwebbd.stages.exposure import Image  # noqa: E402
from calwebbd.stages.fits import read_image  # noqa: E402
from calwebbd.stages.simulate import environment  # noqa: E402

SIDE = 1024
STEP = 16  #: pixels between corners


def make(data: Path, most: int) -> tuple[Path, list[Path]]:
    """The CRDS cache, and calibrated exposures of SIDE x SIDE pixels, made if they are not there."""
    crds, raw = DITHERS.simulated(data)
    folder = crds.parent / f"cut-{SIDE}"
    cut = [
        folder / raw[0].name.replace("_00001_", f"_{n + 1:05d}_").replace("uncal", "cal") for n in range(most)
    ]
    if not all(path.exists() for path in cut):
        folder.mkdir(exist_ok=True)
        frames = [_calibrated(crds, file, "cal") for file in raw]
        for number, path in enumerate(cut):
            _cut(frames[number % len(frames)], number, path)
    return crds, cut


def _calibrated(crds: Path, raw: Path, suffix: str) -> Path:
    """A full frame, through stages 1 and 2, if that has not been done."""
    product = crds.parent / "made" / raw.name.replace("uncal", suffix)
    if not product.exists():
        source = raw if suffix == "rate" else _calibrated(crds, raw, "rate")
        pipeline = {"rate": "detector1", "cal": "image2"}[suffix]
        with official.our_worker(environment(crds), crds.parent / f"{pipeline}.log") as worker:
            worker.ask("run", pipeline=pipeline, file=source, output_dir=product.parent)
    return product


def _cut(frame: Path, number: int, path: Path) -> None:
    """Part of a full frame, as an exposure of its own."""
    from calwebbd.stages.fits.write import write

    image = read_image(frame)
    y, x = (STEP * (number // 4 % 8 + 1), STEP * (number // 32 + number % 7 + 1))
    for name in Image.ARRAYS:
        if (array := getattr(image, name)) is not None:
            setattr(image, name, np.ascontiguousarray(array[y : y + SIDE, x : x + SIDE]))
    _move(image.wcs, x, y)
    corners = np.array(image.wcs(*np.array([[0, 0, 1, 1], [0, 1, 1, 0]]) * (SIDE - 1.0)))
    image.header.update(
        SUBSIZE1=SIDE,
        SUBSIZE2=SIDE,
        SUBSTRT1=x + 1,
        SUBSTRT2=y + 1,
        EXPOSURE=f"{number + 1:05d}",
        S_REGION="POLYGON ICRS " + " ".join(f"{value:.9f}" for value in corners.T.ravel()),
    )
    write(image, path)


def _move(wcs: Any, x: int, y: int) -> None:
    """The same sky for pixels that are counted from another corner."""
    from astropy.modeling.models import Shift

    wcs.bounding_box = None
    wcs.insert_transform(wcs.available_frames[0], Shift(x) & Shift(y), after=True)
    wcs.bounding_box = (-0.5, SIDE - 0.5), (-0.5, SIDE - 0.5)


def measure(crds: Path, cut: Sequence[Path], counts: Sequence[int]) -> list[Answer]:
    """Each count of exposures through image3, in a process of its own."""
    answers = []
    with tempfile.TemporaryDirectory(dir=cut[0].parent, prefix="image3-") as scratch:
        for count in counts:
            folder = Path(scratch, str(count))
            folder.mkdir()
            members = [folder / path.name for path in cut[:count]]
            for link, path in zip(members, cut, strict=False):
                link.symlink_to(path)
            (asn,) = associate(members)
            with official.our_worker(environment(crds), Path(scratch, "log")) as worker:
                answers.append(worker.ask("run", pipeline="image3", file=asn, output_dir=folder / "out"))
            print(_row(count, answers[-1]), flush=True)
            shutil.rmtree(folder)
    return answers


def _row(count: int, answer: Answer) -> str:
    return f"| {count} | {answer.wall:.1f} | {answer.cpu:.1f} | {answer.peak_mb:.0f} |"


def draw(counts: Sequence[int], answers: Sequence[Answer], picture: Path) -> None:
    """Peak of memory, and what the exposures would take all at once, against their number."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot(counts, [answer.peak_mb for answer in answers], "o-", label="image3, peak")
    arrays = [7 * 4 * SIDE**2 * count / 2**20 for count in counts]
    axes.plot(counts, arrays, "--", color="grey", label="arrays of the exposures")
    axes.set(xlabel=f"exposures of {SIDE} x {SIDE} pixels", ylabel="MB", ylim=(0, None), xlim=(0, None))
    axes.legend()
    figure.savefig(picture, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="simulated data are kept here, and used if they are there")
    parser.add_argument("--counts", type=int, nargs="+", default=[4, 8, 16, 32, 64])
    parser.add_argument("--picture", type=Path, help="draw one here; takes matplotlib")
    args = parser.parse_args()
    crds, cut = make(args.data, max(args.counts))
    print("| exposures | wall, s | processor, s | peak, MB |\n|--:|--:|--:|--:|")
    answers = measure(crds, cut, args.counts)
    if args.picture:
        draw(args.counts, answers, args.picture)


if __name__ == "__main__":
    main()
