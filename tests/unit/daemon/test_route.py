"""What follows from a file."""

import fake_calibration as fake
import pytest

from calwebbd.daemon.route import (
    KEYWORDS,
    STAGES,
    estimate_mb,
    follow,
    keep,
    lacking,
    member_name,
    to_be_held,
    wanted,
)
from calwebbd.stages import exptypes
from calwebbd.stages.exptypes import PIPELINES

HEADER = fake.HEADER


@pytest.mark.parametrize(
    ("kind", "pipeline"), [("uncal", "detector1"), ("rate", "image2"), ("rateints", None), ("cal", None)]
)
def test_an_image_goes_from_stage_to_stage(kind: str, pipeline: str | None) -> None:
    assert follow(kind, HEADER).pipeline == pipeline


@pytest.mark.parametrize("kind", ["uncal", "rate", "cal"])
def test_all_stages_of_an_exposure_belong_to_one_group(kind: str) -> None:
    group = follow(kind, HEADER).group
    assert group is not None
    assert group.product_name == "jw01234-o001_t001_nircam_clear-f200w-sub64p"


def test_what_nothing_follows_from_says_why() -> None:
    assert follow("rateints", HEADER).reason == "stage 2 takes the rate product of NRC_IMAGE, not rateints"
    assert follow("uncal", HEADER | {"EXP_TYPE": "NRC_DREAM"}).reason


def test_a_member_joins_under_the_name_that_its_cal_product_will_have() -> None:
    assert {member_name(fake.name(suffix=s)) for s in ("uncal", "rate", "cal")} == {fake.name(suffix="cal")}


@pytest.mark.parametrize("name", [fake.name(), fake.name(suffix="cal"), "jw01234-o001_image3_00001_asn.json"])
def test_exposures_and_associations_are_wanted(name: str) -> None:
    assert wanted(name)


@pytest.mark.parametrize(
    "name",
    [f".{fake.name()}", f"{fake.name()}.part", f".{fake.name()}.Xy12", fake.name(suffix="i2d"), "a.fits"],
)
def test_temporary_files_and_products_of_others_are_not(name: str) -> None:
    assert not wanted(name)


def test_the_catalogue_keeps_what_names_and_routes_an_exposure() -> None:
    full = HEADER | {"EXPOSURE": "00001", "HISTORY": "long"}
    assert keep(full) == {k: v for k, v in full.items() if k != "HISTORY"}


def test_the_catalogue_keeps_all_that_references_are_chosen_by() -> None:
    from calwebbd.stages.crds import PARAMETERS

    assert set(PARAMETERS.values()) <= KEYWORDS


def test_every_pipeline_has_its_stage() -> None:
    assert set(STAGES) > PIPELINES
    known = {name for pair in exptypes.SCIENCE.values() for name in pair}
    assert set(STAGES) == known | PIPELINES


def test_what_this_version_lacks_is_said() -> None:
    assert lacking("spec2") == "calwebb_spec2 is not available in this version"
    assert lacking("image2") == lacking("a plug-in's") == ""
    assert to_be_held() == set(STAGES) - PIPELINES


def test_memory_grows_with_samples_and_members() -> None:
    full = HEADER | {"SUBSIZE1": 2048, "SUBSIZE2": 2048, "NGROUPS": 10}
    assert estimate_mb("detector1", [HEADER]) < estimate_mb("detector1", [full])
    assert estimate_mb("image3", [full]) < estimate_mb("image3", [full] * 4)
    assert estimate_mb("detector1", [full]) == estimate_mb("detector1", [full | {"INTSTART": 5, "INTEND": 5}])
