"""Tables of how stage 1 agrees, by read-out and step, and the page that holds them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Any

from likeness import Likeness

from calwebbd.stages import pipelines
from calwebbd.stages.pipelines import detector1

CONTEXTS = {
    "jwst_0001.pmap": "defaults",
    "jwst_0002.pmap": "as operated",
    "jwst_0003.pmap": "every step",
    "jwst_0004.pmap": "other options",
}
INSTRUMENTS = {"NIRCAM": "NIRCam", "NIRSPEC": "NIRSpec", "NIRISS": "NIRISS", "FGS": "FGS", "MIRI": "MIRI"}
#: Of products, not of steps.
PRODUCTS = ("rate", "rateints", "ramp", "fitopt", "dark", "cal")
TIMES, DASH = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
SUPERSCRIPT = re.compile("[\u1d2c-\u1dbf]*$")  #: letters that lead to footnotes
Result = dict[str, Any]

Row = dict[str, str]
FIXED = ("", "read-out", f"ints {TIMES} groups")  #: the first columns


def cell(results: Iterable[Result], names: Iterable[str]) -> str:
    """The worst of some steps or products; a dot where none runs, a dash where the official package fails."""
    found = []
    for result in results:
        if "failed" in result:
            return DASH
        found += [Likeness(**result["cells"][name]) for name in names if name in result["cells"]]
    return str(reduce(or_, found)) if found else "·"


def table(results: Sequence[Result], columns: Mapping[str, tuple[str, Sequence[str]]]) -> list[Row]:
    """A row for each read-out, with all its segments; a column is a context, and some steps or products."""
    kinds = dict.fromkeys((r["instrument"], r["readout"], r["size"]) for r in results)
    made = []
    for kind in kinds:
        row = dict(zip(FIXED, (INSTRUMENTS[kind[0]], *kind[1:]), strict=True))
        for name, (context, steps) in columns.items():
            there = [
                r
                for r in results
                if r["context"] == context and (r["instrument"], r["readout"], r["size"]) == kind
            ]
            row[name] = cell(there, steps) if there else ""
        made.append(row)
    return made


def tables(results: Sequence[Result]) -> dict[str, list[Row]]:
    """The table of products, and of each context that of steps."""
    made = {"Products": table(results, {title: (context, PRODUCTS) for context, title in CONTEXTS.items()})}
    for context, title in CONTEXTS.items():
        there = [r for r in results if r["context"] == context and "failed" not in r]
        if there:
            made[f"Step by step, {title}"] = table(there, {name: (context, (name,)) for name in order()})
    return made


def order() -> list[str]:
    """The steps of the near infrared, among them those that only MIRI has, and last those of guide stars."""
    names = [step.name for step in detector1.NIR]
    for before, step in pairwise(step.name for step in detector1.MIRI):
        if step not in names:
            names.insert(names.index(before) + 1, step)
    rest = (step.name for name in ("detector1", "guider") for step in pipelines.load(name).steps)
    return list(dict.fromkeys([*names, *rest]))


def merged(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """The rows of a page, with new cells; what was not measured, and the letters of footnotes, stay."""
    rows = {row["read-out"]: dict(row) for row in old}
    for row in new:
        known = rows.setdefault(row["read-out"], {})
        for name, value in row.items():
            if value:
                known[name] = value + SUPERSCRIPT.search(known.get(name, ""))[0]  # type: ignore[index]
    return sorted(rows.values(), key=lambda row: list(INSTRUMENTS.values()).index(row[""]))


def render(rows: Sequence[Row], names: Iterable[str]) -> str:
    """Columns in which nothing runs are left out, and the name of an instrument stands once."""
    shown = [n for n in names if n in FIXED or any(row.get(n, "").strip("·") for row in rows)]
    lines = [shown, ["---"] * len(shown)]
    for before, row in pairwise([{}, *rows]):
        lines.append([row.get(name, "") for name in shown])
        lines[-1][0] = row[""] if row[""] != before.get("") else ""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parse(text: str) -> list[Row]:
    """The inverse of `render`."""
    names, _, *lines = ([each.strip() for each in line.split("|")[1:-1]] for line in text.splitlines())
    rows: list[Row] = []
    for line in lines:
        row = dict(zip(names, line, strict=True))
        row[""] = row[""] or rows[-1][""]
        rows.append(row)
    return rows


def rewritten(text: str, made: Mapping[str, list[Row]]) -> str:
    """The page with new cells in the table below the heading of each."""
    for title, rows in made.items():
        place = re.search(rf"(?ms)^#+ {re.escape(title)}\n.*?^((?:\|.*?\n)+)", text)
        if not place:
            raise ValueError(f"there is no table below a heading {title!r}")
        made_anew = render(merged(parse(place[1]), rows), rows[0])
        text = text[: place.start(1)] + made_anew + "\n" + text[place.end(1) :]
    return text
