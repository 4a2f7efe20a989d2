"""Geometry and timing of NIRCam."""

import pytest

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.simulate.detectors import DETECTORS, READ_PATTERNS, SIDE, SUBARRAYS, Readout, window
from calwebbd.stages.simulate.exposed import aperture_centre


@pytest.mark.parametrize(
    ("subarray", "seconds"),
    [("FULL", 10.73677), ("SUB640", 4.18584), ("SUB320", 1.06904), ("SUB160", 0.27864), ("SUB64P", 0.05016)],
)
def test_frame_times_are_those_of_the_instrument(subarray: str, seconds: float) -> None:
    assert Readout(subarray, "RAPID", 1, 1).tframe == seconds


def test_gaps_stand_between_groups_but_not_after_the_last() -> None:
    readout = Readout("SUB160", "SHALLOW4", 3, 1)
    assert (readout.nframes, readout.groupgap, readout.total_frames) == (4, 1, 14)
    assert readout.tgroup == pytest.approx(5 * 0.27864)
    assert readout.integration_time == pytest.approx(14 * 0.27864)


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("subarray", SUBARRAYS)
def test_subarrays_lie_on_the_detector_and_only_p_ones_reach_its_border(detector: str, subarray: str) -> None:
    w = window(DETECTORS[detector], subarray)
    edges = {w.x, w.y, SIDE - w.x - w.nx, SIDE - w.y - w.ny}
    assert min(edges) >= 0
    assert (0 in edges) == (subarray == "FULL" or subarray.endswith("P"))


@pytest.mark.parametrize("subarray", ["SUB160", "SUB320", "SUB160P"])
def test_both_channels_see_common_sky(subarray: str) -> None:
    for module in "AB":
        short, long = DETECTORS[f"NRC{module}1"], DETECTORS[f"NRC{module}LONG"]
        half = (short.scale[0] + long.scale[0]) * SUBARRAYS[subarray] / 2
        for a, b in zip(aperture_centre(short, subarray), aperture_centre(long, subarray), strict=True):
            assert abs(a - b) < half


def test_short_wave_detectors_tile_the_field_of_the_long_wave_one() -> None:
    for module in "AB":
        long = DETECTORS[f"NRC{module}LONG"]
        quadrants = {
            (d.v2 > long.v2, d.v3 > long.v3)
            for d in DETECTORS.values()
            if d.module == module and d.channel == "SHORT"
        }
        assert len(quadrants) == 4


def test_unknown_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(ParameterError, match=r"SUB99.*SUB160"):
        Readout("SUB99", "RAPID", 1, 1)
    with pytest.raises(ParameterError, match=r"FAST.*BRIGHT1"):
        Readout("SUB160", "FAST", 1, 1)
    assert "DEEP8" in READ_PATTERNS
