"""The tables of how stage 1 agrees."""

from __future__ import annotations

from likeness import Likeness
from matrix import merged, order, parse, render, rewritten, tables

NEW = {"context": "jwst_0002.pmap", "pipeline": "detector1", "instrument": "MIRI", "size": "1 x 5"}


def result(readout: str, **cells: Likeness) -> dict[str, object]:
    return {**NEW, "readout": readout, "cells": {name: vars(found) for name, found in cells.items()}}


def test_a_cell_is_the_worst_of_all_segments() -> None:
    made = tables([result("A", rate=Likeness(), jump=Likeness()), result("A", rate=Likeness(3))])
    ((products,), (steps,)) = made.values()
    assert (products["as operated"], products["defaults"]) == ("3 px", "")
    assert (steps["jump"], steps["refpix"]) == ("=", "·")


def test_where_the_official_package_fails_there_is_a_dash() -> None:
    ((products,),) = tables([{**NEW, "readout": "A", "failed": "ValueError"}]).values()
    assert products["as operated"] == "\N{EN DASH}"


def test_steps_stand_in_the_order_of_both_families() -> None:
    names = order()
    for before, after in [("dq_init", "emicorr"), ("reset", "superbias"), ("linearity", "rscd")]:
        assert names.index(before) < names.index(after)


def test_a_page_keeps_what_was_not_measured_and_the_letters_of_footnotes() -> None:
    old = [
        {"": "NIRCam", "read-out": "A", "x": "2 pxᶜᵉ", "y": "="},
        {"": "NIRCam", "read-out": "B", "x": "≈"},
    ]
    new = [{"": "MIRI", "read-out": "C", "x": "="}, {"": "NIRCam", "read-out": "A", "x": "3 px", "y": ""}]
    rows = merged(old, new)
    assert [row["read-out"] for row in rows] == ["A", "B", "C"]
    assert rows[0] == {"": "NIRCam", "read-out": "A", "x": "3 pxᶜᵉ", "y": "="}


def test_a_table_is_read_as_it_was_written_into_the_page() -> None:
    rows = [{"": "NIRCam", "read-out": name, "ints × groups": "1 × 5", "x": "="} for name in "AB"]  # noqa: RUF001
    text = f"# Page\n\n## T\n\nWords.\n\n{render(rows, rows[0])}\n\n## End\n"
    assert "|  | B |" in text
    assert parse(render(rows, rows[0])) == rows
    assert rewritten(text, {"T": rows}) == text
