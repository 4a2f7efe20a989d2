"""``calwebbd asn make``."""

import json
from pathlib import Path

import pytest
from header_only import expose

from calwebbd.daemon.cli import main

COLUMNS = (
    *("filename", "program", "obs_num", "exp_type", "pntgtype", "instrume", "detector", "filter"),
    *("pupil", "subarray", "targetid", "asn_candidate"),
)


@pytest.fixture
def exposures(tmp_path: Path) -> list[Path]:
    return [
        expose(tmp_path, f"jw01234{observation}001_02101_0000{n}_nrca1_uncal.fits", OBSERVTN=observation)
        for n, observation in ((1, "001"), (2, "001"), (1, "002"))
    ]


@pytest.fixture
def pool(tmp_path: Path, exposures: list[Path]) -> Path:
    """The exposures, and a mosaic of both observations."""
    lines = ["|".join(COLUMNS)]
    for path in exposures:
        number = path.name[7:10]
        candidates = [(f"o{number}", "OBSERVATION"), ("c1000", "MOSAIC")]
        lines.append(
            f"{path.name}|1234|{int(number)}|NRC_IMAGE|SCIENCE|NIRCAM|NRCA1|F200W|CLEAR|FULL|5|{candidates}"
        )
    file = tmp_path / "jw01234_pool.csv"
    file.write_text("\n".join(lines))
    return file


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*_asn.json")}


OBSERVATIONS = {
    *(f"jw01234-o001_image2_0000{n}_asn.json" for n in (1, 2)),
    "jw01234-o002_image2_00001_asn.json",
    *(f"jw01234-o00{n}_image3_00001_asn.json" for n in (1, 2)),
}


def test_exposures_are_associated_by_their_headers(
    exposures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    assert main(["asn", "make", *map(str, exposures), "-o", str(out)]) == 0
    assert written(out) == OBSERVATIONS
    assert {Path(line).name for line in capsys.readouterr().out.splitlines()} == OBSERVATIONS
    image3 = json.loads((out / "jw01234-o001_image3_00001_asn.json").read_text())
    assert image3["asn_pool"] == "none"
    assert image3["products"][0]["name"] == "jw01234-o001_t001_nircam_clear-f200w"


def test_a_pool_tells_candidates_and_targets(pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["asn", "make", str(pool), "-o", str(out), "-i", "c1000,o001"]) == 0
    mosaic = json.loads((out / "jw01234-c1000_image3_00001_asn.json").read_text())
    assert len(mosaic["products"][0]["members"]) == 3
    assert json.loads((out / "jw01234-o001_image3_00001_asn.json").read_text())["target"] == "t005"


def test_with_both_an_association_needs_all_its_exposures(
    pool: Path, exposures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["asn", "make", str(pool), *map(str, exposures[:2]), "-o", str(out)]) == 0
    assert written(out) == {name for name in OBSERVATIONS if "o001" in name}
    assert "jw01234-c1000_image3_00001_asn.json is not written, it lacks " in capsys.readouterr().err


def test_json_tells_products_and_members(
    exposures: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["asn", "make", str(exposures[0]), "-o", str(tmp_path), "--json", "--version-id", "v1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [Path(one["file"]).name for one in told] == [
        "jw01234-o001_v1_image2_00001_asn.json", "jw01234-o001_v1_image3_00001_asn.json",
    ]  # fmt: skip
    assert told[0]["members"] == [
        {"expname": exposures[0].name.replace("uncal", "rate"), "exptype": "science"}
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none.csv"], "none.csv: the pool cannot be read"),
        (["none_uncal.fits"], "none_uncal.fits: cannot be read"),
        (["one.csv", "two.csv"], "one pool at a time, not 2"),
    ],
)
def test_what_cannot_be_associated_is_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["asn", "make", *arguments]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"calwebbd: {reason}")
