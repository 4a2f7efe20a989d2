"""Compare calwebbd with the official package, step by step, on simulated exposures.

    python tests/oracle/compare_official.py [--full] [--seeds 1 2] [--write]

The official package gets a virtual environment of its own, once. Both calibrate the same
exposures with the same references; each also goes on from what the other made. Exit
code 0 if all agrees and every product of ours is valid.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot")]

import official  # noqa: E402
from agreement import ATOL, FRACTION, RTOL, Agreement, of_files, total  # noqa: E402
from associate import associate  # noqa: E402
from astropy.io import fits  # noqa: E402
from nights import CONTEXTS, FULL, SMALL, Case  # noqa: E402
from workers import Worker  # noqa: E402

from calwebbd.stages import pipelines  # noqa: E402
from calwebbd.stages.associations import load_asn  # noqa: E402
from calwebbd.stages.exptypes import pipeline_for  # noqa: E402
from calwebbd.stages.fits import read_header  # noqa: E402
from calwebbd.stages.names import PRODUCTS, split_suffix  # noqa: E402
from calwebbd.stages.simulate import environment  # noqa: E402

PAGE = ROOT / "docs" / "comparison.md"
STEPS = "Step by step, from the same input"
CROSSED = "From what the other made"
HEADER = f"""# Comparison with the official package

calwebbd {{ours}} beside jwst {{official}}, on simulated NIRCam exposures (seeds {{seeds}}). Made by
`python tests/oracle/compare_official.py --write`.

All image extensions are compared. A value agrees if it differs by no more than {ATOL:g} + {RTOL:g}
times the official one, flags if they are equal, NaN if both are. One pixel in {1 / FRACTION:,.0f} may
do otherwise: there rounding decides which way a test falls. `=` is equality to the last bit; a
number is the largest difference, as a fraction of what is allowed; what does not agree is
counted."""


@dataclass
class Findings:
    """What was found; `column` is a case in a context, `table` one of those above.

    rows : agreement of all extensions, by (table, product) and column
    wrong : what does not agree, by (product, extension, column)
    invalid : files that their data model refuses, and why
    """

    columns: list[str] = field(default_factory=list)
    rows: dict[tuple[str, str], dict[str, Agreement]] = field(default_factory=dict)
    wrong: dict[tuple[str, str, str], Agreement] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)
    files: int = 0
    left_out: set[str] = field(default_factory=set)

    @property
    def good(self) -> bool:
        return not self.wrong and not self.invalid

    def add(self, table: str, product: str, column: str, found: dict[str, Agreement]) -> None:
        """One file compared."""
        cells = self.rows.setdefault((table, product), {})
        cells[column] = cells.get(column, Agreement()) + total(found.values())
        for extension, each in found.items():
            if not each.good:
                key = (product, extension, column)
                self.wrong[key] = self.wrong.get(key, Agreement()) + each


@dataclass
class Night:
    """One case in one context with one seed, calibrated by both."""

    folder: Path
    column: str
    theirs: Worker
    ours: Worker
    findings: Findings

    def compare(self, raw: Sequence[Path]) -> None:
        """Run all stages and note how what they made agrees."""
        self._stage("detector1", "1", raw, raw)
        theirs, ours = (_rates(self.folder / f"{who}1") for who in ("theirs", "ours"))
        self._stage("image2", "2", theirs, ours)
        theirs, ours = (associate((self.folder / f"{who}2").glob("*_cal.fits")) for who in ("theirs", "ours"))
        self._stage("image3", "3", theirs, ours)
        made = sorted(str(p) for p in self.folder.glob("ours*/*.fits") if split_suffix(p.name)[2] in PRODUCTS)
        self.findings.files += len(made)
        for file, reason in self.theirs.ask("validate", files=made).result.items():
            self.findings.invalid.append(f"{Path(file).name} ({self.column}): {reason}")

    def _stage(self, pipeline: str, stage: str, theirs: Sequence[Path], ours: Sequence[Path]) -> None:
        """Each from its own input, and, where those are not the same, each from the other's."""
        if not theirs:
            return
        self._official(pipeline, theirs, f"theirs{stage}")
        same = theirs == ours
        self._run(pipeline, theirs, f"ours{stage}" if same else f"ours_on_theirs{stage}")
        self._note(STEPS, f"theirs{stage}", f"ours{stage}" if same else f"ours_on_theirs{stage}", pipeline)
        if not same:
            self._run(pipeline, ours, f"ours{stage}")
            self._official(pipeline, ours, f"theirs_on_ours{stage}")
            self._note(CROSSED, f"theirs{stage}", f"ours{stage}", f"{pipeline}, ours throughout")
            self._note(CROSSED, f"theirs{stage}", f"theirs_on_ours{stage}", f"official {pipeline} on ours")

    def _official(self, pipeline: str, files: Iterable[Path], to: str) -> None:
        steps = [step.name for step in pipelines.load(pipeline).steps]
        for file in files:
            arguments = {"pipeline": pipeline, "file": file, "output_dir": self.folder / to, "steps": steps}
            self.findings.left_out.update(self.theirs.ask("run", **arguments, save_steps=True).result)

    def _run(self, pipeline: str, files: Iterable[Path], to: str) -> None:
        for file in files:
            self.ours.ask("run", pipeline=pipeline, file=file, output_dir=self.folder / to, save_steps=True)

    def _note(self, table: str, theirs: str, ours: str, label: str) -> None:
        """Compare what is in two folders; of crossed runs, the products alone."""
        members = _members(self.folder)
        for reference in sorted((self.folder / theirs).glob("*.fits"), key=lambda p: p.stat().st_mtime_ns):
            by_official = label.startswith("official")
            name = reference.name if by_official else _our_name(reference.name, members)
            suffix, candidate = _suffix(name), self.folder / ours / name
            if table == CROSSED and suffix not in PRODUCTS:
                continue
            if candidate.exists():
                self.findings.add(table, f"{label}: {suffix}", self.column, of_files(reference, candidate))
            elif not _skipped(reference, suffix):
                self.findings.add(table, f"{label}: {suffix}", self.column, {"file": Agreement(1, over=1)})


