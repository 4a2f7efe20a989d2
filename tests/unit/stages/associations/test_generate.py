"""All associations of a pool: as the official generator makes them, and pools one can see through."""

import gzip
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.stages.associations.generate import generate, missing, of_observations
from calwebbd.stages.associations.pool import Pool, read_pool
from calwebbd.stages.errors import InputError

POOLS = Path(__file__).parents[3] / "data" / "pools"
NAMES = sorted(path.name.removesuffix(".csv.gz") for path in POOLS.glob("*.csv.gz"))


@pytest.mark.parametrize("name", NAMES)
def test_associations_of_images_are_those_of_the_official_generator(name, tmp_path):
    table = tmp_path / f"{name}.csv"
    table.write_bytes(gzip.decompress((POOLS / f"{name}.csv.gz").read_bytes()))
    lines = gzip.decompress((POOLS / f"{name}.jsonl.gz").read_bytes()).splitlines()
    official = [json.loads(line) for line in lines]

    made = {}
    for file, association in generate(read_pool(table)).items():
        made[file] = json.loads(msgspec.json.encode(association))
        del made[file]["constraints"], made[file]["code_version"]

    assert made == {association.pop("file"): association for association in official}


def row(number, *kinds, obs="1", **changes):
    """A NIRCam image; kinds: its candidates beside the observation, as c1000:mosaic."""
    pairs = [(f"o{int(obs):03d}", "observation"), *(tuple(kind.split(":")) for kind in kinds)]
    return {
        "filename": f"jw{number:02d}_uncal.fits",
        "program": "76",
        "obs_num": obs,
        "exp_type": "nrc_image",
        "pntgtype": "science",
        "visitype": "prime_targeted_fixed",
        "instrume": "nircam",
        "detector": "nrca1",
        "filter": "f200w",
        "pupil": "clear",
        "subarray": "full",
        "targetid": "1",
        "asn_candidate": str(pairs),
        **changes,
    }


def told(rows, level, **options):
    """By product: the rule and the members, a background marked by a minus."""
    found = {}
    for association in generate(Pool("none", tuple(rows)), **options).values():
        if association.asn_type.endswith(str(level)):
            (product,) = association.products
            marks = {"background": "-", "target_acquisition": "?"}
            members = [marks.get(m.exptype, "") + m.expname[2:4] for m in product.members]
            found[product.name] = (association.asn_rule.partition("_Asn_")[2], " ".join(members))
    return found


def test_each_image_makes_one_product():
    assert told([row(1), row(2)], 2) == {"jw01": ("Lv2Image", "01"), "jw02": ("Lv2Image", "02")}


def test_backgrounds_join_the_science_of_their_candidate_and_mode_and_are_calibrated_alone():
    sky = [row(n, "c1000:background", obs="2", bkgdtarg="t", targetid="2") for n in (1, 4)]
    other = row(5, "c1000:background", obs="2", bkgdtarg="t", targetid="2", filter="f150w")
    science = [row(n, "c1000:background") for n in (2, 3)]

    assert told([sky[0], *science, sky[1], other], 2) == {
        "jw01": ("Lv2ImageSpecial", "01"),
        "jw02": ("Lv2Image", "-01 02 -04"),
        "jw03": ("Lv2Image", "03 -04 -01"),
        "jw04": ("Lv2ImageSpecial", "04"),
        "jw05": ("Lv2ImageSpecial", "05"),
    }


def test_other_candidates_make_nothing_at_level_2():
    made = generate(Pool("none", (row(1, "c1000:mosaic"),)), ids=["c1000"])

    assert [name for name in made if "image2" in name] == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"is_psf": "t"}, "Lv2ImageSpecial"),
        ({"tsovisit": "t"}, "Lv2ImageTSO"),
        ({"exp_type": "nrc_tacq"}, "Lv2ImageNonScience"),
        ({"pntgtype": "target_acquisition"}, "Lv2ImageNonScience"),
        ({"exp_type": "fgs_image"}, "Lv2Image"),
        ({"exp_type": "fgs_focus"}, "Lv2FGS"),
        ({"exp_type": "nrs_lamp", "grating": "mirror"}, "Lv2NRSLAMPImage"),
        ({"visitype": "prime_wfsc_routine"}, "Lv2WFSC"),
        (
            {"exp_type": "nrs_msaspec", "grating": "mirror", "msastate": "primarypark_allopen"},
            "Lv2ImageNonScience",
        ),
    ],
)
def test_rules_of_level_2(changes, rule):
    assert told([row(1, **changes)], 2) == {"jw01": (rule, "01")}


