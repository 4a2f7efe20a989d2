"""Plots, graphs and footprints; and the files that they are made of."""

import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.daemon.web import holdings, lineage, sky, svg
from calwebbd.daemon.web.show import ago, number, size, span

SQUARE = [(10.0, 0.0), (10.0, 0.01), (9.99, 0.01), (9.99, 0.0)]


@given(st.floats(1e-6, 1e9))
def test_ticks_are_round_few_and_reach_the_highest(highest: float) -> None:
    found = svg.ticks(highest)
    assert found[0] == 0.0
    assert highest <= found[-1] * 1.001
    assert 2 <= len(found) <= 7


def test_bars_stand_on_one_another() -> None:
    root = xml.fromstring(svg.bars([[1, 3], [0, 2]], ("a", "b"), ("x", "y"), "T", "n"))
    bars = [each for each in root.iter() if each.tag == "rect"]
    assert len(bars) == 3
    low, high = bars[0], bars[1]
    assert float(high.attrib["y"]) + float(high.attrib["height"]) == pytest.approx(
        float(low.attrib["y"]), abs=0.2
    )
    assert float(high.attrib["height"]) == pytest.approx(3 * float(low.attrib["height"]), abs=0.3)


def test_nothing_at_all_can_be_drawn() -> None:
    for drawn in (
        svg.bars([], (), (), "T", ""),
        svg.bars([[0]], ("a",), ("x",), "T", ""),
        svg.lines([[None, None]], ("x", "y"), "T", ""),
        svg.scatter([], "T", "mas", ("RA", "Dec")),
    ):
        xml.fromstring(drawn)


def test_a_gap_is_not_drawn_across() -> None:
    drawn = svg.lines([[1.0, 2.0, None, 4.0]], list("abcd"), "T", "s")
    assert drawn.count("<circle") == 3
    path = next(each for each in xml.fromstring(drawn).iter() if each.tag == "path")
    assert path.attrib["d"].count("M") == 2
    assert path.attrib["d"].count("L") == 1


def test_titles_and_names_are_only_text() -> None:
    bad = "</title><script>alert(1)</script>"
    for drawn in (
        svg.bars([[1]], (bad,), (bad,), bad, bad),
        svg.lines([[1.0]], (bad,), bad, bad),
        svg.scatter([(1, 1, bad)], bad, bad, (bad, bad)),
        sky.draw([(bad, SQUARE)]) or "",
    ):
        assert "<script" not in drawn
        xml.fromstring(drawn)


def made(name: str, *inputs: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"sha256": name, "name": f"{name}.fits", "kind": "cal", "inputs": list(inputs)}
    if inputs:
        answer["made_by"] = {"pipeline": "image2", "references": {"flat": "f"}}
    return answer


def test_a_file_that_two_were_made_of_is_drawn_once_left_of_both() -> None:
    raw = made("raw")
    nodes = {
        node.name: node for node in lineage.graph(made("mosaic", made("one", raw), made("two", raw), raw))
    }
    assert len(nodes) == 4
    assert nodes["mosaic.fits"].column == 0
    assert nodes["raw.fits"].column == 2


def test_of_many_members_some_are_drawn_and_the_others_counted() -> None:
    drawn = lineage.draw(made("mosaic", *(made(f"m{i}") for i in range(500))))
    assert drawn.count("<a ") == 1 + lineage.SHOWN
    assert f"and {500 - lineage.SHOWN} more" in drawn
    xml.fromstring(drawn)


def test_footprints_have_north_up_and_east_to_the_left() -> None:
    drawn = sky.draw([("m", SQUARE)])
    assert drawn is not None
    points = next(e for e in xml.fromstring(drawn).iter() if e.tag == "polygon").attrib["points"].split()
    (x0, y0), (x1, y1), (x2, y2), _ = (tuple(map(float, p.split(","))) for p in points)
    assert y1 < y0
    assert x2 > x1
    assert (x0, y1) == pytest.approx((x1, y2))


