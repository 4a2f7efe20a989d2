"""Geometry and timing."""

import pytest

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.simulate.detectors import DETECTORS, SIDE
from calwebbd.stages.simulate.exposed import aperture_centre
from calwebbd.stages.simulate.modes import mode_of
from calwebbd.stages.simulate.readout import READ_PATTERNS, SUBARRAYS, Readout, subarrays, window
from calwebbd.stages.simulate.references import dark_type

NIRCAM = [name for name in DETECTORS if name.startswith("NRC")]


@pytest.mark.parametrize(
    ("pattern", "subarray", "seconds"),
    [
        ("RAPID", "FULL", 10.73677), ("RAPID", "SUB640", 4.18584), ("RAPID", "SUB320", 1.06904),
        ("RAPID", "SUB160", 0.27864), ("RAPID", "SUB64P", 0.05016), ("NRSIRS2RAPID", "FULL", 14.58889),
        ("NRSRAPID", "ALLSLITS", 5.49132), ("NRSRAPID", "SUB2048", 0.90156), ("NRSRAPID", "SUB512", 0.22572),
        ("NISRAPID", "SUBSTRIP256", 5.494), ("NISRAPID", "SUBSTRIP96", 2.214), ("NISRAPID", "SUB80", 0.07544),
        ("FASTR1", "FULL", 2.77504), ("SLOWR1", "FULL", 23.88992), ("FASTR1", "BRIGHTSKY", 0.86528),
        ("FASTR1", "SUB256", 0.29952), ("FASTR1", "SLITLESSPRISM", 0.15904),
    ],
)  # fmt: skip
def test_frame_times_are_those_of_the_instruments(pattern: str, subarray: str, seconds: float) -> None:
    assert Readout(subarray, pattern, 1, 1).tframe == seconds


def test_a_sum_of_five_frames_is_divided_by_four() -> None:
    readout = Readout("FULL", "NRSIRS2", 1, 1)
    assert (readout.nframes, readout.divisor) == (5, 4)


@pytest.mark.parametrize(
    ("detector", "subarray", "tso", "exp_type"),
    [
        ("NRCB3", "FULL", False, "NRC_IMAGE"), ("NRCALONG", "SUB64P", True, "NRC_TSIMAGE"),
        ("NRS1", "FULL", False, "NRS_IFU"), ("NRS2", "SUBS200A1", False, "NRS_FIXEDSLIT"),
        ("NRS1", "SUB512", False, "NRS_BRIGHTOBJ"), ("NRS1", "SUB2048", False, "NRS_BRIGHTOBJ"),
        ("NIS", "SUBSTRIP96", False, "NIS_SOSS"), ("NIS", "SUB80", False, "NIS_AMI"),
        ("NIS", "FULL", False, "NIS_IMAGE"), ("GUIDER2", "FULL", False, "FGS_IMAGE"),
        ("MIRIMAGE", "SLITLESSPRISM", False, "MIR_LRS-SLITLESS"), ("MIRIMAGE", "SUB64", False, "MIR_IMAGE"),
        ("MIRIFULONG", "FULL", False, "MIR_MRS"),
    ],
)  # fmt: skip
def test_a_subarray_has_its_usual_exposure_type(
    detector: str, subarray: str, tso: bool, exp_type: str
) -> None:
    assert mode_of(DETECTORS[detector], subarray, tso=tso).exp_type == exp_type


def test_every_detector_can_take_a_dark() -> None:
    for detector in DETECTORS.values():
        assert mode_of(detector, "FULL", dark_type(detector)).light == "dark"


def test_modes_and_subarrays_of_other_detectors_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"NIS_SOSS.*NRS_IFU"):
        mode_of(DETECTORS["NRS1"], "FULL", "NIS_SOSS")
    with pytest.raises(ParameterError, match="MIRIFULONG makes no time series"):
        mode_of(DETECTORS["MIRIFULONG"], "FULL", tso=True)
    with pytest.raises(ParameterError, match="SUB256"):
        window(DETECTORS["MIRIFUSHORT"], "SUB256")
    with pytest.raises(ParameterError, match="NRSIRS2 reads no subarray"):
        Readout("SUB512", "NRSIRS2", 1, 1)


def test_every_subarray_lies_on_its_detectors() -> None:
    for detector in DETECTORS.values():
        for name in subarrays(detector):
            w, (ny, nx) = window(detector, name), detector.shape
            assert min(w.x, w.y, nx - w.x - w.nx, ny - w.y - w.ny) >= 0, (detector.name, name)


def test_gaps_stand_between_groups_but_not_after_the_last() -> None:
    readout = Readout("SUB160", "SHALLOW4", 3, 1)
    assert (readout.nframes, readout.groupgap, readout.total_frames) == (4, 1, 14)
    assert readout.tgroup == pytest.approx(5 * 0.27864)
    assert readout.integration_time == pytest.approx(14 * 0.27864)


@pytest.mark.parametrize("detector", NIRCAM)
@pytest.mark.parametrize("subarray", SUBARRAYS["NIRCAM"])
def test_subarrays_lie_on_the_detector_and_only_p_ones_reach_its_border(detector: str, subarray: str) -> None:
    w = window(DETECTORS[detector], subarray)
    edges = {w.x, w.y, SIDE - w.x - w.nx, SIDE - w.y - w.ny}
    assert min(edges) >= 0
    assert (0 in edges) == (subarray == "FULL" or subarray.endswith("P"))


@pytest.mark.parametrize("subarray", ["SUB160", "SUB320", "SUB160P"])
def test_both_channels_see_common_sky(subarray: str) -> None:
    for module in "AB":
        short, long = DETECTORS[f"NRC{module}1"], DETECTORS[f"NRC{module}LONG"]
        side = SUBARRAYS["NIRCAM"][subarray].nx
        half = (short.scale[0] + long.scale[0]) * side / 2
        for a, b in zip(aperture_centre(short, subarray), aperture_centre(long, subarray), strict=True):
            assert abs(a - b) < half


def test_short_wave_detectors_tile_the_field_of_the_long_wave_one() -> None:
    for module in "AB":
        long = DETECTORS[f"NRC{module}LONG"]
        quadrants = {
            (d.v2 > long.v2, d.v3 > long.v3)
            for d in map(DETECTORS.__getitem__, NIRCAM)
            if d.module == module and d.channel == "SHORT"
        }
        assert len(quadrants) == 4


def test_unknown_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(ParameterError, match=r"SUB99.*SUB160"):
        Readout("SUB99", "RAPID", 1, 1)
    with pytest.raises(ParameterError, match=r"QUICK.*BRIGHT1"):
        Readout("SUB160", "QUICK", 1, 1)
    assert "DEEP8" in READ_PATTERNS
