"""Which products image3 makes of which images, and what they hold."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dithers import dither

from calwebbd.stages import flags, scratch
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header, Image, Mosaic
from calwebbd.stages.members import LeftOut
from calwebbd.stages.pipelines import load
from calwebbd.stages.pipelines.image3 import Image3Params, image3
from calwebbd.stages.step import Failed, Skip, Step

SHAPE = (12, 14)


class Hand:
    """Stands in for a run: applies steps with their defaults, except those switched off."""

    def __init__(self, *off: str, **parameters: Any) -> None:
        self.off = off
        self.parameters = SimpleNamespace(values=Image3Params(**parameters))
        self.left_out: list[LeftOut] = []

    def settings(self, step: Step) -> Any:
        return SimpleNamespace(values=step.params(), skip=step.name in self.off)

    def begin_before(self, step: Step, suffix: str, product: Any) -> None:
        pass

    def steps(self, steps: Iterable[Step], images: list[Image]) -> Any:
        for step in steps:
            images = self.step(step, images)
        return images

    def step(self, step: Step, images: list[Image]) -> Any:
        result: Any = images
        status = "SKIPPED"
        if step.name not in self.off:
            try:
                result, status = step(images), "COMPLETE"
            except Skip:
                pass
            except Failed:
                status = "FAILED"
        for each in [result] if isinstance(result, Mosaic) else result:
            if step.keyword:
                each.header[step.keyword] = status
        return result


def dithers(number: int = 4) -> list[Image]:
    """Images of a sky of 10, 11, 12, …; a cosmic ray hits the first."""
    images = [dither(np.full(SHAPE, 10 + n), n, n, n + 1) for n in range(number)]
    images[0].sci[6, 7] += 100
    return images


def test_its_steps_are_those_that_it_declares() -> None:
    names = ["assign_mtwcs", "tweakreg", "skymatch", "outlier_detection", "resample", "source_catalog"]
    assert [step.name for step in load("image3").steps] == names
    assert image3.combines


def test_images_of_a_moving_target_are_put_together_by_its_place_all_others_by_their_stars() -> None:
    fixed, moving = (image3.steps_for(Header(TARGTYPE=kind)) for kind in ("FIXED", "moving"))
    assert [step.name for step in fixed[:2]] == ["tweakreg", "skymatch"]
    assert [step.name for step in moving[:2]] == ["assign_mtwcs", "skymatch"]


def test_dithers_become_flagged_images_and_one_mosaic() -> None:
    images = dithers()
    products = image3.function(Hand(), images)
    assert list(products) == ["crf", "i2d", "members"]
    crf, mosaic = products["crf"], products["i2d"]
    assert [image.file for image in crf] == [image.file for image in dithers()]
    assert [image.header["BKGLEVEL"] for image in crf] == pytest.approx([0, 1, 2, 3])
    assert crf[0].dq[6, 7] == flags.OUTLIER | flags.DO_NOT_USE
    assert all(image.wcs is not None for image in crf)
    assert crf[0].header["S_TWKREG"] == "FAILED"  # there are no stars
    np.testing.assert_allclose(mosaic.sci[np.isfinite(mosaic.sci)], 10, rtol=1e-6)
    assert mosaic.header["NDRIZ"] == 4
    assert "BKGLEVEL" not in mosaic.header
    assert mosaic.hdrtab["BKGLEVEL"].tolist() == pytest.approx([0, 1, 2, 3])
    assert mosaic.hdrtab["EXPOSURE"].tolist() == ["00001", "00002", "00003", "00004"]


def test_one_image_is_only_resampled() -> None:
    (image,) = dithers(1)
    products = image3.function(Hand(), [image])
    assert list(products) == ["i2d", "members"]
    assert (image.header["S_SKYMAT"], image.header["S_OUTLIR"]) == ("SKIPPED", "SKIPPED")
    assert np.nanmax(products["i2d"].sci) > 30  # the cosmic ray stays, spread over four pixels


def test_a_step_switched_off_leaves_its_product_out() -> None:
    assert list(image3.function(Hand("resample"), dithers())) == ["crf"]
    assert list(image3.function(Hand("outlier_detection"), dithers())) == ["i2d", "members"]


def test_the_table_of_members_says_who_was_used_and_how() -> None:
    run = Hand("tweakreg", "source_catalog")
    run.left_out = [LeftOut("jw3_cal.fits", "the file ends too early")]
    images = dithers(3)
    images[2].header["ENGQLPTG"] = "PLANNED"
    products = image3.function(run, images)
    table = products["members"].table
    assert table["used"].tolist() == [True, True, False, False]
    assert table["reason"].tolist()[:3] == ["", "", "the file ends too early"]
    assert "PLANNED" in table["reason"][3]
    assert table["sky_method"].tolist()[:2] == ["match", "match"]
    assert table["outliers"][0] > 0
    assert len(products["crf"]) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda image: setattr(image, "wcs", None), "assign_wcs has not run"),
        (lambda image: image.header.pop("S_REGION"), "assign_wcs has not run"),
        (lambda image: image.header.update(S_REGION="CIRCLE"), "assign_wcs has not run"),
        (lambda image: image.header.pop("EFFEXPTM"), "its EFFEXPTM is None"),
        (lambda image: image.header.update(EFFEXPTM=0.0), "its EFFEXPTM is 0.0"),
        (lambda image: setattr(image, "sci", image.sci[None]), "integrations one by one"),
        (lambda image: setattr(image, "err", image.err[1:]), "ERR has another shape"),
        (lambda image: image.sci.fill(np.nan), "none of its pixels has a value"),
        (lambda image: image.dq.fill(flags.DO_NOT_USE), "none of its pixels has a value"),
    ],
)
def test_a_member_that_cannot_be_combined_is_left_out(change: Callable[[Image], Any], reason: str) -> None:
    images = dithers(3)
    change(images[1])
    table = image3.function(Hand("source_catalog"), images)["members"].table
    assert table["used"].tolist() == [True, True, False]
    assert reason in table["reason"][2]


def test_too_few_usable_members_make_no_mosaic() -> None:
    run = Hand("tweakreg", "source_catalog")
    images = dithers(3)
    for image in images[:2]:
        image.header["ENGQLPTG"] = "PLANNED"
    with pytest.raises(InputError, match="only 1 of 3 members can be used, 50% must be"):
        image3.function(run, images)
    combined = image3.function(Hand("tweakreg", "source_catalog", use_planned_pointing=True), images)
    assert len(combined["crf"]) == 3


def test_a_mosaic_that_cannot_be_is_refused_before_any_step_and_the_exposure_named() -> None:
    images = dithers()
    images[2] = dither(np.ones(SHAPE), 1e5, 1e5, 3)
    with pytest.raises(InputError, match="this one is farthest from the others") as refused:
        image3.function(Hand(use_stray_pointing=True), images)
    assert refused.value.file == images[2].file
    assert not any("S_SKYMAT" in image.header for image in images)


def test_images_on_disk_give_the_same_products_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, images = image3.function(Hand("tweakreg", "source_catalog"), dithers()), dithers()
    monkeypatch.setenv("CALWEBBD_MOSAIC_MB", "0")
    for image in images:
        for name in image.ARRAYS:
            if (array := getattr(image, name)) is not None:
                setattr(image, name, scratch.put(array))
    products = image3.function(Hand("tweakreg", "source_catalog"), images)
    pairs = [*zip(products["crf"], expected["crf"], strict=True), (products["i2d"], expected["i2d"])]
    for stored, plain in pairs:
        assert stored.header == plain.header
        for name, array in vars(plain).items():
            if isinstance(array, np.ndarray) and array.dtype.names is None:
                assert isinstance(getattr(stored, name), scratch.Cube), name
                np.testing.assert_array_equal(np.asarray(getattr(stored, name)), array)
