"""Compare image3 with the official package where a parameter has another value than its default.

    python tests/oracle/compare_mosaics.py [--steps NAME …] [--results DIR] [--write]

The first detector of the imaging night of `nights`, four dithers, is calibrated by calwebbd in the context
jwst_0002.pmap (CRDS parameters), and gets cosmic rays and a satellite as in `imaging_truth`. For each trial
of `mosaic_trials` both packages combine these same files.
With a folder for the results, what is in it is not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from zlib import crc32

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot"), str(Path(__file__).parent)]

import asdf  # noqa: E402
import mosaic_trials  # noqa: E402
import numpy as np  # noqa: E402
import official  # noqa: E402
import section  # noqa: E402
from agreement import Agreement, of_arrays, of_catalogues, of_files, places, total  # noqa: E402
from associate import associate  # noqa: E402
from astropy.io import fits  # noqa: E402
from astropy.table import Table  # noqa: E402
from compare_official import our_name  # noqa: E402
from findings import cell  # noqa: E402
from imaging_truth import spoil  # noqa: E402
from matrix import DASH  # noqa: E402
from nights import IMAGING  # noqa: E402
from outliers import of_masks  # noqa: E402
from workers import Worker  # noqa: E402

from calwebbd.stages import pipelines  # noqa: E402
from calwebbd.stages.associations import load_asn  # noqa: E402
from calwebbd.stages.fits import read_image  # noqa: E402
from calwebbd.stages.names import split_suffix  # noqa: E402
from calwebbd.stages.simulate import environment  # noqa: E402
from calwebbd.stages.steps.resample import FrameParams, output_frame  # noqa: E402

PAGE = ROOT / "docs" / "imaging_agreement.md"
SCRIPT = "tests/oracle/compare_mosaics.py"
CONTEXT, SEED = "jwst_0002.pmap", 1
STEPS = [step.name for step in pipelines.load("image3").steps]
AGAIN = "_again.ecsv"  #: what ends the name of the catalogue that ours makes of the official mosaic
COLUMNS = ("sky", "crf", "i2d", "cat", "cat of one mosaic", "segm")
HEAD = ("step", "parameters", "stars, mas", "places, mas", "flags", *COLUMNS, "other files")
UNTOLD = ("S_REGION", "S_SRCCAT", "BKGLEVEL")
KEYWORDS = ("S_", "BKG", "NDRIZ", "RESWHT", "PIXFRAC", "PXSCLRT", "PIXAR")  #: how they begin
Trial = tuple[str, dict[str, Any]]  #: step, or the pipeline; its parameters


def trials(steps: Iterable[str] = ()) -> list[Trial]:
    """Those of the steps; none: all."""
    all_of_them = [(step, told) for step, some in mosaic_trials.TRIALS.items() for told in some]
    return [(step, told) for step, told in all_of_them if not steps or step in steps]


def calibrated(folder: Path) -> tuple[dict[str, str], Path]:
    """The night, simulated and calibrated: variables of its CRDS cache, and the association of stage 3."""
    case = replace(IMAGING.cases[0], detectors=IMAGING.cases[0].detectors[:1])
    cache, raw = replace(IMAGING, cases=(case,)).simulate(folder, SEED)
    variables = environment(cache, CONTEXT)
    with official.our_worker(variables, folder / "calibration.log") as ours:
        for file in raw[case]:
            ours.ask("run", pipeline="detector1", file=file, output_dir=folder / "rate")
        for file in sorted((folder / "rate").glob("*_rate.fits")):
            ours.ask("run", pipeline="image2", file=file, output_dir=folder / "cal")
    rng = np.random.default_rng(SEED)
    for number, path in enumerate(sorted((folder / "cal").glob("*_cal.fits"))):
        spoil(path, trail=number == 1, rng=rng)
    (association,) = associate((folder / "cal").glob("*_cal.fits"))
    lists(folder / "cal", folder / case.name)
    apertures(next(cache.rglob("*_apcorr_*.fits")), folder / "cal" / mosaic_trials.APERTURES)
    return variables, association


def lists(folder: Path, truth: Path) -> None:
    """What the user of a trial would have, beside the calibrated images: catalogues, levels, and a frame."""
    stars = Table.read(truth / "truth" / "sources.ecsv")
    stars.rename_columns(["ra", "dec"], ["RA", "DEC"])
    stars["RA", "DEC"].write(folder / mosaic_trials.TRUTH)
    images = sorted(folder.glob("*_cal.fits"))
    levels = [f"{path.name} {0.1 + 0.05 * number:.2f}" for number, path in enumerate(images)]
    (folder / mosaic_trials.SKIES).write_text("\n".join(levels) + "\n")
    lines = []
    for path in images:
        root = split_suffix(path.name)[0]
        seen = Table.read(truth / "truth" / f"{root}_sources.ecsv")
        seen["x", "y"].write(folder / f"{root}_seen.ecsv")
        seen["x", "y", "ra", "dec"].write(folder / f"{root}_stars.ecsv")
        lines.append(f"{path.name} {root}_seen.ecsv")
    (folder / mosaic_trials.CATALOGUES).write_text("\n".join(lines) + "\n")
    frame = output_frame([read_image(path) for path in images], FrameParams(rotation=20.0, pixel_scale=0.04))
    asdf.AsdfFile({"wcs": frame.wcs, "array_shape": frame.shape}).write_to(folder / mosaic_trials.FRAME)


def apertures(reference: Path, to: Path) -> None:
    """The reference with as many apertures more, whose sizes need make no sense for two to agree on them."""
    with fits.open(reference) as hdus:
        more = hdus["APCORR"].data.copy()
        more["eefraction"] += 0.1
        more["radius"] *= 1.15
        more["apcorr"] /= 1.2
        hdus["APCORR"].data = np.concatenate([hdus["APCORR"].data, more]).view(fits.FITS_rec)
        hdus.writeto(to)


def measured(steps: Iterable[str], folder: Path) -> dict[str, dict[str, Any]]:
    """The result of each trial, by its key."""
    missing = {key(*trial): trial for trial in trials(steps) if not (folder / f"{key(*trial)}.json").exists()}
    if missing:
        with tempfile.TemporaryDirectory(prefix="calwebbd-mosaics-", dir=folder) as scratch:
            variables, association = calibrated(Path(scratch))
            with (
                official.official_worker(variables, folder / "official.log") as theirs,
                official.our_worker(variables, folder / "ours.log") as ours,
            ):
                for name, (step, told) in missing.items():
                    print(step, told, file=sys.stderr, flush=True)
                    result = measure(association, step, told, theirs, ours, Path(scratch) / name)
                    (folder / f"{name}.json").write_text(json.dumps(result, indent=1))
    return {key(*trial): json.loads((folder / f"{key(*trial)}.json").read_text()) for trial in trials(steps)}


def key(step: str, told: Mapping[str, Any]) -> str:
    return f"{step}-{crc32(repr(told).encode()):08x}"


def measure(
    association: Path, step: str, told: Mapping[str, Any], theirs: Worker, ours: Worker, folder: Path
) -> dict[str, Any]:
    """Combine with both, and compare all that was made."""
    values = {name: _path(association.parent, value) for name, value in told.items()}
    parameters: dict[str, dict[str, Any]] = {step: {}}
    for name, value in values.items():
        other, dot, own = name.rpartition(".")
        parameters.setdefault(other if dot else step, {})[own] = value
    request = {"pipeline": "image3", "file": association, "save_steps": True, "parameters": parameters}
    failed = {}
    for name, worker, more in (("official", theirs, {"steps": STEPS}), ("calwebbd", ours, {})):
        try:
            worker.ask("run", output_dir=folder / name, **request, **more)
        except RuntimeError as error:
            failed[name] = str(error).strip().splitlines()[-1]
    if failed:
        return {"failed": failed}
    for mosaic in (folder / "official").glob("*-sub320_i2d.fits"):
        to = folder / "calwebbd" / mosaic.name.replace("_i2d.fits", AGAIN)
        ours.ask("catalogue", file=mosaic, to=to, parameters=parameters)
    return compare(association, folder / "official", folder / "calwebbd")


def _path(folder: Path, value: Any) -> Any:
    made = folder / str(value)
    return str(made) if isinstance(value, str) and made.is_file() else value


def compare(association: Path, theirs: Path, ours: Path) -> dict[str, Any]:
    """What was made, in cells; how far apart the images are, flags, levels of the sky, and what else differs.

    more : files that ours lacks, and keywords that differ
    """
    (product,) = load_asn(association).products
    members = {product.name: [split_suffix(m.expname)[0] for m in product.members]}
    found: dict[str, dict[str, Agreement]] = {}
    more: dict[str, Any] = {}
    apart, flags = 0.0, [0, 0]
    for reference in sorted(path for path in theirs.iterdir() if path.suffix in (".fits", ".ecsv")):
        name = our_name(reference.name, members)
        candidate, kind = ours / name, kind_of(name)
        if not candidate.exists():
            more[name] = "lacking"
            continue
        if reference.suffix == ".ecsv":
            parts = (of_catalogues if kind == "cat" else of_columns)(reference, candidate)
        else:
            parts = {} if kind in ("tweakreg", "skymatch") else of_files(reference, candidate)
            if kind in COLUMNS:
                more |= {f"{name} {k}": v for k, v in keywords(reference, candidate).items()}
        if kind in ("tweakreg", "i2d"):
            apart = max(apart, float(places(reference, candidate)[0].max()))
        if kind == "skymatch":
            kind, parts = "sky", {"BKGLEVEL": of_arrays(*(level(path) for path in (reference, candidate)))}
        if kind == "crf":
            masks = of_masks(reference, candidate, candidate, lambda: None)
            flags = [flags[0] + masks.unlike, flags[1] + masks.theirs]
        again = ours / name.replace("_cat.ecsv", AGAIN)
        if kind == "cat" and again.exists():
            found["cat of one mosaic"] = of_catalogues(reference, again)
        for part, each in parts.items():
            cell = found.setdefault(kind, {})
            cell[part] = cell.get(part, Agreement()) + each
    cells = {kind: {part: asdict(each) for part, each in parts.items()} for kind, parts in found.items()}
    stars = [astray(association.parent, folder, members[product.name]) for folder in (theirs, ours)]
    return {"stars": stars, "apart": apart, "flags": flags, "cells": cells, "more": more}


def astray(given: Path, made: Path, roots: Iterable[str]) -> float | None:
    """How well images are aligned: scatter of all their stars about where they are, mas; None without crf.

    given : folder of the images, and of what is known about their stars
    """
    off = []
    for number, root in enumerate(roots):
        images = [*made.glob(f"{root}_*_crf.fits"), *made.glob(f"*_{number}_*_crf.fits")]
        if not images:
            return None
        seen, wcs = Table.read(given / f"{root}_stars.ecsv"), read_image(images[0]).wcs
        ra, dec = wcs(seen["x"], seen["y"], with_bounding_box=False)
        off += [((ra - seen["ra"]) * np.cos(np.deg2rad(dec)), dec - seen["dec"])]
    apart = np.hstack(off) * 3.6e6
    return float(np.sqrt(((apart - apart.mean(axis=1, keepdims=True)) ** 2).sum(axis=0).mean()))


def kind_of(name: str) -> str:
    """What a file is, in the words of the table."""
    if name.endswith("_cal_cat.ecsv"):
        return "sources"
    if name.startswith("fit_"):
        return "reference"
    stem = Path(name).stem
    return "outlier_i2d" if stem.endswith("_outlier_i2d") else stem.rpartition("_")[2]


def of_columns(reference: Path, candidate: Path) -> dict[str, Agreement]:
    """Row by row, the columns of numbers that both have."""
    theirs, ours = Table.read(reference), Table.read(candidate)
    return {
        name: of_arrays(np.asarray(theirs[name]), np.asarray(ours[name]))
        for name in theirs.colnames
        if name in ours.colnames and theirs[name].dtype.kind in "iuf"
    }


def keywords(reference: Path, candidate: Path) -> dict[str, list[Any]]:
    """Statuses of steps, and how the sky was taken, where they are not the same."""
    theirs, ours = fits.getheader(reference), fits.getheader(candidate)
    names = [
        name for name in {*theirs, *ours} if name.startswith(("S_", "BKG", "NDRIZ", "RESWHT", "PIXFRAC"))
    ]
    told = {name: [theirs.get(name), ours.get(name)] for name in sorted(names) if name not in UNTOLD}
    return {name: pair for name, pair in told.items() if pair[0] != pair[1] and pair != [None, "SKIPPED"]}


def level(path: Path) -> Any:
    return np.array([fits.getheader(path).get("BKGLEVEL", np.nan)], np.float64)


def table(results: Mapping[str, dict[str, Any]], steps: Iterable[str] = ()) -> str:
    """A row for each trial."""
    rows = []
    for step, told in trials(steps):
        result = results[key(step, told)]
        shown = f"`{', '.join(f'{name}={value}' for name, value in told.items())}`"
        if "failed" in result:
            rows.append(
                (step, shown, *[DASH] * (len(HEAD) - 3), ", ".join(sorted(result["failed"])) + " refuses")
            )
            continue
        cells = {
            kind: total(Agreement(**each) for each in parts.values())
            for kind, parts in result["cells"].items()
        }
        flags = f"{result['flags'][0]} of {result['flags'][1]}" if "crf" in cells else ""
        others = {kind: cell(found) for kind, found in cells.items() if kind not in COLUMNS}
        rows.append(
            (
                step,
                shown,
                " / ".join(
                    dict.fromkeys(DASH if each is None else f"{each:.1f}" for each in result["stars"])
                ),
                f"{result['apart']:{'.0f' if result['apart'] > 1 else '.1g'}}" if result["apart"] else "=",
                flags,
                *(cell(cells.get(kind)) for kind in COLUMNS),
                "; ".join(f"{kind} {found}" for kind, found in others.items()),
            )
        )
    return section.table(HEAD, rows, texts=2)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    option = parser.add_argument
    option("--steps", nargs="+", default=[], choices=list(mosaic_trials.TRIALS), help="all if not given")
    option("--results", type=Path, metavar="DIR", help="go on from what was measured before")
    option("--write", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="calwebbd-mosaics-") as scratch:
        folder = args.results or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        results = measured(args.steps, folder)
    made = table(results, args.steps)
    print(made)
    for name, result in results.items():
        print(name, json.dumps(doubtful(result)), file=sys.stderr)
    if args.write:
        section.write(PAGE, SCRIPT, made)
    return 0


def doubtful(result: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to explain of a trial."""
    wrong = {
        f"{kind} {part}": each
        for kind, parts in result.get("cells", {}).items()
        for part, each in parts.items()
        if not Agreement(**each).good
    }
    return {**wrong, **result.get("more", {}), **result.get("failed", {})}


if __name__ == "__main__":
    sys.exit(main())
