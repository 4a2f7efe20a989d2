"""What a comparison with the official package has found, and the page that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise

import official
from agreement import ATOL, FRACTION, MAS, PIXEL, RTOL, SAME, Agreement, total
from nights import CONTEXTS
from outliers import SEEN_AT, Outliers

from calwebbd.stages.pipelines import detector1

HEADER = f"""# {{title}}

calwebbd {{ours}} ({{codes}}) beside jwst {{official}}, on simulated exposures (seeds {{seeds}}). Made by
`python tests/oracle/compare_official.py {{arguments}}`.

All image extensions are compared. A value agrees if it differs by no more than {ATOL:g} + {RTOL:g}
times the official one, flags if they are equal, NaN if both are. One pixel in {1 / FRACTION:,.0f} may
do otherwise: there rounding decides which way a test falls. In the tables `=` is equality to the last
bit, and a number is the largest difference, as a fraction of what is allowed. Where too many values do
otherwise they are counted: *over*, those that differ by more than is allowed; *NaN*, those that are NaN
in one alone. All these are listed, and explained, at the end. A cell is empty where the case does not have
the step.

In lines that say WCS it is the places of a grid of pixels on the sky that are compared: {PIXEL:g} of a
pixel is allowed, and in image3, where stars decide, {MAS:g} mas. In `cat` each source is compared with the
one at its place ({SAME:g} mas), in all columns of numbers; one without counterpart counts as a difference.
In `wfscmb` those pixels are compared that both images see
([why](departures.md#wfs_combine-the-edge-that-only-one-image-sees))."""
STAGE1 = "Stage 1"
PIPELINES = ("detector1", "image2", "wfs-image3", "image3")  #: a name that is in another's comes after it
#: By words of a column's title; of exposures of seed 1, whose pointing errors are those of the simulator.
WHY = {
    ("NIRISS", "average dark"): """NIRISS, ERR and VAR_POISSON
: calwebbd has the noise of maps of the average dark current in them, which the official package leaves out
  ([departure](departures.md#dark_current-maps-of-the-average-dark-current)). Columns without that noise (the
  parameter `average_dark_current` of dark_current is 0) show that nothing else differs.""",
    ("FULL", "another program"): """Full frames, orientation of sources
: Angles are compared by a fraction of themselves, and five of 1414 are over it: one in FGS (0.092 degrees),
  one in NIRISS (0.88), three in MIRI (0.66, 0.78, 1.55). They are off by 7e-6 to 6e-5 degrees; others are off
  by up to 6e-4, far from 0. All five stars are nearly round (ellipticity 0.007 to 0.04), and the last bits of
  the mosaic turn them by as much: of 100 pixels 1 differs, by 5e-7 of itself at most. From the official
  mosaics calwebbd finds all 1414 angles equal to the last bit.""",
    ("NIRCAM SUB320, 5 groups", "CRDS parameters"): """NIRCam, orientation of a source
: Of 142 angles one is over what is allowed, which is a fraction of itself: it is 0.78 degrees, and 1.1e-5
  degrees off; others are off by up to 3.7e-5, far from 0. The star is nearly round (ellipticity 0.015).
  It is the last bits of the mosaic: calwebbd's source_catalog, run on the official `i2d` of both filters,
  finds all 142 angles equal to the last bit.""",
    ("NIRCAM SUB320", "code defaults"): """NIRCam, tweakreg with code defaults
: Circles of 0.7 arcsec, in which sources are paired, hold several stars of the simulated field, and pairs are
  wrong. The official package takes a fit to them; calwebbd does not, as it is not better than the pointing
  ([departure](departures.md#tweakreg-fits-that-are-not-better)). The second exposure of NRCA1 is 17 mas off
  in its header, so it stays, and 36 mas after the official fit; a fit of the third, which both take, leaves
  26 of 23 mas. Flags of outliers, the mosaic and its catalogue differ because the exposures lie elsewhere.
  With the parameters of CRDS both align all exposures alike, to 0.5-2.3 mas of the truth.""",
}
LISTED = 4  #: extensions of a product that are named where they do not agree


def _stage1() -> list[str]:
    """The steps of all detectors, those of MIRI alone where it has them."""
    order = [step.name for step in detector1.NIR]
    for before, step in pairwise(step.name for step in detector1.MIRI):
        if step not in order:
            order.insert(order.index(before) + 1, step)
    return order


STEPS = _stage1()


@dataclass
class Findings:
    """What was found, in tables; in those of stage 1 a column is a read-out, else a case in a context.

    rows : agreement of all extensions, by (table, product) and column
    wrong : what does not agree, by (product, extension, column)
    invalid : files that their data model refuses, and why
    """

    rows: dict[tuple[str, str], dict[str, Agreement]] = field(default_factory=dict)
    wrong: dict[tuple[str, str, str], Agreement] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    files: int = 0
    left_out: set[str] = field(default_factory=set)
    outliers: dict[str, Outliers] = field(default_factory=dict)  #: by column
    codes: set[str] = field(default_factory=set)  #: commits that were compared
    commits: dict[str, set[str]] = field(default_factory=dict)  #: by column, of what was found elsewhere

    @property
    def good(self) -> bool:
        return not (self.wrong or self.invalid or self.failed)

    def add(self, table: str, product: str, column: str, found: dict[str, Agreement]) -> None:
        """One file compared."""
        cells = self.rows.setdefault((table, product), {})
        cells[column] = cells.get(column, Agreement()) + total(found.values())
        where = f"{column}; {table.removeprefix(STAGE1 + ', ')}" if table.startswith(STAGE1) else column
        for extension, each in found.items():
            if not each.good:
                key = (product, extension, where)
                self.wrong[key] = self.wrong.get(key, Agreement()) + each

    def take(self, other: Findings) -> None:
        """All that was found elsewhere."""
        for key, cells in other.rows.items():
            mine = self.rows.setdefault(key, {})
            for column, found in cells.items():
                mine[column] = mine.get(column, Agreement()) + found
                self.commits.setdefault(column, set()).update(other.commits.get(column, other.codes))
        for where, found in other.wrong.items():
            self.wrong[where] = self.wrong.get(where, Agreement()) + found
        for column, flags in other.outliers.items():
            self.outliers[column] = self.outliers.get(column, Outliers()) + flags
        self.invalid += other.invalid
        self.failed += other.failed
        self.files += other.files
        self.left_out |= other.left_out
        self.codes |= other.codes

    def columns(self, table: str) -> list[str]:
        """Of a table, in the order in which they came."""
        names = (column for (t, _), cells in self.rows.items() if t == table for column in cells)
        return list(dict.fromkeys(names))

    def tables(self) -> list[str]:
        return list(dict.fromkeys(table for table, _ in self.rows))


def page(findings: Findings, seeds: Sequence[int], title: str, arguments: str) -> str:
    """The findings as a page of the documentation, which says by which arguments it was made."""
    header = HEADER.format(
        title=title,
        arguments=arguments,
        ours=version("calwebbd"),
        codes=", ".join(sorted(findings.codes)),
        official=official.VERSION,
        seeds=", ".join(map(str, seeds)),
    )
    chained = [table for table in findings.tables() if not table.startswith(STAGE1)]
    cases = dict.fromkeys(column for table in chained for column in findings.columns(table))
    letters = {column: chr(65 + n) for n, column in enumerate(cases)}
    commits = {c: f" ({', '.join(sorted(findings.commits.get(c, [])))})" for c in cases}
    several = len(findings.codes) > 1
    key = "\n".join(f"* **{n}**: {c}{commits[c] if several else ''}" for c, n in letters.items())
    stage1 = [matrix(findings, f"{STAGE1}, {title}") for title in CONTEXTS.values()]
    tables = [table(findings, name, letters) for name in chained]
    flags = outliers(findings, letters)
    valid = (
        f"Of {findings.files} files made by calwebbd, {len(findings.invalid)} are not valid for stdatamodels."
    )
    left_out = ", ".join(sorted(findings.left_out))
    left = left_out and f"Steps left out on both sides, for calwebbd does not have them yet: {left_out}."
    wrong = [
        f"{product}, {letters.get(column, column)}: {_list(findings, product, column)}"
        for product, column in dict.fromkeys((product, column) for product, _, column in findings.wrong)
    ]
    end = "\n".join(f"* {line}" for line in (*wrong, *findings.invalid, *findings.failed)) or "Nothing."
    told = [why for words, why in WHY.items() if any(all(w in column for w in words) for column in cases)]
    why = (
        ["## Why", *told]
        if told and any(product.startswith("image3") for _, product in findings.rows)
        else []
    )
    parts = [header, *stage1, key, *tables, flags, valid, left, "## What does not agree", end, *why]
    return "\n\n".join(part for part in parts if part) + "\n"


def _list(findings: Findings, product: str, column: str) -> str:
    """What does not agree of a product: the first extensions or columns, and the number of others."""
    found = {ext: each for (of, ext, col), each in findings.wrong.items() if (of, col) == (product, column)}
    parts = [f"{ext} {each.over} of {each.pixels}, {each.nans} NaN" for ext, each in found.items()]
    more = [f"and {len(parts) - LISTED} more"] if len(parts) > LISTED else []
    return "; ".join(parts[:LISTED] + more)


def table(findings: Findings, name: str, letters: dict[str, str]) -> str:
    """A line for each product, a column for each case."""
    lines = [f"## {name}\n", f"| | {' | '.join(letters.values())} |", "|---" * (len(letters) + 1) + "|"]
    rows = {product: cells for (of, product), cells in findings.rows.items() if of == name}
    for product in sorted(rows, key=_place):
        row = " | ".join(cell(rows[product].get(column)) for column in letters)
        lines.append(f"| {product} | {row} |")
    return "\n".join(lines)


def _place(product: str) -> tuple[int, int]:
    """The place of a line: by pipeline, and in stage 1 by step, products last."""
    stage = next(n for n, name in enumerate(PIPELINES) if name in product)
    step = product.removeprefix("detector1: ")
    return stage, STEPS.index(step) if step in STEPS else len(STEPS)


def matrix(findings: Findings, name: str) -> str:
    """A line for each read-out, a column for each step; empty if there is none."""
    steps = [product for (of, product) in findings.rows if of == name]
    if not steps:
        return ""
    lines = [f"## {name}\n", f"| | {' | '.join(steps)} |", "|---" * (len(steps) + 1) + "|"]
    for column in findings.columns(name):
        row = " | ".join(cell(findings.rows[name, step].get(column)) for step in steps)
        lines.append(f"| {column} | {row} |")
    return "\n".join(lines)


def outliers(findings: Findings, letters: dict[str, str]) -> str:
    """How many pixels are flagged in image3, from the same input; empty if none was looked at."""
    rows = [f"| {letters[column]} | {found} |" for column, found in findings.outliers.items()]
    head = "| | pixels | official | calwebbd | not the same | of these calwebbd is right |"
    explained = (
        f"An outlier is a pixel that is off by more than {SEEN_AT:g} ERR from what it is in the same\n"
        "exposure simulated without noise and cosmic rays."
    )
    lines = ["## Flags of outliers\n", explained + "\n", head, "|---|--:|--:|--:|--:|--:|", *rows]
    return "\n".join(lines) if rows else ""


def cell(found: Agreement | None) -> str:
    if found is None:
        return ""
    if not found.good:
        return f"**{found.over} over, {found.nans} NaN**"
    some = f", {found.over} over" if found.over else ""
    return (f"{found.worst:.2g}" if found.worst else "=") + some
