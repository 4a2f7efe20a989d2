"""Compare rates, cosmic rays and stripes with the simulator's truth, calwebbd and the official package.

    python tests/oracle/truth.py [--cases nrc-rapid mir-slitless …] [--ours] [--write]

Exit code 0 if no pull is wider or further off than `WIDTH` and `OFFSET` allow.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot"), str(Path(__file__).parent)]

import official  # noqa: E402
import stripe_truth  # noqa: E402
from nights import FRAMES, SUBARRAYS, Campaign, Case  # noqa: E402
from pulls import DEVIATIONS, Jumps, Pulls, jumps_of, pulls_of  # noqa: E402
from workers import Worker  # noqa: E402

from calwebbd.stages import pipelines  # noqa: E402
from calwebbd.stages.simulate import environment  # noqa: E402
from calwebbd.stages.simulate.truth import read_truth  # noqa: E402

PAGE = ROOT / "docs" / "truth.md"
CONTEXT = "jwst_0001.pmap"
#: Jumps are to be told apart from what follows them: no flags but on the jump itself.
PARAMETERS = {"emicorr": {"skip": False}, "jump": {"flag_4_neighbors": False}}
ALGORITHMS = {"OLS": "OLS_C", "LIKELY": "LIKELY"}
TRACKS = 1e-3  #: of cosmic rays, for each pixel and group: enough to count, too few to meet
WIDTH, OFFSET = 1.25, 0.25  #: of pulls, that are still taken for right
CASES = {
    case.name: campaign
    for campaign in (SUBARRAYS, FRAMES)
    for case in campaign.cases
    if not case.exp_type and case.segments == 1
}
USUAL = (
    *("nrc-rapid", "nrc-medium8", "nrc-deep8", "nrs-s200a1", "nrs-average", "nrs-prism", "nrs-irs2"),
    *(
        "nis-soss",
        "nis-ami",
        "nis-average",
        "fgs-rapid",
        "fgs-average",
        "mir-sub256",
        "mir-slitless",
        "mrs-fast",
    ),
)
HEADER = """# Rates, cosmic rays and stripes beside the truth

calwebbd {ours}{beside}, on simulated exposures whose truth is known. Made by
`python tests/oracle/truth.py --write`.

A pull is the difference of an integration's rate from the true one, in units of its ERR, of pixels
without flags. Its median should be 0, and half the range that holds the central 68 % of them 1.
Averaged groups share no noise in the weights of OLS, so that theirs may be a little narrower.

Found: cosmic rays of more than {deviations:g} times the noise of a difference, in groups that can be
used, that have been flagged in their group. False: flags in other groups, of a million without any."""


@dataclass(frozen=True)
class Row:
    """What one implementation made of a read-out."""

    pulls: Mapping[str, Pulls]
    jumps: Jumps

    @property
    def cells(self) -> list[str]:
        pulls = [f"{p.median:+.3f} ± {p.width:.3f}" for p in self.pulls.values()]
        return [
            *pulls,
            f"{100 * self.jumps.completeness:.2f} % of {self.jumps.hits}",
            f"{1e6 * self.jumps.false_rate:.0f}",
        ]

    @property
    def good(self) -> bool:
        return all(abs(p.median) <= OFFSET and p.width <= WIDTH for p in self.pulls.values())


def measure(
    campaign: Campaign, folder: Path, algorithms: Sequence[str], beside: bool
) -> Iterator[tuple[str, str, Row]]:
    """(read-out, implementation, what it made) of every case of the campaign."""
    cache, raw = campaign.simulate(folder, seed=1)
    variables = environment(cache, CONTEXT)
    with (
        official.official_worker(variables, folder / "official.log") as theirs,
        official.our_worker(variables, folder / "ours.log") as ours,
    ):
        for case, (file, *_) in raw.items():
            print(case.name, file=sys.stderr)
            references = cache / "references" / "jwst" / case.instrument.lower()
            for name, worker in (("official", theirs), ("calwebbd", ours))[not beside :]:
                to = folder / f"{case.name}-{name}"
                yield (
                    f"{case.instrument} {case.title}",
                    name,
                    _row(worker, name, file, to, references, algorithms),
                )


def _row(
    worker: Worker, name: str, file: Path, folder: Path, references: Path, algorithms: Sequence[str]
) -> Row:
    """One implementation, with each algorithm; jumps are the same for all."""
    truth = read_truth(file.parent / "truth" / file.name.replace("_uncal", "_truth"))
    request = {"pipeline": "detector1", "file": file, "save_steps": True}
    if name == "official":
        request["steps"] = [step.name for step in pipelines.load("detector1").steps]
    pulls, jumps = {}, Jumps()
    for title in algorithms:
        parameters = {**PARAMETERS, "ramp_fit": {"algorithm": ALGORITHMS[title]}}
        worker.ask("run", output_dir=folder / title, parameters=parameters, **request)
        (product,) = (folder / title).glob("*_rateints.fits")
        pulls[title] = pulls_of(product, truth)
        (ramp,) = (folder / title).glob("*_jump.fits")
        jumps = jumps_of(ramp, truth, references)
    return Row(pulls, jumps)


def page(rows: Sequence[tuple[str, str, Row]], algorithms: Sequence[str], beside: bool) -> str:
    """The table as a page of the documentation."""
    header = HEADER.format(
        ours=version("calwebbd"),
        beside=f" beside jwst {official.VERSION}" if beside else "",
        deviations=DEVIATIONS,
    )
    titles = ["", "", *(f"pull, {title}" for title in algorithms), "found", "false"]
    lines = ["| " + " | ".join(titles) + " |", "|---|---" + "|--:" * (len(titles) - 2) + "|"]
    lines += ["| " + " | ".join([readout, who, *row.cells]) + " |" for readout, who, row in rows]
    return "\n\n".join([header, "\n".join(lines)]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    option = parser.add_argument
    option("--cases", nargs="+", choices=list(CASES), metavar="CASE", default=[c.name for c in _usual()])
    option("--algorithms", nargs="+", choices=list(ALGORITHMS), default=list(ALGORITHMS))
    option("--ours", action="store_true", help="without the official package")
    option("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="calwebbd-truth-") as scratch:
        for campaign in (SUBARRAYS, FRAMES):
            cases = tuple(
                replace(case, snowballs=0.0, tracks=TRACKS)
                for case in campaign.cases
                if case.name in args.cases
            )
            if cases:
                chosen = replace(campaign, cases=cases)
                rows += list(measure(chosen, Path(scratch) / campaign.name, args.algorithms, not args.ours))
        stripes = stripe_truth.section(Path(scratch) / "stripes", not args.ours)
    text = page(rows, args.algorithms, not args.ours) + "\n" + stripes
    print(text)
    if args.write:
        PAGE.write_text(text)
    return 0 if all(row.good for _, who, row in rows if who == "calwebbd") else 1


def _usual() -> list[Case]:
    """One of each way of reading; IRS2 and MRS have nothing but full frames."""
    return [case for case in (*SUBARRAYS.cases, *FRAMES.cases) if case.name in USUAL]


if __name__ == "__main__":
    sys.exit(main())
