"""Compare mosaics and catalogues with what was put into them: calwebbd, and the official package beside it.

    python tests/oracle/imaging_truth.py [--ours] [--keep DIR] [--write]

Four dithers of two detectors are simulated and calibrated. Then a satellite crosses one exposure, and
cosmic rays that stage 1 has not found are added to all of them; both packages combine the same files.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot"), str(Path(__file__).parent)]

import official  # noqa: E402
from associate import associate  # noqa: E402
from astropy.io import fits  # noqa: E402
from astropy.table import Table  # noqa: E402
from catalogue_truth import Found, compare, spread  # noqa: E402
from nights import NOISE  # noqa: E402
from workers import Worker  # noqa: E402

from calwebbd.stages import flags, pipelines  # noqa: E402
from calwebbd.stages.simulate import Effects, environment, simulate_cache, simulate_exposures  # noqa: E402

PAGE = ROOT / "docs" / "truth_imaging.md"
PICTURE = ROOT / "docs" / "pictures" / "trail.png"
SEEN = {"detectors": ("NRCA1", "NRCALONG"), "subarray": "SUB320", "ngroups": 6, "dithers": 4, "seed": 1}
TRAIL, WIDTH = 25.0, 1.7  #: brightness of the trail, in units of ERR, and its standard deviation, pixels
HITS, HIT = 400, (15.0, 200.0)  #: cosmic rays in an exposure, and how bright they are, in units of ERR
SEEN_AT = 5.0  #: ERR; what is fainter need not be found
Array = NDArray[Any]


def spoil(path: Path, trail: bool, rng: np.random.Generator) -> tuple[Array, Array]:
    """Add cosmic rays to a calibrated image, and the trail of a satellite; both in units of ERR, (ny, nx)."""
    with fits.open(path, mode="update") as hdus:
        sci, err = hdus["SCI"].data, np.nanmedian(hdus["ERR"].data)
        y, x = np.indices(sci.shape)
        across = (y - 40 - 0.7 * x) / np.hypot(1, 0.7)
        line = TRAIL * np.exp(-0.5 * (across / WIDTH) ** 2) * trail
        hits = np.zeros(sci.shape)
        places = tuple(rng.integers(0, size, HITS) for size in sci.shape)
        hits[places] = np.exp(rng.uniform(*np.log(HIT), HITS))
        sci += (err * (line + hits)).astype(np.float32)
    return line, hits


@dataclass(frozen=True)
class Flags:
    """What outlier_detection found of the trail and of the hits, and how many pixels it flagged beside."""

    trail: tuple[int, int]  #: found, of so many
    hits: tuple[int, int]
    beside: int
    pixels: int

    def __str__(self) -> str:
        found = " | ".join(f"{100 * n / max(of, 1):.2f} % of {of}" for n, of in (self.trail, self.hits))
        return f"{found} | {self.beside} of {self.pixels}"


def flagged(folder: Path, added: dict[str, tuple[Array, Array]]) -> tuple[Flags, dict[str, Array]]:
    """Of all crf products of a folder, ours or theirs, and the masks."""
    trail, hits, beside, pixels, masks = [0, 0], [0, 0], 0, 0, {}
    for path, name in zip(
        sorted(folder.glob("*_crf.fits"), key=_by_detector), sorted(added, key=_by_detector), strict=True
    ):
        line, rays = added[name]
        with fits.open(path) as hdus:
            dq = hdus["DQ"].data
        mask = masks[name] = (dq & flags.OUTLIER) != 0
        usable = mask | ((dq & flags.DO_NOT_USE) == 0)
        of_trail, of_hits = usable & (line > SEEN_AT), usable & (rays > SEEN_AT) & (line <= SEEN_AT)
        for count, those in ((trail, of_trail), (hits, of_hits)):
            count[0] += int((mask & those).sum())
            count[1] += int(those.sum())
        clean = usable & (line + rays < 0.1)
        beside, pixels = beside + int((mask & clean).sum()), pixels + int(clean.sum())
    return Flags((trail[0], trail[1]), (hits[0], hits[1]), beside, pixels), masks


def _by_detector(file: Path | str) -> tuple[str, str]:
    """Order of exposures, and of official products, which are named for their filter and numbered."""
    name = Path(file).name
    return name.split("_")[3], name


def mosaic(folder: Path, filter: str, extension: str = "SCI") -> Array:
    (path,) = folder.glob(f"jw?????-*{filter}*_i2d.fits")
    array: Array = fits.getdata(path, extension)
    return array


def left_of(folder: Path, without: Path, clean: Path, filter: str) -> str:
    """How much of what was added shows in a mosaic, where it does without outlier_detection."""
    sigma = mosaic(clean, filter, "ERR")
    with np.errstate(invalid="ignore"):
        before, after = ((mosaic(each, filter) - mosaic(clean, filter)) / sigma for each in (without, folder))
        touched = np.isfinite(after) & (np.abs(before) > SEEN_AT)
    shown = np.abs(after[touched])
    spreads = f"{spread(before[touched]):.1f} | {spread(after[touched]):.2f}"
    return f"{touched.sum()} | {spreads} | {(shown > SEEN_AT).sum()}"


def stars(folder: Path, truth: Path, filter: str) -> Found:
    (catalogue,) = folder.glob(f"*{filter}*_cat.ecsv")
    return compare(catalogue, Table.read(truth / "sources.ecsv"))


def star_cells(found: Found) -> str:
    bright = found.signal > 20
    inner = found.offset - np.median(found.offset[:, bright], axis=1, keepdims=True)
    x, y = (1000 * spread(axis[bright]) for axis in inner)
    flux = 100 * (found.flux[bright] - 1)
    number = f"{len(found.flux)} of {found.injected}"
    place = f"{x:.1f}, {y:.1f} | {1000 * np.median(found.limit[bright]):.1f}"
    return f"{number} | {np.median(flux):+.2f} ± {spread(flux):.2f} | {place}"


@dataclass(frozen=True)
class Site:
    """The folders of a comparison, and who works there; theirs is None if only calwebbd is looked at."""

    folder: Path
    cache: Path
    ours: Worker
    theirs: Worker | None

    def calibrate(self, raw: Sequence[Path], to: str) -> list[Path]:
        for path in raw:
            self.ours.ask("run", pipeline="detector1", file=path, output_dir=self.folder / to)
        for path in sorted((self.folder / to).glob("*_rate.fits")):
            self.ours.ask("run", pipeline="image2", file=path, output_dir=self.folder / to)
        return sorted((self.folder / to).glob("*_cal.fits"))

    def combine(self, cals: Sequence[Path], to: str, worker: Worker, skip: str = "") -> Path:
        parameters = {skip: {"skip": True}} if skip else {}
        more: dict[str, Any] = {} if worker is self.ours else {"steps": STEPS}
        for asn in associate(cals):
            arguments = {"pipeline": "image3", "file": asn, "output_dir": self.folder / to} | more
            worker.ask("run", **arguments, parameters=parameters)
        return self.folder / to


STEPS = [step.name for step in pipelines.load("image3").steps]


def measure(site: Site) -> Iterator[str]:
    """The lines of the page."""
    simulated = simulate_exposures(site.cache, site.folder / "raw", **SEEN)
    quiet = simulate_exposures(site.cache, site.folder / "quiet", **SEEN, effects=Effects().without(*NOISE))
    cals = site.calibrate(simulated.paths, "cal")
    folders = {"without noise": site.combine(site.calibrate(quiet.paths, "quietcal"), "still", site.ours)}
    clean = site.combine(cals, "clean", site.ours)
    rng = np.random.default_rng(1)
    added = {path.name: spoil(path, "00002" in path.name, rng) for path in cals}
    without = site.combine(cals, "without", site.ours, skip="outlier_detection")
    folders = {"calwebbd": site.combine(cals, "ours", site.ours)} | folders
    if site.theirs:
        folders = {"official": site.combine(cals, "theirs", site.theirs)} | folders
    yield "## Stars\n\n| | | found | flux, % | place, mpx | photons, mpx |\n|---|---|--:|--:|--:|--:|"
    for filter in ("f200w", "f444w"):
        for name, folder in folders.items():
            truth = (quiet if name == "without noise" else simulated).truth
            yield f"| {filter.upper()} | {name} | {star_cells(stars(folder, truth, filter))} |"
    yield "\n## Cosmic rays and a satellite\n\n| | trail | cosmic rays | flagged beside |\n|---|--:|--:|--:|"
    masks = {}
    for name in [name for name in folders if name != "without noise"]:
        found, masks[name] = flagged(folders[name], added)
        yield f"| {name} | {found} |"
    if site.theirs:
        yield "\n" + differing(masks["calwebbd"], masks["official"], added)
    yield (
        "\n| mosaic | | pixels touched | before, ERR | after, ERR | still above 5 ERR |"
        "\n|---|---|--:|--:|--:|--:|"
    )
    for filter in ("f200w", "f444w"):
        for name in masks:
            yield f"| {filter.upper()} | {name} | {left_of(folders[name], without, clean, filter)} |"
    draw([mosaic(each, "f200w") for each in (without, folders["calwebbd"])], site.folder / PICTURE.name)


def differing(ours: dict[str, Array], theirs: dict[str, Array], added: dict[str, tuple[Array, Array]]) -> str:
    """How many flags are not the same, and who is right."""
    number = right = 0
    for name, (line, hits) in added.items():
        unlike = ours[name] != theirs[name]
        number += int(unlike.sum())
        right += int((unlike & (ours[name] == (line + hits > SEEN_AT))).sum())
    if not number:
        return "The flags of both are the same in all pixels."
    return f"The flags of {number} pixels are not the same; in {right} of them those of calwebbd are right."


def draw(mosaics: Sequence[Array], path: Path) -> None:
    """Side by side, in the colours of quick-look pictures."""
    from PIL import Image

    from calwebbd.stages.pictures import coloured

    low, high = np.nanpercentile(mosaics[0], (1, 99.7))
    pieces = [coloured(np.clip(each, low, high))[::-1] for each in mosaics]
    Image.fromarray(np.concatenate(pieces, axis=1)).quantize(64).save(path, optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ours", action="store_true", help="without the official package")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave all files in this new folder")
    parser.add_argument(
        "--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)} and its picture"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="calwebbd-truth-") as scratch:
        folder = (args.keep or Path(scratch)).absolute()
        folder.mkdir(exist_ok=True)
        simulate_cache(folder / "crds", detectors=SEEN["detectors"], subarrays=(SEEN["subarray"],))
        variables = environment(folder / "crds")
        with official.our_worker(variables, folder / "ours.log") as ours:
            if args.ours:
                lines = list(measure(Site(folder, folder / "crds", ours, None)))
            else:
                with official.official_worker(variables, folder / "official.log") as theirs:
                    lines = list(measure(Site(folder, folder / "crds", ours, theirs)))
        page = "\n".join([HEADER.format(ours=version("calwebbd"), official=official.VERSION), *lines, TAIL])
        print(page)
        if args.write:
            PAGE.write_text(page)
            PICTURE.write_bytes((folder / PICTURE.name).read_bytes())
    return 0


HEADER = """# Mosaics beside the truth

