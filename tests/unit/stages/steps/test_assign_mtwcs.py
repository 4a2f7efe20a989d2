"""assign_mtwcs: exposures of a target that moves come to lie on each other."""

import numpy as np
import pytest
from dithers import dither

from calwebbd.stages.step import Skip
from calwebbd.stages.steps.assign_mtwcs import assign_mtwcs


def test_the_target_has_one_place_in_all_exposures() -> None:
    images = [dither(np.zeros((8, 8)), 0, 0, n + 1) for n in range(3)]
    for number, image in enumerate(images):
        image.header.update(MT_RA=80 + 0.001 * number, MT_DEC=20 - 0.002 * number)
    before = [image.wcs(2, 3) for image in images]
    assert assign_mtwcs(images) is images
    for number, image in enumerate(images):
        ra, dec = image.wcs(2, 3)
        assert ra - before[number][0] == pytest.approx(0.001 * (1 - number), abs=1e-12)
        assert dec - before[number][1] == pytest.approx(-0.002 * (1 - number), abs=1e-12)
        assert image.wcs.invert(ra, dec) == pytest.approx((2, 3), abs=1e-6)
        assert image.wcs.available_frames[-2:] == ["world", "moving_target"]
        assert image.header["MT_AVRA"] == pytest.approx(80.001)
        assert image.header["MT_AVDEC"] == pytest.approx(19.998)
    assert images[0].header["S_REGION"] != images[2].header["S_REGION"]


def test_without_the_place_of_the_target_nothing_changes() -> None:
    images = [dither(np.zeros((8, 8)), 0, 0, n + 1) for n in range(2)]
    images[0].header.update(MT_RA=80.0, MT_DEC=20.0)
    before = images[0].wcs
    with pytest.raises(Skip, match="00002_nrca1"):
        assign_mtwcs(images)
    assert images[0].wcs is before