@pytest.mark.parametrize(
    "changes",
    [
        {"exp_type": "nrc_wfss"},
        {"filter": "opaque"},
        {"filter": "null"},
        {"is_imprt": "t"},
        {"visitype": "prime_wfsc_routine", "dms_note": "wfsc_los_jitter"},
    ],
)
def test_what_is_no_image_has_no_association(changes):
    assert told([row(1, **changes)], 2) == {}


def test_a_coronagraph_in_full_frame_is_calibrated_by_integration_and_as_a_whole():
    seen = row(1, exp_type="nrc_coron", pupil="maskrnd", detector="nrca2")
    made = generate(Pool("none", (seen,)))

    members = [asn.products[0].members[0].expname for asn in made.values() if asn.asn_type == "image2"]
    assert sorted(members) == ["jw01_rate.fits", "jw01_rateints.fits"]


def test_level_3_joins_what_has_one_target_and_path():
    rows = [row(1), row(2, detector="nrcb4"), row(3, filter="f150w"), row(4, targetid="12"), row(5, obs="2")]

    assert told(rows, 3, ids=["o001", "o002"]) == {
        "jw00076-o001_t001_nircam_clear-f200w": ("Lv3Image", "01 02"),
        "jw00076-o001_t001_nircam_clear-f150w": ("Lv3Image", "03"),
        "jw00076-o001_t012_nircam_clear-f200w": ("Lv3Image", "04"),
        "jw00076-o002_t001_nircam_clear-f200w": ("Lv3Image", "05"),
    }


def test_what_is_not_known_is_a_value():
    rows = [row(1, pupil="null"), row(2), row(3, pupil="null")]

    assert told(rows, 3) == {
        "jw00076-o001_t001_nircam_f200w": ("Lv3Image", "01 03"),
        "jw00076-o001_t001_nircam_clear-f200w": ("Lv3Image", "02"),
    }


def test_a_coronagraphic_time_series_is_not_stacked():
    seen = {"exp_type": "nrc_coron", "pupil": "maskrnd", "detector": "nrca2", "channel": "short"}

    assert told([row(1, **seen)], 3) == {
        "jw00076-o001_t001_nircam_f200w-maskrnd-image3": ("Lv3NRCCoronImage", "01")
    }
    assert told([row(1, tsovisit="t", **seen)], 3) == {}


def test_what_spans_candidates_is_discovered():
    assert told([row(1), row(2, obs="2")], 3)["jw00076-a3001_t001_nircam_clear-f200w"] == (
        "Lv3Image",
        "01 02",
    )


def test_a_mosaic_has_no_target_and_needs_two_observations():
    tiles = [row(n, "c1000:mosaic", obs=str(n), targetid=str(n)) for n in (1, 2)]

    assert told(tiles, 3)["jw00076-c1000_t000_nircam_clear-f200w"] == ("Lv3ImageMosaic", "01 02")
    assert not [name for name in told(tiles[:1], 3) if "c1000" in name]


def test_direct_images_of_parallels_have_no_target():
    rows = [row(n, "c1000:direct_image", obs=str(n), targetid=str(n)) for n in (1, 2)]

    assert told(rows, 3)["jw00076-c1000_t000_nircam_clear-f200w"] == ("Lv3Image", "01 02")


def test_of_equal_associations_that_of_the_observation_is_kept():
    assert list(told([row(1, "c1000:group"), row(2, "c1000:group")], 3)) == [
        "jw00076-o001_t001_nircam_clear-f200w"
    ]