calwebbd {ours} and jwst {official} combine the same files: four simulated dithers of NIRCam's NRCA1
(F200W) and NRCALONG (F444W), SUB320, 6 groups, seed 1, calibrated by calwebbd. Then 400 cosmic rays
that stage 1 has not found are added to each image, and a satellite crosses the second exposure.
Made by `python tests/oracle/imaging_truth.py --write`. What the columns mean is [below](#how-to-read-it).
"""
TAIL = """
![The mosaic in F200W without outlier_detection, and with it](pictures/trail.png)

The mosaic in F200W without outlier_detection, and with it. What stays of the trail, at the right edge,
only one exposure has seen.

## How to read it

**Stars** are those that stand alone, by 20 pixels, inside of the mosaic. *Found*: in the catalogue, of those
injected. *Flux*: the total flux of the catalogue over the injected one, less one: median ± scatter. *Place*:
the scatter of catalogue less truth along x and along y, in thousandths of a pixel of the mosaic, about their
median (that is the pointing error of the first exposure, with which the others are aligned). *Photons*: the
scatter that photons alone allow, width of the image / S/N. Flux and place are of stars of S/N > 20; scatter
is half the range that holds the central 68 %.

What stars are off by in flux is not noise. The row *without noise* has the same stars, dithers and
references, and no photon, read, bias or cosmic-ray noise at all: fluxes have the same bias and scatter, star
by star. Circles of 1.9 pixels, which hold 70 % of the light, lie on images with 2.2 pixels to the width of a
star, sampled at four places: how much of the light falls into a circle depends by 1 % on where in its pixel
a star stands. Of hundreds of stars on a grid, without noise, the median is -0.3 % in F200W and +0.3 % in
F444W; count rates of the exposures are right to 0.1 %. Nor is it calwebbd's doing: the official package finds
the same fluxes.

Places: without noise their scatter is 1 to 2 times the photon limit, again by sampling. With it, most of
the rest is the turn that alignment by some 20 stars leaves from one exposure to another, of a few
thousandths of a degree: without a linear map between truth and catalogue, 25.1 and 19.9 become 11.4 and 9.4
in F200W. In F444W it is cosmic rays left in segments, whose moments the places are: Gaussians fitted to
the same stars scatter by 6.9 and 9.2. The limit itself is too low by up to 1.5, as ERR of a mosaic leaves
out that drizzled pixels share their noise (Fruchter & Hook 2002,
[doi:10.1086/338393](https://doi.org/10.1086/338393)).

**Trail and cosmic rays** are counted, in pixels of the exposures, where they are brighter than 5 ERR. Those
that are not flagged lie close to that limit (the step's own is 5 ERR too, and more on the flanks of stars),
or where no other exposure looks. Flagged beside are pixels to which less than 0.1 ERR has been added.

**Mosaics** are compared with one of the same files before anything was added. Pixels touched are those that
differ from it by more than 5 ERR when outlier_detection is skipped; *before* (without the step) and *after*
(with it) are the scatter of their differences, *still above 5 ERR* is how many of them the step leaves so.
"""


if __name__ == "__main__":
    sys.exit(main())
