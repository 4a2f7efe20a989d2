"""Associations made to harm."""

import json
from pathlib import Path
from typing import Any

import pytest

from calwebbd.stages.associations import load_asn
from calwebbd.stages.associations.asn import MOST
from calwebbd.stages.associations.generate import of_candidates
from calwebbd.stages.associations.pool import read_pool
from calwebbd.stages.errors import InputError
from calwebbd.stages.process import process

MEMBER = {"expname": "jw01234001001_02101_00001_nrca1_cal.fits", "exptype": "science"}


def write(folder: Path, text: str) -> Path:
    path = folder / "jw01234-o001_image3_00001_asn.json"
    path.write_text(text)
    return path


def asn(folder: Path, *members: dict[str, Any], name: str = "mosaic") -> Path:
    products = [{"name": name, "members": members or (MEMBER,)}]
    return write(folder, json.dumps({"asn_type": "image3", "products": products}))


def refused(path: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as error:
        load_asn(path)
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["../../etc/cron", "/etc/cron", "a/b", "..", ".", "", ".hidden", "a\0b", "a\nb", "\x1b[2J", "x" * 5000],
)
def test_products_are_named_like_files_in_a_folder(tmp_path: Path, name: str) -> None:
    refused(asn(tmp_path, name=name), "is not a plain file name")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../../etc/passwd", "lies outside of the association's folder"),
        ("a/../../b_cal.fits", "lies outside"),
        ("a\0_cal.fits", "is not the name of a file"),
        ("a\n_cal.fits", "is not the name of a file"),
        ("x" * 300 + "_cal.fits", "is not the name of a file"),
        ("a/" * 3000 + "b_cal.fits", "is not the name of a file"),
        ("", "has no file name"),
        ("..", "is not the name of a file"),
    ],
)
def test_members_lie_in_the_folder_and_can_be_files(tmp_path: Path, name: str, reason: str) -> None:
    refused(asn(tmp_path, {"expname": name, "exptype": "science"}), reason)


def test_a_member_that_is_no_exposure_is_not_used(tmp_path: Path, crds_environment: Path) -> None:
    """An absolute name, or a link, may lead to any file; only an exposure passes its verification."""
    (tmp_path / "secret").write_text("root:x:0:0")
    link = tmp_path / MEMBER["expname"]
    link.symlink_to(tmp_path / "secret")
    for name in (link.name, str(tmp_path / "secret")):
        path = asn(tmp_path, {"expname": name, "exptype": "science"})
        with pytest.raises(InputError, match=r"FITS|suffix|no usable|cannot be"):
            process(path, output_dir=tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"products": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep|is no association"),
        ('{"x": ' + "[" * 100_000 + "]" * 100_000 + ', "products": []}', "nested too deep|is no association"),
        ('{"x": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + ', "products": []}', "nested|no association"),
        ('{"products": ' + "9" * 100_000 + "}", "is no association|is not valid JSON"),
        ('{"products": 1e999}', "is no association|is not valid JSON"),
        ('{"version_id": 1e400, "products": []}', "is no association|is not valid JSON"),
        ('{"products": []}', "no product"),
        ('{"products": {}}', "is no association"),
        ('{"products": [{"name": "a", "name": "../b", "members": []}]}', "not a plain file name"),
        ('{"products": [{"name": "a", "members": [null]}]}', "is no association"),
        ('{"products": "\\ud800"}', "is no association|is not valid JSON"),
        ("[]}", "is not valid JSON|is no association"),
        ("\ufeff{}", "is not valid JSON"),
    ],
)
def test_other_documents_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    refused(write(tmp_path, text), reason)


def test_of_a_repeated_key_the_last_holds_and_is_checked(tmp_path: Path) -> None:
    member = json.dumps(MEMBER)
    path = write(tmp_path, f'{{"products": [{{"name": "../x", "name": "fine", "members": [{member}]}}]}}')
    assert load_asn(path).products[0].name == "fine"


def test_more_members_than_any_product_has_are_refused(tmp_path: Path) -> None:
    refused(asn(tmp_path, *[MEMBER] * (MOST + 1)), f"more than {MOST} members")


def test_a_file_larger_than_any_association_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calwebbd.stages.associations.asn.LARGEST", 100)
    path = tmp_path / "large_asn.json"
    with path.open("wb") as file:
        file.write(b"{")
        file.truncate(2**40)  # a hole
        file.seek(2**40)
        file.write(b"}")
    refused(path, "is larger than 100 bytes")


def pool(folder: Path, **changes: str) -> Path:
    values = {"FILENAME": "jw01234001001_02101_00001_nrca1_uncal.fits", "PROGRAM": "1234", "OBS_NUM": "1"}
    values |= {"ASN_CANDIDATE": "[('o001', 'observation')]", "TARGETID": "1", "VISIT": "1", "FILTER": "F200W"}
    values |= {"EXP_TYPE": "NRC_IMAGE", "INSTRUME": "NIRCAM", "PUPIL": "CLEAR", "DETECTOR": "NRCA1"}
    values |= {"SUBARRAY": "FULL", "PNTGTYPE": "SCIENCE"} | changes
    path = folder / "jw01234_pool.csv"
    path.write_text("|".join(values) + "\n" + "|".join(values.values()) + "\n")
    return path


def test_a_usual_pool_passes(tmp_path: Path) -> None:
    assert len(of_candidates(read_pool(pool(tmp_path)))) == 2


@pytest.mark.parametrize("column", ["PROGRAM", "TARGETID", "INSTRUME", "FILTER", "PUPIL", "SUBARRAY"])
@pytest.mark.parametrize("value", ["../../../x", "/etc/x", "a/b", "x\x1b[2J", "x" * 5000])
def test_no_value_of_a_pool_makes_a_name_that_leads_elsewhere(
    tmp_path: Path, column: str, value: str
) -> None:
    with pytest.raises(InputError, match="plain file name"):
        of_candidates(read_pool(pool(tmp_path, **{column: value})))


def test_no_candidate_does(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="plain file name"):
        of_candidates(read_pool(pool(tmp_path, ASN_CANDIDATE="[('o/../../x', 'observation')]")))


@pytest.mark.parametrize(
    "listed", ["[" * 50_000, "-" * 100_000 + "1", "1" + "+1" * 30_000, "9" * 100_000, "__import__('os')"]
)
def test_candidates_that_are_none_are_none(tmp_path: Path, listed: str) -> None:
    assert of_candidates(read_pool(pool(tmp_path, ASN_CANDIDATE=listed))) == {}


def test_a_field_or_pool_that_is_larger_than_any_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="field larger than"):
        read_pool(pool(tmp_path, FILTER="x" * 200_000))
    monkeypatch.setattr("calwebbd.stages.associations.pool.LARGEST", 100)
    with pytest.raises(InputError, match="is larger than 100 bytes"):
        read_pool(pool(tmp_path))


@pytest.mark.parametrize("key", ["program", "asn_id", "asn_type"])
def test_what_an_association_is_called_by_leads_nowhere_else(tmp_path: Path, key: str) -> None:
    document = {key: "x/../../y", "products": [{"name": "fine", "members": [MEMBER]}]}
    refused(write(tmp_path, json.dumps(document)), "make no plain file name")