def _members(folder: Path) -> dict[str, list[str]]:
    """The members of each association of stage 3, by the name of its product."""
    associations = [load_asn(file) for file in folder.glob("theirs2/*_asn.json")]
    return {
        asn.products[0].name: [split_suffix(m.expname)[0] for m in asn.products[0].members]
        for asn in associations
    }


def _our_name(name: str, members: dict[str, list[str]]) -> str:
    """What calwebbd calls a file that the official package has saved under this name."""
    fitted = re.fullmatch(r"(.+)_([01])_ramp_fit\.fits", name)
    of_member = re.fullmatch(r"(jw\d+-(o\d+)_.+?)_(\d+)_(?:o\d+_)?([a-z_]+)\.fits", name)
    if fitted:
        return f"{fitted[1]}_ramp_fit{'ints' if fitted[2] == '1' else ''}.fits"
    if of_member:
        return f"{members[of_member[1]][int(of_member[3])]}_{of_member[2]}_{of_member[4]}.fits"
    return name


def _suffix(name: str) -> str:
    """The suffix, of a product or of a step: ``ramp_fit``, and ``ramp_fitints`` by integration."""
    whole = split_suffix(name)[2]
    return whole or split_suffix(name.removesuffix("ints.fits"))[2] + "ints"


def _skipped(file: Path, suffix: str) -> bool:
    """Whether the step that saved this file says that it did nothing."""
    for name in pipelines.NAMES:
        for step in pipelines.load(name).steps:
            if step.name == suffix.removesuffix("ints"):
                return bool(fits.getheader(file).get(step.keyword) == "SKIPPED")
    return False


