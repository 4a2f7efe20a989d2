"""Association files."""

import json

import pytest

from calwebbd.stages.associations import Member, asn_file_name, load_asn, make_asn, member_path, write_asn
from calwebbd.stages.associations.level3 import GroupKey
from calwebbd.stages.errors import Incomplete, InputError

KEY = GroupKey("image3", "Asn_Lv3Image", "01234", "o001", "nircam", "f200w", "clear", "sub320")
CAL = [f"jw01234001001_02101_0000{n}_nrca1_cal.fits" for n in (2, 1)]


def put(folder, name="product", expname="a_cal.fits", exptype="science", **keys):
    document = {"products": [{"name": name, "members": [{"expname": expname, "exptype": exptype}]}], **keys}
    path = folder / "x_asn.json"
    path.write_text(json.dumps(document))
    return path


def test_what_is_written_is_read_again(tmp_path):
    association = make_asn(KEY, CAL, version_id="20240101t000000")
    path = tmp_path / asn_file_name(association)

    write_asn(association, path)

    assert path.name == "jw01234-o001_20240101t000000_image3_00001_asn.json"
    assert load_asn(path).products == association.products
    assert load_asn(path).version_id == "20240101t000000"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_layout_is_that_of_the_generator(tmp_path):
    write_asn(make_asn(KEY, CAL), tmp_path / "x_asn.json")

    written = (tmp_path / "x_asn.json").read_text()
    document = json.loads(written)

    assert written == json.dumps(document, indent=4, ensure_ascii=False)
    assert " ".join(document) == (
        "asn_type asn_rule version_id code_version degraded_status program constraints asn_id asn_pool "
        "target products"
    )
    assert document["products"][0]["members"][0] == {
        "expname": "jw01234001001_02101_00001_nrca1_cal.fits",
        "exptype": "science",
        "exposerr": None,
        "asn_candidate": "[('o001', 'observation')]",
    }


def test_little_is_compulsory_and_more_is_allowed(tmp_path):
    association = load_asn(put(tmp_path, exptype="SCIENCE", creation_time="now"))

    assert association.asn_type == "none"
    assert association.products[0].members == (Member("a_cal.fits", "science"),)


def test_members_are_beside_the_file_or_below_or_where_an_absolute_path_says(tmp_path):
    assert member_path(tmp_path, Member("a_cal.fits", "science")) == tmp_path / "a_cal.fits"
    assert member_path(tmp_path, Member("./b/a_cal.fits", "science")) == tmp_path / "b/a_cal.fits"
    assert str(member_path(tmp_path, Member("/data/a_cal.fits", "science"))) == "/data/a_cal.fits"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expname": "../a_cal.fits"}, "member ../a_cal.fits lies outside of the association's folder"),
        ({"expname": "b/../../a_cal.fits"}, "lies outside"),
        ({"expname": ""}, "a member of product has no file name"),
        ({"name": "../../etc/product"}, "is not a plain file name"),
        ({"name": ""}, "product name '' is not a plain file name"),
        ({"exptype": "background"}, "product product has no science member"),
        ({"expname": 3}, r"is no association: Expected `str`, got `int` - at .*members\[0\].expname`"),
        ({"products": []}, "has no product"),
    ],
)  # fmt: skip
def test_a_wrong_association_is_refused_with_its_reason(tmp_path, changes, reason):
    with pytest.raises(InputError, match=f"^x_asn.json: association: .*{reason}") as refusal:
        load_asn(put(tmp_path, **changes))
    assert not isinstance(refusal.value, Incomplete)


def test_an_association_cut_anywhere_is_incomplete(tmp_path):
    whole = put(tmp_path).read_bytes()
    for end in range(len(whole)):
        (tmp_path / "cut_asn.json").write_bytes(whole[:end])
        with pytest.raises(Incomplete):
            load_asn(tmp_path / "cut_asn.json")


@pytest.mark.parametrize("content", [b"[]", b"{,}", b"\xff}", b"no json"])
def test_other_content_is_refused(tmp_path, content):
    (tmp_path / "x_asn.json").write_bytes(content)
    with pytest.raises(InputError):
        load_asn(tmp_path / "x_asn.json")


def test_an_unreadable_association_says_so(tmp_path):
    (tmp_path / "x_asn.json").mkdir()
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_asn(tmp_path / "x_asn.json")
