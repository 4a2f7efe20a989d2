"""Compare the associations that `calwebbd asn make` makes of pools with those of `asn_generate`.

    python tests/oracle/compare_associations.py POOLS [--write]

POOLS has a folder for each pool, NAME: the pool, ``NAME.csv``; what the official command made of it,
``associations.jsonl.gz``, one association a line, with its file name as ``_file``; and what that took,
``summary.json`` (``rc``, ``cpu_s``). Exit code 0 if all of images are equal.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "importroot")]

PAGE = ROOT / "docs" / "associations.md"
TITLE = "Beside asn_generate"
TYPES = frozenset({"image2", "tso-image2", "image3", "wfs-image3"})
APART = ("constraints", "code_version", "_file")  #: what is not compared
NONE = "make no association of images"  #: which is no failure here
HEAD = "| pool | rows | associations | equal | only official | only calwebbd | official, s | calwebbd, s |"
Made = dict[str, Any]


@dataclass(frozen=True)
class Compared:
    """One pool. Official associations are of images only, its seconds those of all it made."""

    name: str
    rows: int
    official: Made
    ours: Made
    failed: bool
    seconds: tuple[float, float]  #: of processor time: official, calwebbd

    @property
    def equal(self) -> int:
        return sum(self.ours.get(file) == asn for file, asn in self.official.items())

    @property
    def good(self) -> bool:
        return self.failed or self.equal == len(self.official) == len(self.ours)

    def __str__(self) -> str:
        known = "fails" if self.failed else str(len(self.official))
        lacking, extra = len(self.official) - self.equal, len(self.ours) - self.equal
        theirs, ours = self.seconds
        cells = (self.name, self.rows, known, self.equal, lacking, extra, f"{theirs:.1f}", f"{ours:.2f}")
        return f"| {' | '.join(map(str, cells))} |"


def compare(folder: Path) -> Compared:
    pool, summary = folder / f"{folder.name}.csv", json.loads((folder / "summary.json").read_text())
    official = {}
    with gzip.open(folder / "associations.jsonl.gz", "rt") as lines:
        for asn in map(json.loads, lines):
            if asn["asn_type"] in TYPES:
                official[asn["_file"]] = _plain(asn)
    with tempfile.TemporaryDirectory() as out:
        seconds = _make(pool, out)
        ours = {path.name: _plain(json.loads(path.read_text())) for path in Path(out).iterdir()}
    lines = pool.read_text().splitlines()
    rows = sum(1 for line in lines if line.strip() and not line.startswith("#")) - 1
    return Compared(
        folder.name, rows, official, ours, bool(summary["rc"]), (float(summary["cpu_s"]), seconds)
    )


def _make(pool: Path, out: str) -> float:
    """Run the command; the seconds of processor time that it took."""
    command = [sys.executable, "-m", "calwebbd.daemon", "asn", "make", str(pool), "-o", out]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests" / "importroot")}
    with tempfile.TemporaryFile("w+") as said:
        made = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(made.pid, 0)
        said.seek(0)
        if status and NONE not in (message := said.read()):
            raise RuntimeError(f"{pool}: {message}")
    return usage.ru_utime + usage.ru_stime


def _plain(asn: Made) -> Made:
    return {key: value for key, value in asn.items() if key not in APART}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("pools", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    args = parser.parse_args()
    found = [compare(path.parent) for path in sorted(args.pools.glob("*/summary.json"))]
    table = "\n".join([HEAD, "|---|" + "--:|" * 7, *map(str, found)])
    print(table)
    if args.write:
        before, title, after = PAGE.read_text().partition(f"## {TITLE}\n")
        assert title, f"{PAGE} has no heading {TITLE!r}"
        text, _, rest = after.partition("\n| pool")
        rest = rest.partition("\n\n")[2]
        PAGE.write_text(f"{before}{title}{text}\n{table}\n" + (f"\n{rest}" if rest else ""))
    return 0 if all(each.good for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