def test_acquisitions_join_their_observation_early_or_late():
    rows = [row(1, exp_type="nrc_tacq"), row(2), row(3, exp_type="nrc_taconfirm"), row(4)]
    elsewhere = row(5, exp_type="nrc_tacq", obs="2")

    assert told([*rows, elsewhere], 3) == {
        "jw00076-o001_t001_nircam_clear-f200w": ("Lv3Image", "02 ?03 04 ?01")
    }


def test_background_fields_are_combined_apart():
    rows = [row(1), row(2, bkgdtarg="t", targetid="2")]

    assert told(rows, 3)["jw00076-o001_t002_nircam_clear-f200w"] == ("Lv3ImageBackground", "02")


def test_wavefront_images_are_combined_in_pairs_only():
    pair = {"visitype": "prime_wfsc_routine", "patttype": "wfsc", "obs_id": "v1", "act_id": "a"}
    name = "jw00076-o001_t001_nircam_clear-f200w-nrca1_{suffix}-0a"

    assert told([row(1, **pair), row(2, **pair)], 3) == {name: ("Lv3WFSCMB", "01 02")}
    assert told([row(1, **pair)], 3) == {}


def test_files_are_numbered_backwards_by_candidate_and_type():
    made = generate(Pool("none", (row(1), row(2), row(3, obs="2"))), ids=["o001", "o002"])

    names = {name: asn.products[0].name for name, asn in made.items() if asn.asn_type == "image2"}
    assert names == {
        "jw00076-o001_image2_00001_asn.json": "jw02",
        "jw00076-o001_image2_00002_asn.json": "jw01",
        "jw00076-o002_image2_00001_asn.json": "jw03",
    }


def test_a_version_is_part_of_the_names():
    made = generate(Pool("none", (row(1),)), ids=["o001"], version_id="today")

    assert sorted(made) == [
        "jw00076-o001_today_image2_00001_asn.json",
        "jw00076-o001_today_image3_00001_asn.json",
    ]


def test_a_bad_exposure_degrades_its_association():
    made = generate(Pool("none", (row(1, exposerr="null"), row(2, exposerr="unsuccessful"))), ids=["o001"])

    status = {asn.products[0].name: asn.degraded_status[:12] for asn in made.values()}
    assert status["jw01"] == "No known deg"
    assert status["jw02"] == status["jw00076-o001_t001_nircam_clear-f200w"] == "One or more "


def test_an_unknown_candidate_is_said():
    with pytest.raises(InputError, match="no row has the candidate c1000"):
        generate(Pool("none", (row(1),)), ids=["c1000"])


def test_headers_tell_of_observations_alone():
    pool = Pool("none", (row(1, "c1000:group"), row(2, "c1000:group", obs="2")))

    assert {asn.asn_id for asn in of_observations(pool).values()} == {"o001", "o002"}
    assert of_observations(Pool("none", ())) == {}


def test_members_of_which_there_is_no_product_are_missing():
    made = generate(Pool("none", (row(1), row(2))), ids=["o001"])
    image3 = made["jw00076-o001_image3_00001_asn.json"]

    assert missing(image3, [Path("x/jw01_uncal.fits")]) == ["jw02_cal.fits"]
    assert missing(image3, [Path("jw01_rate.fits"), Path("jw02_cal.fits")]) == []


MIXED = (
    *(row(n, "c1000:mosaic", targetid="2") for n in (1, 2)),
    *(row(n, "c1000:mosaic", obs="2", targetid="3") for n in (3, 4)),
    *(row(n, "c1001:background", obs="3", bkgdtarg="t", targetid="4") for n in (5, 6)),
    *(row(n, "c1001:background", obs="4", targetid="5") for n in (7, 8)),
    *(row(n, obs="4", exp_type="nrc_tacq", targetid="5") for n in (9, 10)),
)


@given(st.permutations(MIXED))
def test_the_order_of_rows_changes_no_more_than_order_and_numbers(rows):
    def said(pool):
        return {
            (asn.asn_rule, asn.asn_id, asn.products[0].name, frozenset(asn.products[0].members))
            for asn in generate(Pool("none", tuple(pool))).values()
        }

    assert said(rows) == said(MIXED)