def test_a_field_across_the_zero_of_right_ascension_stays_small() -> None:
    across = [(359.999, 0.0), (0.001, 0.0), (0.001, 0.002), (359.999, 0.002)]
    drawn = sky.draw([("m", across)])
    assert drawn is not None
    points = next(e for e in xml.fromstring(drawn).iter() if e.tag == "polygon").attrib["points"].split()
    xs = [float(p.split(",")[0]) for p in points]
    assert max(xs) - min(xs) == pytest.approx(sky.SIZE - 2 * sky.PAD)


@pytest.mark.parametrize(
    "region", ["", "CIRCLE ICRS 1 2 3", "POLYGON ICRS 1 2 nan 4 5 6", "POLYGON ICRS a b", "POLYGON ICRS 1 2"]
)
def test_regions_that_are_none_are_not_drawn(region: str) -> None:
    assert sky.corners(region) == []
    assert sky.draw([]) is None


def test_a_table_of_members_is_read_as_it_was_written(tmp_path: Path) -> None:
    import numpy as np
    from astropy.table import Table

    rows = {"exposure": ["a b", 'with "quotes"'], "used": [True, False], "shift_ra": [1.5, np.nan]}
    Table(rows).write(tmp_path / "x_members.ecsv")
    assert holdings.member_table(str(tmp_path / "x_members.ecsv"), tmp_path) == [
        {"exposure": "a b", "used": True, "shift_ra": 1.5},
        {"exposure": 'with "quotes"', "used": False, "shift_ra": None},
    ]


def mosaic(path: Path, names: list[str], regions: list[str]) -> None:
    from astropy.io import fits

    columns = [
        fits.Column("BEFORE", "K", array=[1] * len(names)),
        fits.Column("FILENAME", "20A", array=names),
        fits.Column("FLAG", "L", array=[True] * len(names)),
        fits.Column("S_REGION", "60A", array=regions),
    ]
    image = fits.ImageHDU(name="SCI")
    image.header["S_REGION"] = "POLYGON ICRS 1 1 2 2 3 1"
    fits.HDUList([fits.PrimaryHDU(), image, fits.BinTableHDU.from_columns(columns, name="HDRTAB")]).writeto(
        path
    )


def test_footprints_of_members_are_read_from_the_mosaic(tmp_path: Path) -> None:
    mosaic(tmp_path / "i2d.fits", ["a.fits", "bb.fits"], ["POLYGON ICRS 1 1 2 2 3 1", ""])
    whole, members = holdings.regions(str(tmp_path / "i2d.fits"), tmp_path)
    assert whole == "POLYGON ICRS 1 1 2 2 3 1"
    assert members == {"a.fits": "POLYGON ICRS 1 1 2 2 3 1", "bb.fits": ""}


@pytest.mark.parametrize("cut", [0, 100, 2880, 9000])
def test_a_mosaic_that_is_cut_or_no_mosaic_has_no_footprints(tmp_path: Path, cut: int) -> None:
    mosaic(tmp_path / "i2d.fits", ["a.fits"], [""])
    content = (tmp_path / "i2d.fits").read_bytes()
    (tmp_path / "i2d.fits").write_bytes(content[:cut])
    with pytest.raises(holdings.Unseen):
        holdings.regions(str(tmp_path / "i2d.fits"), tmp_path)


def test_what_is_shown_is_short() -> None:
    assert [span(s) for s in (0.0, 0.02, 1.26, 59.0, 600.0, 7300.0, 1e6)] == [
        "0 s", "20 ms", "1.3 s", "59 s", "10 min", "2 h", "12 d",
    ]  # fmt: skip
    assert [size(n) for n in (0, 999, 1_500_000, 250_000_000, 3e12)] == [
        "0 B",
        "999 B",
        "1.5 MB",
        "250 MB",
        "3.00 TB",
    ]
    assert number(1234567).replace("\N{THIN SPACE}", " ") == "1 234 567"
    assert "in 5.0 s" in ago(105.0, 100.0)
    assert "5.0 s ago" in ago(95.0, 100.0)
