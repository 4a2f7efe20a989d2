"""Which pipeline takes which exposure."""

import pytest

from calwebbd.stages.exptypes import (
    EXP_TYPES,
    PIPELINES,
    is_tso,
    pipeline_for,
    stage1,
    stage2,
    stage2_input,
    stage3,
)
from calwebbd.stages.pipelines import NAMES


def header(exp_type, **keywords):
    return {"EXP_TYPE": exp_type, "NINTS": 5, **keywords}


def test_the_pipelines_offered_are_those_that_exist():
    assert set(NAMES) == PIPELINES


def test_every_exposure_type_has_a_first_stage():
    assert all(stage1(header(exp_type)) for exp_type in EXP_TYPES)


@pytest.mark.parametrize(
    ("exp_type", "stages"),
    [
        ("NRC_IMAGE", ("detector1", "image2", "image3")),
        ("FGS_IMAGE", ("detector1", "image2", "image3")),
        ("NRC_TSIMAGE", ("detector1", "image2", "tso3")),
        ("MIR_LYOT", ("detector1", "image2", "coron3")),
        ("NIS_AMI", ("detector1", "image2", "ami3")),
        ("NRC_TACQ", ("detector1", "image2", None)),
        ("NRC_FLAT", ("detector1", None, None)),
        ("NRS_MSASPEC", ("detector1", "spec2", "spec3")),
        ("NRS_BRIGHTOBJ", ("detector1", "spec2", "tso3")),
        ("NRS_LAMP", ("detector1", "spec2", None)),
        ("MIR_DARKIMG", ("dark", None, None)),
        ("FGS_TRACK", ("guider", None, None)),
        ("NOVELTY", (None, None, None)),
    ],
)
def test_stages_follow_the_documentation(exp_type, stages):
    assert tuple(stage(header(exp_type)) for stage in (stage1, stage2, stage3)) == stages


def test_a_miri_image_of_a_time_series_visit_goes_to_tso3():
    assert stage3(header("MIR_IMAGE", TSOVISIT=True)) == "tso3"


def test_wavefront_images_are_combined_in_pairs():
    wavefront = header("NRC_IMAGE", VISITYPE="PRIME_WFSC_ROUTINE")
    assert stage3(wavefront) == pipeline_for(wavefront, "cal").pipeline == "wfs-image3"


def test_one_integration_is_no_time_series():
    assert is_tso(header("NRC_TSIMAGE"))
    assert not is_tso(header("NRC_TSIMAGE", NINTS=1))


def test_acquisitions_of_a_time_series_visit_are_no_time_series():
    assert not is_tso(header("NRC_TACQ", TSOVISIT=True))


def test_integrations_are_kept_where_they_matter():
    assert stage2_input(header("NRC_IMAGE")) == "rate"
    assert stage2_input(header("NRC_TSIMAGE", NINTS=1)) == "rateints"
    assert stage2_input(header("NIS_AMI")) == "rateints"
    assert stage2_input(header("MIR_4QPM")) == "rateints"


@pytest.mark.parametrize(("detector", "product"), [("NRCA1", "rate"), ("NRCA2", "rateints")])
def test_full_frame_coronagraphy_off_the_mask_is_imaging(detector, product):
    off_mask = header("NRC_CORON", SUBARRAY="FULL", PUPIL="MASKRND", DETECTOR=detector)

    assert stage2_input(off_mask) == product


def test_the_pipelines_of_images_follow_one_another():
    image = header("NRC_IMAGE")

    assert [pipeline_for(image, kind).pipeline for kind in ("uncal", "rate", "cal")] == [
        "detector1",
        "image2",
        "image3",
    ]


@pytest.mark.parametrize(
    ("exp_type", "kind", "reason"),
    [
        ("NRC_WFSS", "rate", "calwebb_spec2 is not available in this version"),
        ("FGS_TRACK", "cal", "FGS_TRACK has no pipeline that starts from cal products"),
        ("NRS_DARK", "dark", "no pipeline starts from dark products"),
        ("NRC_IMAGE", "rateints", "stage 2 takes the rate product of NRC_IMAGE, not rateints"),
        ("NRC_TSIMAGE", "rate", "stage 2 takes the rateints product of NRC_TSIMAGE, not rate"),
        ("NRC_IMAGE", "calints", "calwebb_image3 takes cal products, not calints"),
        ("NRC_IMAGE", "i2d", "no pipeline starts from i2d products"),
        ("NRC_IMAGE", "", "its name has no suffix that says what it is, as _uncal does"),
        ("NRC_FLAT", "rate", "NRC_FLAT has no pipeline that starts from rate products"),
        ("", "uncal", "no EXP_TYPE has no pipeline that starts from uncal products"),
    ],
)
def test_what_has_no_pipeline_has_a_reason(exp_type, kind, reason):
    assert pipeline_for(header(exp_type), kind) == (None, reason)
