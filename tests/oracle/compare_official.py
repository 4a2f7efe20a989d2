"""Compare calwebbd with the official package, step by step, on simulated exposures.

    python tests/oracle/compare_official.py [--campaigns imaging subarrays …] [--cases …] [--write]

The official package gets a virtual environment of its own, once. Both calibrate the same
exposures with the same references; after stage 1 each also goes on from what the other made.
With --given exposures of other programs are compared as well (given.py says how they lie). With a
folder for the results, what is in it is not measured again, so that a long run can go on. Exit code 0
if all agrees and every product of ours is valid.
"""

from __future__ import annotations

import argparse
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot"), str(Path(__file__).parent)]

import official  # noqa: E402
import section  # noqa: E402
from agreement import Agreement, of_catalogues, of_files, of_wcs  # noqa: E402
from associate import associate, pair  # noqa: E402
from astropy.io import fits  # noqa: E402
from findings import STAGE1, Findings, page  # noqa: E402
from given import Given  # noqa: E402
from nights import CAMPAIGNS, CONTEXTS, IMAGERS, IMAGING, Campaign, Case  # noqa: E402
from outliers import Outliers, of_masks  # noqa: E402
from workers import Worker  # noqa: E402

from calwebbd.stages import pipelines  # noqa: E402
from calwebbd.stages.associations import load_asn  # noqa: E402
from calwebbd.stages.exptypes import pipeline_for  # noqa: E402
from calwebbd.stages.fits import read_header, read_image  # noqa: E402
from calwebbd.stages.names import PRODUCTS, split_suffix  # noqa: E402
from calwebbd.stages.simulate import environment  # noqa: E402
from calwebbd.stages.steps.wfs_combine.shift import offset  # noqa: E402

PAGE = ROOT / "docs" / "imaging_agreement.md"
STEPS = "Step by step, from the same input"
PLACED = ("cal", "assign_wcs", "tweakreg", "i2d")  #: products, or steps, whose coordinate system is compared
CROSSED = "From what the other made"
OWN = "## With other parameters"  #: what follows is that of `compare_mosaics`
Key: TypeAlias = "tuple[Case | Given, str]"  # in a context


@dataclass
class Night:
    """One case in one context with one seed, calibrated by both.

    quiet : makes the same exposures without noise and cosmic rays, in a folder; None if that cannot be
    """

    folder: Path
    case: Case | Given
    context: str
    stages: int
    theirs: Worker
    ours: Worker
    findings: Findings = field(default_factory=lambda: Findings(codes={_code()}))
    quiet: Callable[[Path], list[Path]] | None = None

    @property
    def column(self) -> str:
        title = CONTEXTS[self.context]
        return f"{self.case.instrument} {self.case.title}" + (f"; {title}" if self.stages > 1 else "")

    def compare(self, raw: Sequence[Path]) -> None:
        """Run all stages and note how what they made agrees."""
        first = pipeline_for(read_header(raw[0]), split_suffix(raw[0].name)[2]).pipeline
        if first is None:
            self.findings.failed.append(f"{self.column}: calwebbd has no pipeline for it")
            return
        calibrated = first == "image2"
        self._stage(first, "2" if calibrated else "1", raw, raw)
        if self.stages > 1:
            if not calibrated:
                theirs, ours = (_rates(self.folder / f"{who}1") for who in ("theirs", "ours"))
                self._stage("image2", "2", theirs, ours)
            last, listed = ("wfs-image3", pair) if self.case.pairs else ("image3", associate)
            theirs, ours = (
                listed((self.folder / f"{who}2").glob("*_cal.fits")) for who in ("theirs", "ours")
            )
            self._stage(last, "3", theirs, ours)
        made = sorted(str(p) for p in self.folder.glob("ours*/*.fits") if split_suffix(p.name)[2] in PRODUCTS)
        self.findings.files += len(made)
        for file, reason in self.theirs.ask("validate", files=made).result.items():
            self.findings.invalid.append(f"{Path(file).name} ({self.column}): {reason}")

    def _stage(self, pipeline: str, stage: str, theirs: Sequence[Path], ours: Sequence[Path]) -> None:
        """Both from the official input; each also from what calwebbd made, if the case wants it."""
        if not theirs:
            return
        self._official(pipeline, theirs, f"theirs{stage}")
        same = theirs == ours
        self._run(pipeline, theirs, f"ours{stage}" if same else f"ours_on_theirs{stage}")
        self._note(STEPS, f"theirs{stage}", f"ours{stage}" if same else f"ours_on_theirs{stage}", pipeline)
        if not same and self.case.crossed:
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
        steps = {step.name for step in pipelines.load(pipeline).steps}
        told = {name: values for name, values in self.case.parameters.items() if name in steps}
        request = {"pipeline": pipeline, "save_steps": True, "parameters": told}
        for file in files:
            self.ours.ask("run", **request, file=file, output_dir=self.folder / to)

    def _note(self, table: str, theirs: str, ours: str, label: str) -> None:
        """Compare what is in two folders; of crossed runs, the products alone."""
        members = _members(self.folder)
        made = [*(self.folder / theirs).glob("*.fits"), *(self.folder / theirs).glob("*_cat.ecsv")]
        for reference in sorted(made, key=lambda p: p.stat().st_mtime_ns):
            by_official = label.startswith("official")
            name = reference.name if by_official else our_name(reference.name, members)
            suffix, candidate = suffix_of(name), self.folder / ours / name
            if table == CROSSED and suffix not in PRODUCTS:
                continue
            if candidate.exists() and reference.suffix == ".ecsv":
                found = of_catalogues(reference, candidate)
            elif candidate.exists():
                seen = _seen_by_both(self.folder / "theirs2") if suffix == "wfscmb" else ...
                found = of_files(reference, candidate, seen)
                if suffix in PLACED:
                    places = {"WCS": of_wcs(reference, candidate, aligned=label.startswith("image3"))}
                    self.findings.add(table, f"{label}: {suffix}, WCS", self.column, places)
            elif not _skipped(reference, suffix):
                found = {"file": Agreement(1, over=1)}
            else:
                continue
            if suffix == "crf" and table == STEPS and candidate.exists():
                self._judge(reference, candidate)
            if self.stages > 1:
                self.findings.add(table, f"{label}: {suffix}", self.column, found)
            else:
                self.findings.add(f"{STAGE1}, {CONTEXTS[self.context]}", suffix, self.column, found)

    def _judge(self, reference: Path, candidate: Path) -> None:
        """Compare the flags of outliers, and both with the truth."""
        name = re.sub(r"_o\d+_crf", "_cal", candidate.name)
        still = lambda: self.still / name if self.still else None  # noqa: E731
        found = of_masks(reference, candidate, self.folder / "theirs2" / name, still)
        self.findings.outliers[self.column] = found + self.findings.outliers.get(self.column, Outliers())

    @cached_property
    def still(self) -> Path | None:
        """The folder of the same images without noise and cosmic rays, calibrated by us."""
        if self.quiet is None:
            return None
        folder = self.folder / "still"
        self._run("detector1", self.quiet(folder), folder.name)
        self._run("image2", _rates(folder), folder.name)
        return folder


