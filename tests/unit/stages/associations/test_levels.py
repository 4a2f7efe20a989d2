"""Associations formed from headers."""

import pytest

from calwebbd.stages.associations import level2_asn, level3_groups, level3_key, make_asn

IMAGE = {
    "EXP_TYPE": "NRC_IMAGE",
    "PROGRAM": "01234",
    "OBSERVTN": "001",
    "VISIT": "001",
    "INSTRUME": "NIRCAM",
    "DETECTOR": "NRCA1",
    "FILTER": "F200W",
    "PUPIL": "CLEAR",
    "SUBARRAY": "SUB320",
    "NINTS": 1,
}


def test_stage_2_makes_one_product_of_one_exposure():
    association = level2_asn(IMAGE, "jw01234001001_02101_00001_nrca1_rate.fits")

    assert (association.asn_type, association.asn_id, association.program) == ("image2", "o001", "01234")
    assert association.products[0].name == "jw01234001001_02101_00001_nrca1"
    assert [m.expname for m in association.products[0].members] == [
        "jw01234001001_02101_00001_nrca1_rate.fits"
    ]


@pytest.mark.parametrize(
    ("changes", "asn_type", "rule"),
    [
        ({}, "image2", "candidate_Asn_Lv2Image"),
        ({"EXP_TYPE": "NRC_TSIMAGE"}, "tso-image2", "candidate_Asn_Lv2ImageTSO"),
        ({"EXP_TYPE": "NRC_TACQ"}, "image2", "candidate_Asn_Lv2ImageNonScience"),
        ({"EXP_TYPE": "FGS_IMAGE"}, "image2", "candidate_Asn_Lv2Image"),
        ({"EXP_TYPE": "FGS_FOCUS"}, "image2", "candidate_Asn_Lv2FGS"),
        ({"EXP_TYPE": "NRS_MIMF"}, "image2", "candidate_Asn_Lv2Image"),
        ({"VISITYPE": "PRIME_WFSC_ROUTINE"}, "image2", "candidate_Asn_Lv2WFSC"),
        ({"BKGDTARG": True}, "image2", "candidate_Asn_Lv2ImageSpecial"),
    ],
)
def test_stage_2_rules_follow_the_exposure(changes, asn_type, rule):
    association = level2_asn({**IMAGE, **changes}, "x_rate.fits")

    assert (association.asn_type, association.asn_rule) == (asn_type, rule)


def test_spectra_have_no_image_association():
    assert level2_asn({**IMAGE, "EXP_TYPE": "NRC_WFSS"}, "x_rate.fits") is None


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "jw01234-o001_t001_nircam_clear-f200w-sub320"),
        ({"SUBARRAY": "FULL"}, "jw01234-o001_t001_nircam_clear-f200w"),
        ({"FILTER": "F150W2", "PUPIL": "F162M", "SUBARRAY": "FULL"}, "jw01234-o001_t001_nircam_f150w2-f162m"),
        (
            {"EXP_TYPE": "NIS_IMAGE", "INSTRUME": "NIRISS", "FILTER": "CLEAR", "PUPIL": "F200W"},
            "jw01234-o001_t001_niriss_clear-f200w-sub320",
        ),
        (
            {"EXP_TYPE": "MIR_IMAGE", "INSTRUME": "MIRI", "FILTER": "F560W", "PUPIL": "", "SUBARRAY": "FULL"},
            "jw01234-o001_t001_miri_f560w",
        ),
        ({"PROGRAM": "76", "OBSERVTN": "7"}, "jw00076-o007_t001_nircam_clear-f200w-sub320"),
    ],
)  # fmt: skip
def test_stage_3_names_carry_the_optical_path(changes, name):
    assert level3_key({**IMAGE, **changes}).product_name == name


@pytest.mark.parametrize(
    "change", [{"DETECTOR": "NRCB4"}, {"VISIT": "002"}, {"EXPOSURE": "3"}, {"PATT_NUM": 2}]
)
def test_detectors_visits_and_dithers_join(change):
    assert level3_key({**IMAGE, **change}) == level3_key(IMAGE)


@pytest.mark.parametrize(
    "change",
    [{"FILTER": "F150W"}, {"PUPIL": "F164N"}, {"SUBARRAY": "FULL"}, {"OBSERVTN": "002"}, {"BKGDTARG": True}],
)
def test_other_paths_observations_and_backgrounds_do_not_join(change):
    assert level3_key({**IMAGE, **change}) != level3_key(IMAGE)


@pytest.mark.parametrize(
    "change",
    [
        {"EXP_TYPE": "NRC_TACQ"},
        {"EXP_TYPE": "NRC_TSIMAGE"},
        {"VISITYPE": "PRIME_WFSC_ROUTINE"},
        {"IS_PSF": True},
        {"OBSERVTN": ""},
    ],
)
def test_what_image3_does_not_combine_has_no_group(change):
    assert level3_key({**IMAGE, **change}) is None


def test_targets_of_one_observation_make_products_of_their_own():
    seen = [("a", "Sirius"), ("b", "M 31"), ("c", "SIRIUS")]
    groups = level3_groups((name, {**IMAGE, "TARGPROP": target}) for name, target in seen)
    named = {key.product_name: members for key, members in groups.items()}

    assert named == {
        "jw01234-o001_t001_nircam_clear-f200w-sub320": ["a", "c"],
        "jw01234-o001_t002_nircam_clear-f200w-sub320": ["b"],
    }


def test_a_target_of_another_observation_is_its_first():
    groups = level3_groups((number, {**IMAGE, "OBSERVTN": number, "TARGPROP": number}) for number in "12")

    assert {key.target for key in groups} == {"t001"}
    assert len({key.product_name for key in groups}) == 2


def test_members_are_ordered_and_named_once():
    association = make_asn(level3_key(IMAGE), ["b_cal.fits", "a_cal.fits", "b_cal.fits"])

    assert [member.expname for member in association.products[0].members] == ["a_cal.fits", "b_cal.fits"]
    assert association.degraded_status == "No known degraded exposures in association."


def test_what_is_missing_is_written_down():
    association = make_asn(level3_key(IMAGE), ["a_cal.fits"], degraded="waits for dither position 2 of 2")

    assert association.degraded_status == "waits for dither position 2 of 2"
