"""Which exposures cannot be where their header says."""

import numpy as np
import pytest
from dithers import dither

from calwebbd.stages.astray import astray
from calwebbd.stages.exposure import Image

SIDE = 20  # pixels of 0.03 arcsec


def exposures(*places: tuple[float, float]) -> list[Image]:
    """Images at these places, pixels, all of one visit."""
    return [dither(np.zeros((SIDE, SIDE)), x, y, n) for n, (x, y) in enumerate(places, 1)]


DITHERS = ((0.0, 0.0), (5.0, 3.0), (12.0, 9.0))


def test_dithers_belong_together() -> None:
    assert astray(exposures(*DITHERS)) == []


def test_an_exposure_apart_from_all_others_is_astray() -> None:
    images = exposures(*DITHERS, (600, 300))
    (left_out,) = astray(images)
    assert left_out.file == images[3].file
    assert left_out.reason == "its pointing is wrong: it lies 20 arcsec from the other exposures of its visit"


def test_offsets_of_dithers_account_for_its_place() -> None:
    images = exposures(*DITHERS, (600, 300))
    images[3].header.update(XOFFSET=-18.0, YOFFSET=9.0)
    assert astray(images) == []


def test_all_detectors_of_an_exposure_are_astray_together() -> None:
    images = exposures(*DITHERS, (1000, 0))
    images += [dither(np.zeros((SIDE, SIDE)), x + 60, 0, n, "NRCA2") for n, x in ((1, 0), (4, 1000))]
    assert [left.file for left in astray(images)] == [images[3].file, images[5].file]


@pytest.mark.parametrize(
    "places",
    [
        [(0, 0), (600, 300)],  # which of the two?
        [(0, 0), (5, 3), (600, 0), (605, 3), (1200, 0)],  # a mosaic of tiles
        [(0, 0), (600, 0), (0, 600)],
    ],
)
def test_of_sparse_sets_nothing_can_be_said(places: list[tuple[float, float]]) -> None:
    assert astray(exposures(*places)) == []


def test_another_visit_may_lie_beside_but_not_a_degree_away() -> None:
    beside, away = exposures(*DITHERS, (600, 300)), exposures(*DITHERS, (0, 600_000))
    for images in (beside, away):
        images[3].header["VISIT"] = "002"
    assert astray(beside) == []
    (left_out,) = astray(away)
    assert left_out.reason.endswith("it lies 5 deg from the other exposures of the set")


def test_without_footprints_nothing_is_astray() -> None:
    images = exposures(*DITHERS, (600, 300))
    images[0].header["S_REGION"] = ""
    assert astray(images) == []