def _members(folder: Path) -> dict[str, list[str]]:
    """The members of each association of stage 3, by the name of its product."""
    associations = [load_asn(file) for file in folder.glob("theirs2/*_asn.json")]
    return {
        asn.products[0].name: [split_suffix(m.expname)[0] for m in asn.products[0].members]
        for asn in associations
    }


def _seen_by_both(folder: Path) -> tuple[slice, slice]:
    """The pixels of a combined pair of wavefront sensing that both of its images see."""
    first, second = (read_image(path) for path in sorted(folder.glob("*_cal.fits")))
    dx, dy = offset(first, second)
    dx, dy = (-dx, -dy) if dx < 0 else (dx, dy)
    return slice(max(-dy, 0), first.sci.shape[0] - max(dy, 0)), slice(0, first.sci.shape[1] - dx)


def our_name(name: str, members: dict[str, list[str]]) -> str:
    """What calwebbd calls a file that the official package has saved under this name."""
    fitted = re.fullmatch(r"(.+)_([01])_ramp_fit\.fits", name)
    aligned = re.fullmatch(r"(.+)_tweakreg\.fits", name)
    of_member = re.fullmatch(r"(jw\d+-(o\d+)_.+?)_(\d+)_(?:o\d+_)?([a-z_]+|outlier_i2d)\.fits", name)
    if fitted:
        return f"{fitted[1]}_ramp_fit{'ints' if fitted[2] == '1' else ''}.fits"
    if aligned:
        (asn_id,) = {re.split("[-_]", product)[1] for product in members}
        return f"{aligned[1]}_{asn_id}_tweakreg.fits"
    if of_member:
        return f"{members[of_member[1]][int(of_member[3])]}_{of_member[2]}_{of_member[4]}.fits"
    return name.replace("_darkpipeline.fits", "_dark.fits")


def suffix_of(name: str) -> str:
    """The suffix, of a product or of a step: ``ramp_fit``, and ``ramp_fitints`` by integration."""
    if whole := split_suffix(name)[2] or next(
        (each for each in ("segm", "wfscmb") if f"_{each}" in name), ""
    ):
        return whole
    stem = name.removesuffix(".fits")
    plain = stem.removesuffix("ints")
    steps = (step.name for pipeline in pipelines.NAMES for step in pipelines.load(pipeline).steps)
    of_step = (step for step in steps if plain.endswith(f"_{step}"))
    return (split_suffix(f"{plain}.fits")[2] or next(of_step, "")) + stem.removeprefix(plain)


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


