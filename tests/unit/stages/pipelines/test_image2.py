"""Which products image2 makes of which exposures."""

from typing import Any

import numpy as np
import pytest
from images import make_image

from calwebbd.stages.exposure import Image, Mosaic
from calwebbd.stages.pipelines import load
from calwebbd.stages.pipelines.image2 import DIRECT, image2


class Hand:
    """Stands in for a run: every step does nothing, but resample gives a mosaic unless it is skipped."""

    def __init__(self, *, skip: bool = False) -> None:
        self.skip = skip
        self.names: list[str] = []

    def steps(self, steps: Any, image: Image) -> Image:
        self.names += [step.name for step in steps]
        return image

    def step(self, step: Any, image: Image) -> Image | Mosaic:
        self.names.append(step.name)
        return image if self.skip else Mosaic(image.header, image.sci)


def products(run: Hand, image: Image) -> set[str]:
    return set(image2.function(run, image))


def test_a_direct_image_is_calibrated_and_rectified() -> None:
    run = Hand()
    assert products(run, make_image([[1]])) == {"cal", "i2d"}
    assert run.names == ["assign_wcs", "flat_field", "photom", "resample"]
    assert run.names == [step.name for step in load("calwebb_image2").steps]


def test_integrations_stay_apart() -> None:
    run = Hand()
    assert products(run, make_image(np.ones((2, 1, 1)))) == {"calints"}
    assert "resample" not in run.names


@pytest.mark.parametrize("exp_type", ["NRC_FOCUS", "NRC_TACQ", "NRC_CORON", "NRC_TSIMAGE"])
def test_other_exposures_are_not_rectified(exp_type: str) -> None:
    assert exp_type not in DIRECT
    assert products(Hand(), make_image([[1]], EXP_TYPE=exp_type)) == {"cal"}


def test_there_is_no_i2d_if_resample_is_switched_off() -> None:
    assert products(Hand(skip=True), make_image([[1]])) == {"cal"}
