"""Compare rates, cosmic rays and stripes with the simulator's truth, calwebbd and the official package.

    python tests/oracle/truth.py [--cases nrc-rapid mir-slitless …] [--ours] [--results DIR] [--write]

Exit code 0 if no pull is wider or further off than `WIDTH` and `OFFSET` allow.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
    *("nis-soss", "nis-ami", "nis-average", "fgs-rapid", "fgs-average"),
    *("mir-sub256", "mir-slitless", "mrs-fast"),
)
HEADER = """# Rates, cosmic rays and stripes beside the truth

calwebbd {ours}{beside}, on simulated exposures whose truth is known. Made by
`python tests/oracle/truth.py --write`.

A pull is the difference of an integration's rate from the true one, in units of its ERR, of pixels
without flags. Its median should be 0, and half the range that holds the central 68 % of them 1.
Averaged groups share no noise in the weights of OLS, so that theirs may be a little narrower.
Of NIRSpec's subarrays with one integration, fitted by likelihood, the official gain_scale doubles the rate
([departure](departures.md#gain_scale-one-integration-fitted-by-likelihood)).

Two medians are not 0, on both sides alike. In SUB512 refpix takes the outermost columns for reference pixels,
and with their level the dark current, which dark_current then takes once more, as the simulated dark
was not made from such data: 3.4 DN/s, 0.18 of ERR. The noise of those few pixels adds ± 0.05. Without refpix
the median is +0.003. In the interleaved read-out the reference samples leave a part of the noise that all
outputs share, which moves whole integrations: over 13 simulated ones the median is -0.04 ± 0.04, and
one of them has a scatter of 0.14. Differences then scatter 1.24 times as much as read noise and photons let
expect, so that pulls are wide and jumps are found where there are none. Without that noise the pull is
+0.002 ± 1.008, and 1419 flags in a million are false.

Found: cosmic rays of more than {deviations:g} times the noise of a difference, in groups that can be
used, that have been flagged in their group. False: flags in other groups, of a million without any."""


@dataclass(frozen=True)
class Row:
    """What one implementation made of a read-out."""

    pulls: Mapping[str, Pulls]
    jumps: Jumps

    @classmethod
    def load(cls, stored: dict[str, Any]) -> Row:
        """The inverse of `asdict`."""
        pulls = {algorithm: Pulls(**each) for algorithm, each in stored["pulls"].items()}
        return cls(pulls, Jumps(**stored["jumps"]))

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
    campaign: Campaign, folder: Path, results: Path, algorithms: Sequence[str], beside: bool
) -> list[tuple[str, str, Row]]:
    """(read-out, implementation, what it made) of every case; what `results` holds is not measured again."""
    implementations = ("official", "calwebbd")[not beside :]
    files = {
        (case, name): results / "-".join([case.name, name, *algorithms, "rates.json"])
        for case in campaign.cases
        for name in implementations
    }
    if missing := {key: to for key, to in files.items() if not to.exists()}:
        cases = tuple(dict.fromkeys(case for case, _ in missing))
        cache, raw = replace(campaign, cases=cases).simulate(folder, seed=1)
        variables = environment(cache, CONTEXT)
        with (
            official.official_worker(variables, folder / "official.log") as theirs,
            official.our_worker(variables, folder / "ours.log") as ours,
        ):
            for (case, name), to in missing.items():
                print(case.name, name, file=sys.stderr)
                worker = theirs if name == "official" else ours
                references = cache / "references" / "jwst" / case.instrument.lower()
                place = folder / f"{case.name}-{name}"
                row = _row(worker, name, raw[case][0], place, references, algorithms)
                to.write_text(json.dumps(asdict(row), indent=1))
    return [
        (f"{case.instrument} {case.title}", name, Row.load(json.loads(to.read_text())))
        for (case, name), to in files.items()
    ]


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
    option("--results", type=Path, metavar="DIR", help="go on from what was measured before")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="calwebbd-truth-") as scratch:
        results = args.results or Path(scratch)
        results.mkdir(parents=True, exist_ok=True)
        for campaign in (SUBARRAYS, FRAMES):
            cases = tuple(
                replace(case, snowballs=0.0, tracks=TRACKS)
                for case in campaign.cases
                if case.name in args.cases
            )
            chosen, folder = replace(campaign, cases=cases), Path(scratch) / campaign.name
            rows += measure(chosen, folder, results, args.algorithms, not args.ours)
        stripes = stripe_truth.section(Path(scratch) / "stripes", results, not args.ours)
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