@dataclass(frozen=True)
class Comparison:
    """Where a comparison works.

    keep : leave what was made; it is more than a GB for a full frame
    results : folder with what was found of each case, in each context with each seed
    """

    folder: Path
    keep: bool = False
    results: Path | None = None

    def compare(self, campaign: Campaign | Given, seeds: Iterable[int]) -> Findings:
        """All cases with all seeds, in all contexts."""
        findings = Findings()
        for seed in seeds:
            results = {
                (case, context): self._result(case, context, seed)
                for context in campaign.contexts
                for case in campaign.cases
            }
            lacking = {key for key, file in results.items() if not (file and file.exists())}
            found = self._measure(campaign, lacking, seed) if lacking else {}
            for key, file in results.items():
                findings.take(found[key] if key in found else pickle.loads(file.read_bytes()))
        return findings

    def _result(self, case: Case | Given, context: str, seed: int) -> Path | None:
        name = f"{case.name}-{context.removesuffix('.pmap')}-{seed}.pickle"
        return self.results / name if self.results else None

    def _measure(self, campaign: Campaign | Given, lacking: set[Key], seed: int) -> dict[Key, Findings]:
        """Cases in contexts; one worker of each side takes all of a context."""
        here = self.folder / f"{campaign.name}-{seed}"
        cache, raw = campaign.only({case.name for case, _ in lacking}).simulate(here, seed)
        found = {}
        for context in [name for name in campaign.contexts if any(context == name for _, context in lacking)]:
            variables = environment(cache, context)
            to = here / context.removesuffix(".pmap")
            to.mkdir(parents=True)
            with (
                official.official_worker(variables, to / "official.log") as theirs,
                official.our_worker(variables, to / "ours.log") as ours,
            ):
                for case in [case for case in raw if (case, context) in lacking]:
                    print(f"{case.name}, seed {seed}, {context}", file=sys.stderr, flush=True)
                    night = Night(to / case.name, case, context, campaign.stages, theirs, ours)
                    night.quiet = campaign.quiet(case, cache, seed)
                    found[case, context] = self._spend(night, raw[case], self._result(case, context, seed))
        return found

    def _spend(self, night: Night, raw: Sequence[Path], to: Path | None) -> Findings:
        """What a night has found, which is kept."""
        try:
            night.compare(raw)
        except RuntimeError as error:  # of a worker; the others go on
            reason = str(error).strip().splitlines()[-1]
            night.findings.failed.append(f"{night.column}; {CONTEXTS[night.context]}: {reason}")
        if to:
            to.write_bytes(pickle.dumps(night.findings))
        if not self.keep:
            shutil.rmtree(night.folder, ignore_errors=True)
        return night.findings


def _code() -> str:
    """The last commit of this checkout that changed calibration."""
    command = ["git", "log", "-1", "--format=%h", "--", "stages"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def main() -> int:
    cases = [case.name for campaign in CAMPAIGNS.values() for case in campaign.cases]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    option = parser.add_argument
    option("--campaigns", nargs="+", choices=list(CAMPAIGNS), help="default: those of images")
    option("--cases", nargs="+", choices=cases, metavar="CASE", help="only these: " + ", ".join(cases))
    option("--contexts", nargs="+", choices=list(CONTEXTS), help="default: those of the campaign")
    option("--seeds", nargs="+", type=int, default=[1], metavar="N")
    option("--given", nargs="+", type=Path, default=[], metavar="DIR", help="sets of other programs")
    option("--results", type=Path, metavar="DIR", help="go on from what was found before")
    option("--keep", type=Path, metavar="DIR", help="leave all files in this new folder")
    option("--write", nargs="?", const=PAGE, type=Path, metavar="PAGE", help=f"default: {PAGE.name}")
    option("--title", default="Agreement of imaging", help="of the page")
    args = parser.parse_args()
    findings = Findings()
    campaigns = [*_wanted(args.campaigns, args.cases, args.contexts), *map(Given, args.given)]
    if args.results:
        args.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="calwebbd-oracle-") as scratch:
        comparison = Comparison(args.keep or Path(scratch), bool(args.keep), args.results)
        for campaign in campaigns:
            findings.take(comparison.compare(campaign, args.seeds))
    text = page(findings, args.seeds, args.title, shlex.join(sys.argv[1:]))
    print(text)
    if args.write:
        args.write.write_text(text + section.kept(args.write, OWN))
    return 0 if findings.good else 1


def _wanted(
    names: Sequence[str] | None, cases: Sequence[str] | None, contexts: Sequence[str] | None
) -> Iterable[Campaign]:
    """The campaigns, with the cases and contexts asked for."""
    usual = [campaign.name for campaign in (IMAGING, IMAGERS)]
    for campaign in CAMPAIGNS.values():
        chosen = campaign.only(cases) if cases else campaign
        chosen = replace(chosen, contexts=tuple(contexts)) if contexts else chosen
        if chosen.cases and (campaign.name in (names or usual) or (cases and not names)):
            yield chosen


if __name__ == "__main__":
    sys.exit(main())
