"""Runs: references and parameters found, status stamped, everything recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parts import on_disk
from ramps import make_ramp

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header, Image
from calwebbd.stages.parameters import Layer
from calwebbd.stages.run import Run, StopAfter
from calwebbd.stages.scratch import Cube
from calwebbd.stages.step import Failed, NoParams, Pipeline, Skip, Step, step

HEADER = Header(
    INSTRUME="NIRCAM", DETECTOR="NRCA1", EXP_TYPE="NRC_IMAGE", READPATT="BRIGHT1", SUBARRAY="SUB64P",
    FILTER="F200W", PUPIL="CLEAR", CHANNEL="SHORT", MODULE="A",
    SUBSTRT1=1, SUBSTRT2=1, **{"DATE-OBS": "2024-01-01", "TIME-OBS": "06:00:00"},
)  # fmt: skip


@dataclass(frozen=True)
class Params:
    factor: float = 2.0


@step(keyword="S_GAIN", references=("gain",), params=Params)
def scale(image: Image, references: Any, params: Params) -> Image:
    """Multiply by a factor."""
    image.sci *= params.factor
    return image


@step(keyword="S_NONE", references=("rscd",))
def impossible(image: Image, references: Any, params: NoParams) -> Image:
    """Needs a reference that NIRCam does not have."""
    raise AssertionError("must not run")


@step(keyword="S_NOT")
def inapplicable(image: Image, references: Any, params: NoParams) -> Image:
    """Finds that it does not apply."""
    raise Skip("the exposure is too short")


@step(keyword="S_VAIN")
def vain(image: Image, references: Any, params: NoParams) -> Image:
    """Does not succeed."""
    raise Failed("no pixel is left")


@step(keyword="S_BAD")
def failing(image: Image, references: Any, params: NoParams) -> Image:
    """Finds the exposure wrong."""
    raise InputError("EFFINTTM is -1")


@step(keyword="", references=("apcorr",), optional=("apcorr",))
def beside(image: Image, references: Any, params: NoParams) -> Image:
    """Makes what can be done without."""
    return image


STEPS = (scale, impossible, inapplicable, vain, failing, beside)


@pytest.fixture
def image() -> Image:
    plane = np.ones((64, 64), np.float32)
    return Image(
        HEADER.copy(), plane, plane.copy(), np.zeros((64, 64), np.uint32), plane.copy(), plane.copy()
    )


@pytest.fixture
def start(crds_environment: Path) -> Callable[..., Run]:
    def make(*layers: Layer, **options: Any) -> Run:
        pipeline = Pipeline("image2", ("rate",), ("cal",), STEPS, lambda run, image: {})
        return Run(pipeline, HEADER, "jwst_0002.pmap", layers, **options)

    return make


def test_a_step_that_ran_is_complete_with_its_references_in_the_header(
    start: Callable[..., Run], image: Image
) -> None:
    run = start()
    result = run.step(scale, image)
    assert result.sci[0, 0] == 2
    assert result.header["S_GAIN"] == "COMPLETE"
    assert result.header["R_GAIN"] == "crds://jwst_nircam_gain_0001.fits"
    (record,) = run.records
    assert (record.status, record.references) == ("COMPLETE", {"gain": "jwst_nircam_gain_0001.fits"})
    assert record.parameters["factor"] == [2.0, "default"]


@pytest.mark.parametrize("names_all", [False, True])
def test_references_that_a_step_did_not_look_for_are_named_if_it_says_so(
    start: Callable[..., Run], image: Image, names_all: bool
) -> None:
    idle = step(keyword="S_IDLE", optional=("gain", "rscd"), names_all=names_all, name="idle")
    named = start().step(idle(lambda image, references, params: image), image).header
    assert ("R_GAIN" in named) is names_all
    assert named.get("R_RSCD") == ("N/A" if names_all else None)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (impossible, "the rscd reference is N/A for this exposure"),
        (inapplicable, "the exposure is too short"),
    ],
)
def test_a_step_that_does_not_apply_is_skipped_with_its_reason(
    start: Callable[..., Run], image: Image, one: Step, reason: str
) -> None:
    run = start()
    assert run.step(one, image) is image
    assert image.header[one.keyword] == "SKIPPED"
    assert (run.records[0].status, run.records[0].reason) == ("SKIPPED", reason)


def test_a_step_that_can_be_done_without_does_not_wait_for_rules_of_its_references(
    start: Callable[..., Run], image: Image
) -> None:
    run = start()
    run.step(beside, image)
    run.header = Header({**HEADER, "EXP_TYPE": "NRC_NOTHING"})
    run.step(beside, image)
    assert [record.status for record in run.records] == ["COMPLETE", "SKIPPED"]
    assert run.records[1].reason == "the apcorr reference is N/A for this exposure"
    assert "" not in image.header


def test_a_step_that_fails_is_recorded_and_the_run_goes_on(start: Callable[..., Run], image: Image) -> None:
    kept: list[str] = []
    run = start(keep=lambda step, result: kept.append(step.name))
    assert run.step(vain, image) is image
    assert image.header["S_VAIN"] == "FAILED"
    assert (run.records[0].status, run.records[0].reason) == ("FAILED", "no pixel is left")
    assert kept == []


def test_a_step_that_is_switched_off_says_by_whom(start: Callable[..., Run], image: Image) -> None:
    run = start(Layer("command line", {"scale": {"skip": "true"}}))
    run.step(scale, image)
    assert image.sci[0, 0] == 1
    assert run.records[0].reason == "switched off by command line"


def test_what_is_on_disk_is_not_read_for_steps_that_are_switched_off(
    start: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    ramp = on_disk(make_ramp(np.ones((2, 1, 3, 4))))
    monkeypatch.setattr(Cube, "read", None)
    run = start(Layer("command line", {"scale": {"skip": "true"}}))
    assert run.steps([scale], ramp).header["S_GAIN"] == "SKIPPED"
    assert run.records[0].reason == "switched off by command line"


def test_an_error_names_its_step(start: Callable[..., Run], image: Image) -> None:
    with pytest.raises(InputError, match=r"^failing: EFFINTTM is -1$"):
        start().step(failing, image)


def test_an_override_takes_the_place_of_the_chosen_reference(
    start: Callable[..., Run], image: Image, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.fits"
    mine.touch()
    run = start(Layer("command line", {"scale": {"override_gain": str(mine)}}))
    assert run.step(scale, image).header["R_GAIN"] == str(mine)


def test_an_override_takes_a_reference_away(start: Callable[..., Run], image: Image) -> None:
    run = start(Layer("command line", {"scale": {"override_gain": "N/A"}}))
    run.step(scale, image)
    (record,) = run.records
    assert (record.status, record.references["gain"]) == ("SKIPPED", "N/A")
    assert record.reason == "the gain reference is N/A for this exposure"


def test_each_exposure_of_a_list_is_stamped(start: Callable[..., Run], image: Image) -> None:
    @step(keyword="S_LIST")
    def together(images: list[Image], references: Any, params: NoParams) -> list[Image]:
        return images

    images = [
        image,
        Image(HEADER.copy(), image.sci, image.err, image.dq, image.var_poisson, image.var_rnoise),
    ]
    start().step(together, images)
    assert [each.header["S_LIST"] for each in images] == ["COMPLETE", "COMPLETE"]


def test_a_step_can_skip_some_of_several_exposures(start: Callable[..., Run], image: Image) -> None:
    @step(keyword="S_LIST")
    def first_only(images: list[Image], references: Any, params: NoParams) -> list[Image]:
        raise Skip("the second has no pixels", only=images[1:])

    other = Image(HEADER.copy(), image.sci, image.err, image.dq, image.var_poisson, image.var_rnoise)
    run = start()
    assert run.step(first_only, [image, other]) == [image, other]
    assert [each.header["S_LIST"] for each in (image, other)] == ["COMPLETE", "SKIPPED"]
    assert (run.records[0].status, run.records[0].reason) == ("COMPLETE", "the second has no pixels")


def test_a_run_stops_after_the_step_asked_for(start: Callable[..., Run], image: Image) -> None:
    run = start(stop_after="scale")
    with pytest.raises(StopAfter) as stopped:
        run.steps((scale, failing), image)
    assert stopped.value.result is image


def test_progress_and_kept_results_come_in_order(start: Callable[..., Run], image: Image) -> None:
    seen: list[tuple[str, str]] = []
    kept: list[str] = []
    run = start(
        report=lambda name, state: seen.append((name, state)), keep=lambda one, result: kept.append(one.name)
    )
    run.steps((scale, inapplicable), image)
    assert seen == [
        ("scale", "start"),
        ("scale", "COMPLETE"),
        ("inapplicable", "start"),
        ("inapplicable", "SKIPPED"),
    ]
    assert kept == ["scale"]
