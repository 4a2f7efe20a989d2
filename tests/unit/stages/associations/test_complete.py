"""When a group is complete, as far as headers tell."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from calwebbd.stages.associations import completeness


def header(exposure=1, detector="NRCA1", visit="001", **keywords):
    return {
        "PROGRAM": "01234",
        "OBSERVTN": "001",
        "VISIT": visit,
        "VISITGRP": "02",
        "SEQ_ID": "1",
        "ACT_ID": "01",
        "EXPOSURE": str(exposure),
        "INSTRUME": "NIRCAM",
        "DETECTOR": detector,
        **keywords,
    }


def dithers(total, detectors=("NRCA1",), **keywords):
    keywords = {"NUMDTHPT": total, "NEXPOSUR": total, **keywords}
    return [header(n, d, PATT_NUM=n, **keywords) for n, d in product(range(1, total + 1), detectors)]


def test_no_member_is_not_complete():
    assert not completeness([]).complete


def test_all_dithers_of_all_detectors_are_complete():
    result = completeness(dithers(4, ["NRCA1", "NRCALONG"]))

    assert (result.complete, result.missing) == (True, ())
    assert result.reason == "all 8 planned members have come"


def test_a_missing_dither_is_named():
    result = completeness(dithers(4)[:3])

    assert (result.complete, result.missing) == (False, ("dither position 4 of 4",))
    assert result.reason == "waits for dither position 4 of 4"


def test_a_detector_seen_once_is_awaited_everywhere():
    result = completeness([*dithers(2, ["NRCA1"]), header(1, "NRCA2", NUMDTHPT=2, NEXPOSUR=2, PATT_NUM=1)])

    assert result.missing == ("jw01234001001_02101_00002_nrca2",)


def test_missing_segments_are_named():
    segments = [header(EXSEGNUM=number, EXSEGTOT=3, NEXPOSUR=1) for number in (1, 3)]

    assert completeness(segments).missing == ("jw01234001001_02101_00001-seg002_nrca1",)


def test_a_visit_number_left_out_is_awaited():
    visits = [header(1, visit="001", NEXPOSUR=1), header(1, visit="003", NEXPOSUR=1)]

    assert completeness(visits).missing == ("visit jw01234001002",)


def test_undithered_exposures_are_counted():
    exposures = [header(number, NEXPOSUR=3) for number in (1, 2, 3)]

    assert completeness(exposures).complete
    assert completeness(exposures[:2]).missing == ("1 of 3 exposures of visit jw01234001001",)


def test_a_filled_dither_pattern_does_not_wait_for_other_filters_of_the_visit():
    assert completeness(dithers(4, NEXPOSUR=8)).complete


def test_exposures_with_other_filters_count_for_the_visit():
    exposures = [header(1, NEXPOSUR=2)]

    assert not completeness(exposures).complete
    assert completeness(exposures, [header(1, ACT_ID="02", NEXPOSUR=2)]).complete


def test_exposures_of_a_parallel_instrument_do_not_count():
    parallel = header(1, "MIRIMAGE", INSTRUME="MIRI", SEQ_ID="2", NEXPOSUR=2)

    assert not completeness([header(1, NEXPOSUR=2)], [parallel]).complete


def test_a_wide_pattern_is_split_over_visits():
    first = [header(n, visit="001", PATT_NUM=n, NUMDTHPT=3, NEXPOSUR=2) for n in (1, 2)]
    second = [header(1, visit="002", PATT_NUM=3, NUMDTHPT=3, NEXPOSUR=1)]

    assert completeness(first).missing == ("dither position 3 of 3",)
    assert completeness(first + second).complete


def test_headers_without_plans_leave_it_to_the_clock():
    result = completeness([header()])

    assert result.reason == "waits for visit jw01234001001, which does not announce its exposures (NEXPOSUR)"


@given(st.permutations(dithers(3, ["NRCA1", "NRCB1"])), st.integers(1, 6))
def test_only_the_last_member_completes_in_any_order(headers, seen):
    both = {h["DETECTOR"] for h in headers[:seen]} == {"NRCA1", "NRCB1"}

    assert completeness(headers[:seen]).complete == (seen == 6 if both else seen == 3)