def _rates(folder: Path) -> list[Path]:
    """The products of stage 1 that stage 2 takes."""
    rates = sorted([*folder.glob("*_rate.fits"), *folder.glob("*_rateints.fits")])
    return [p for p in rates if pipeline_for(read_header(p), split_suffix(p.name)[2]).pipeline == "image2"]


def compare(cases: Iterable[Case], seeds: Iterable[int], folder: Path) -> Findings:
    """Compare all cases with all seeds, in both contexts."""
    findings = Findings()
    for case in cases:
        for seed in seeds:
            here = folder / f"{case.name}-{seed}"
            cache, raw = case.make(here, seed)
            for context, title in CONTEXTS.items():
                column = f"{case.title}; {title}"
                if column not in findings.columns:
                    findings.columns.append(column)
                print(f"{case.name}, seed {seed}, {context}", file=sys.stderr)
                variables = environment(cache, context)
                to = here / context.removesuffix(".pmap")
                to.mkdir()
                with (
                    official.official_worker(variables, to / "official.log") as theirs,
                    official.our_worker(variables, to / "ours.log") as ours,
                ):
                    Night(to, column, theirs, ours, findings).compare(raw)
    return findings


def page(findings: Findings, seeds: Sequence[int]) -> str:
    """The findings as a page of the documentation."""
    header = HEADER.format(
        ours=version("calwebbd"), official=official.VERSION, seeds=", ".join(map(str, seeds))
    )
    letters = {column: chr(65 + n) for n, column in enumerate(findings.columns)}
    key = "\n".join(f"* **{letter}**: {column}" for column, letter in letters.items())
    tables = [_table(findings, name, letters) for name in dict.fromkeys(table for table, _ in findings.rows)]
    valid = (
        f"Of {findings.files} files made by calwebbd, {len(findings.invalid)} are not valid for stdatamodels."
    )
    left_out = ", ".join(sorted(findings.left_out)) or "none"
    left = f"Steps left out on both sides, for calwebbd does not have them yet: {left_out}."
    wrong = [
        f"{product}, {extension}, {letters[column]}: {found.over} of {found.pixels} over, {found.nans} NaN"
        for (product, extension, column), found in findings.wrong.items()
    ]
    end = "\n".join(f"* {line}" for line in (*wrong, *findings.invalid)) or "Nothing."
    return "\n\n".join([header, key, *tables, valid, left, "## What does not agree", end]) + "\n"


def _table(findings: Findings, name: str, letters: dict[str, str]) -> str:
    lines = [f"## {name}\n", f"| | {' | '.join(letters.values())} |", "|---" * (len(letters) + 1) + "|"]
    for (table, product), cells in findings.rows.items():
        if table == name:
            row = " | ".join(_cell(cells.get(column)) for column in letters)
            lines.append(f"| {product} | {row} |")
    return "\n".join(lines)


def _cell(found: Agreement | None) -> str:
    if found is None:
        return ""
    if not found.good:
        return f"**{found.over} over, {found.nans} NaN**"
    some = f", {found.over} over" if found.over else ""
    return (f"{found.worst:.2g}" if found.worst else "=") + some


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--full", action="store_true", help="a full frame of ten groups too")
    parser.add_argument("--cases", nargs="+", help="only these: " + ", ".join(c.name for c in (*SMALL, FULL)))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], metavar="N")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave all files in this new folder")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    wanted = args.cases or [case.name for case in SMALL] + ["full"] * args.full
    cases = [case for case in (*SMALL, FULL) if case.name in wanted]
    with tempfile.TemporaryDirectory(prefix="calwebbd-oracle-") as scratch:
        folder = args.keep or Path(scratch)
        findings = compare(cases, args.seeds, folder)
    text = page(findings, args.seeds)
    print(text)
    if args.write:
        PAGE.write_text(text)
    return 0 if findings.good else 1


if __name__ == "__main__":
    sys.exit(main())
