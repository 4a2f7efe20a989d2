"""Which products image2 makes of which exposures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images import make_image, placed_image

from calwebbd.stages.exposure import Image, Mosaic
from calwebbd.stages.parameters import Effective
from calwebbd.stages.pipelines import load
from calwebbd.stages.pipelines.image2 import DIRECT, image2
from calwebbd.stages.steps.bkg_subtract import bkg_subtract


class Hand:
    """Stands in for a run: every step does nothing, but resample gives a mosaic unless it is skipped."""

    def __init__(
        self, *, skip: bool = False, others: Mapping[str, Sequence[Path]] = {}, **params: Any
    ) -> None:
        self.skip = skip
        self.others = others
        self.params = params
        self.names: list[str] = []
        self.saved: list[str] = []
        self.begun: list[str] = []

    def settings(self, step: Any) -> Effective:
        return Effective(step.params(**self.params), {}, False)

    def save(self, suffix: str, product: Image) -> None:
        self.saved.append(suffix)

    def begin_before(self, step: Any, suffix: str, product: Image) -> None:
        self.begun.append(f"{suffix} before {step.name}")

    def steps(self, steps: Any, image: Image) -> Image:
        self.names += [step.name for step in steps]
        return image

    def step(self, step: Any, image: Image, **inputs: Any) -> Image | Mosaic:
        self.names.append(step.name)
        if step is bkg_subtract:
            image.header["S_BKDSUB"] = "SKIPPED" if self.skip else "COMPLETE"
            return image
        return image if self.skip else Mosaic(image.header, image.sci)


def test_what_resample_would_not_change_is_written_meanwhile() -> None:
    run = Hand()
    products(run, make_image([[1]], S_FLAT="COMPLETE"))  # without a WCS it is skipped, and says so
    for flat in ("SKIPPED", "COMPLETE"):  # without a flat NaN and flags need not agree yet
        assert run.begun == []
        products(run, placed_image([[1]], S_FLAT=flat))
    assert run.begun == ["cal before resample"]


def products(run: Hand, image: Image) -> set[str]:
    return set(image2.function(run, image))


def test_a_direct_image_is_calibrated_and_rectified() -> None:
    run = Hand()
    assert products(run, make_image([[1]])) == {"cal", "i2d"}
    assert run.names == ["assign_wcs", "flat_field", "photom", "resample"]
    assert ["bkg_subtract", *run.names] == [step.name for step in load("calwebb_image2").steps]


def test_integrations_stay_apart() -> None:
    run = Hand()
    assert products(run, make_image(np.ones((2, 1, 1)))) == {"calints"}
    assert "resample" not in run.names


@pytest.mark.parametrize("exp_type", ["NRC_FOCUS", "NRC_TACQ", "NRC_CORON", "NRC_TSIMAGE", "NRS_MIMF"])
def test_other_exposures_are_not_rectified(exp_type: str) -> None:
    assert exp_type not in DIRECT
    assert products(Hand(), make_image([[1]], EXP_TYPE=exp_type)) == {"cal"}


def test_there_is_no_i2d_if_resample_is_switched_off() -> None:
    assert products(Hand(skip=True), make_image([[1]])) == {"cal"}


MEMBERS = {"background": [Path("b_rate.fits")], "imprint": [Path("i_rate.fits")]}


def test_the_background_is_subtracted_if_there_is_any() -> None:
    for run in (Hand(others=MEMBERS), Hand(bkg_list=("b_rate.fits",))):
        products(run, make_image([[1]]))
        assert run.names[0] == "bkg_subtract"
    run = Hand(others={"imprint": MEMBERS["imprint"]})
    products(run, make_image([[1]]))
    assert "bkg_subtract" not in run.names


def test_what_is_left_is_kept_if_asked_for_and_if_anything_was_subtracted() -> None:
    for shape, suffix in (((1, 1), "bsub"), ((2, 1, 1), "bsubints")):
        for skip, saved in ((False, [suffix]), (True, [])):
            run = Hand(others=MEMBERS, save_results=True, skip=skip)
            products(run, make_image(np.ones(shape)))
            assert run.saved == saved
