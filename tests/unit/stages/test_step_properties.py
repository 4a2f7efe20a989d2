"""What every step of stage 1 promises (`promises.PROMISES`), on small random exposures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parts import alone, arrays, changed, cut, every, first, has_integrations, on_disk
from promises import PROMISES, Promise
from random_exposures import CORNER, MIRI, ramps

from calwebbd.stages import crds, scratch
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Ramp
from calwebbd.stages.flags import DO_NOT_USE, SATURATED
from calwebbd.stages.parameters import Layer
from calwebbd.stages.pipelines.dark import dark
from calwebbd.stages.pipelines.detector1 import detector1
from calwebbd.stages.pipelines.guider import guider
from calwebbd.stages.products import GuideStar
from calwebbd.stages.run import Run
from calwebbd.stages.step import Failed, Skip

SEEDS = (1, 2)
ROWS, COLUMNS = slice(3, -6), slice(5, -2)
FLAGS = ("groupdq", "pixeldq", "dq", "rateints.dq")


def for_those(holds: Callable[[Promise], bool]) -> Callable[[Any], Any]:
    """Run a test for each promise of which this is true."""
    return pytest.mark.parametrize("promise", [p for p in PROMISES if holds(p)], ids=str)


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        assert array.dtype == wanted[name].dtype, name
        np.testing.assert_array_equal(array, wanted[name], name)


def test_snowballs_and_showers_are_there(tmp_path: Path) -> None:
    for promise in PROMISES:
        if promise.way in ("snowballs", "showers"):
            exposure = promise.make(random(1))
            (tmp_path / promise.way).mkdir()
            promise.apply(exposure, promise.write(tmp_path / promise.way, exposure))
            assert exposure.header["EXTNCRS"] > 0


def differ(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> bool:
    return any(
        not np.array_equal(found[name], array, equal_nan=True)
        for name, array in wanted.items()
        if name in found
    )


def test_every_step_has_its_place() -> None:
    steps = {step.name for pipeline in (detector1, dark, guider) for step in pipeline.steps}
    assert {promise.step.name for promise in PROMISES} == steps


@for_those(lambda promise: True)
def test_it_is_shown_on_exposures_that_the_step_changes(promise: Promise, tmp_path: Path) -> None:
    """Or nothing were shown."""
    exposure = promise.make(random(1))
    before = {name: array.copy() for name, array in arrays(exposure).items()}
    assert differ(promise.apply(exposure, promise.write(tmp_path, exposure)), before)


@for_those(lambda promise: not isinstance(promise.identity, str))
def test_an_identity_changes_nothing(promise: Promise, tmp_path: Path) -> None:
    assert not isinstance(promise.identity, str)
    promise = replace(promise, **promise.identity)
    exposure = promise.make(random(1))
    if isinstance(exposure, Ramp):
        exposure.groupdq[:] = 0
    before = {name: array.copy() for name, array in arrays(exposure).items()}
    references = promise.write(tmp_path, exposure)
    try:
        assert_same(promise.apply(exposure, references), before)
    except Skip:
        assert_same(arrays(exposure), before)


@for_those(lambda promise: True)
@pytest.mark.parametrize("seed", SEEDS)
def test_flags_are_only_added_and_single_precision_stays(promise: Promise, seed: int, tmp_path: Path) -> None:
    exposure = promise.make(random(seed))
    before = {name: array.copy() for name, array in arrays(exposure).items()}
    after = promise.apply(exposure, promise.write(tmp_path, exposure))
    for name in before.keys() & after.keys() & set(FLAGS):
        lost = before[name] & ~after[name]
        assert not (lost & ~before[name].dtype.type(promise.removes if name == "groupdq" else 0)).any(), name
    for name in after.keys() & {"dq", "rateints.dq"} if "pixeldq" in before else ():
        assert not (before["pixeldq"] & ~after[name]).any()  # those of rates begin with those of ramps
    assert {array.dtype for name, array in after.items() if name not in FLAGS} == {np.dtype(np.float32)}


@for_those(lambda promise: not promise.lone)
@pytest.mark.parametrize("seed", SEEDS)
def test_integrations_are_independent(promise: Promise, seed: int, tmp_path: Path) -> None:
    exposure = promise.make(random(seed))
    references = promise.write(tmp_path, exposure)
    nints = len(every(exposure)[-1].sci)
    each = [promise.apply(alone(exposure, i), references) for i in range(nints)]
    for name, whole in promise.apply(exposure, references).items():
        parts = [result[name] for result in each]
        if has_integrations(exposure, whole) and name not in promise.of_all:
            np.testing.assert_array_equal(whole, np.concatenate(parts), name)
        elif name == "pixeldq" or (name == "dq" and isinstance(exposure, GuideStar)):
            np.testing.assert_array_equal(whole, np.bitwise_or.reduce(parts), name)


@for_those(lambda promise: bool(promise.lone) and promise.of_ramps)
def test_integrations_are_not_independent_where_there_is_a_reason(promise: Promise, tmp_path: Path) -> None:
    exposure = promise.make(random(1))
    references = promise.write(tmp_path, exposure)
    each = [promise.apply(alone(exposure, i), references) for i in range(len(exposure.sci))]
    together = promise.apply(exposure, references)
    parts = {name: np.concatenate([result[name] for result in each]) for name in ("sci", "groupdq")}
    assert differ(together, parts)


@for_those(lambda promise: isinstance(promise.reach, int))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_subarray_may_be_cut_before_or_after(promise: Promise, seed: int, tmp_path: Path) -> None:
    assert isinstance(promise.reach, int)
    exposure = promise.make(random(seed))
    references = promise.write(tmp_path, exposure)
    part = promise.apply(cut(exposure, ROWS, COLUMNS), references)
    whole = promise.apply(exposure, references)
    inner = slice(promise.reach, -promise.reach or None)
    assert_same(
        {name: array[..., inner, inner] for name, array in part.items()},
        {name: array[..., ROWS, COLUMNS][..., inner, inner] for name, array in whole.items()},
    )


@for_those(lambda promise: True)
def test_threads_change_no_bit(promise: Promise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exposure = promise.make(random(1))
    references = promise.write(tmp_path, exposure)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("CALWEBBD_THREADS", threads)
        results.append(promise.apply(promise.make(random(1)), references))
    assert_same(*results)


def run_of(promises: Iterable[Promise], folder: Path, exposure: Any) -> Run:
    """A run in which steps have the parameters and references of these, written here."""
    settings = {}
    for promise in promises:
        own = folder / promise.step.name
        own.mkdir(exist_ok=True)
        promise.write(own, exposure)
        files = {f"override_{kind}": str(own / f"{kind}.fits") for kind in promise.references}
        settings[promise.step.name] = {**promise.params, **files, "skip": False}
    return Run(detector1, first(exposure).header, "", _settings=[Layer("test", settings)])


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Lets two integrations of three be in memory; no references but those that are given."""
    monkeypatch.setattr(crds, "best_references", lambda header, kinds, *rest: dict.fromkeys(kinds))
    return lambda exposure: monkeypatch.setattr(scratch, "AT_ONCE", first(exposure).sci.nbytes * 2 // 3)


@for_those(lambda promise: not promise.stored)
def test_on_disk_the_result_is_the_same(
    promise: Promise, tmp_path: Path, small_memory: Callable[[Any], None]
) -> None:
    exposure, stored = promise.make(random(1)), on_disk(promise.make(random(1)))
    small_memory(exposure)
    run = run_of([promise], tmp_path, exposure)
    references = promise.write(tmp_path, exposure)
    assert_same(arrays(run.steps([promise.step], stored)), promise.apply(exposure, references))
    assert [record.status for record in run.records] == ["COMPLETE"]


@pytest.mark.parametrize(
    ("keywords", "ways"),
    [
        (MIRI | {"EXP_TYPE": "MIR_IMAGE"}, ("joint", "MIRI")),
        (CORNER | {"NOUTPUTS": 4, "EXP_TYPE": "NRC_IMAGE"}, ("four amplifiers",)),
    ],
    ids=["MIRI", "near-infrared"],
)
def test_on_disk_the_result_of_all_steps_is_the_same(
    keywords: dict[str, Any], ways: tuple[str, ...], tmp_path: Path, small_memory: Callable[[Any], None]
) -> None:
    ways = ("", "one by one", "OLS", *ways)
    chosen = {p.step.name: p for p in PROMISES if p.way in ways and not p.stored}.values()
    exposure, stored = (ramps(**keywords)(random(1)) for _ in range(2))
    small_memory(exposure)
    run = run_of(chosen, tmp_path, exposure)
    in_memory, of_disk = (detector1.function(run, ramp) for ramp in (exposure, on_disk(stored)))
    assert_same(*(arrays((each["rate"], each["rateints"])) for each in (in_memory, of_disk)))
    assert "FAILED" not in {record.status for record in run.records}


@for_those(lambda promise: promise.of_ramps)
@pytest.mark.parametrize("what", ["one group", "two groups", "three groups", "no good group", "saturated"])
def test_exposures_of_little_use_are_calibrated_or_refused(
    promise: Promise, what: str, tmp_path: Path
) -> None:
    exposure = promise.make(random(1))
    references = promise.write(tmp_path, exposure)
    if what.endswith(("group", "groups")) and not what.startswith("no"):
        ngroups = ["one", "two", "three"].index(what.split()[0]) + 1
        exposure = changed(exposure, lambda name, array: array[:, :ngroups] if array.ndim == 4 else array)
        exposure = changed(exposure, lambda name, array: array.copy())
    else:
        exposure.groupdq[:] = DO_NOT_USE if what == "no good group" else SATURATED
    with suppress(Skip, Failed, InputError):
        promise.apply(exposure, references)


@for_those(lambda promise: True)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_nan_does_not_spread(promise: Promise, seed: int, tmp_path: Path) -> None:
    """Beyond the step's reach nothing changes; where all pixels count, none becomes NaN but this one."""
    exposure, spoilt = promise.make(random(seed)), promise.make(random(seed))
    references = promise.write(tmp_path, exposure)
    ny, nx = first(exposure).sci.shape[-2:]
    for each in every(spoilt):
        each.sci[(1,) * (each.sci.ndim - 2) + (ny // 2, nx // 2)] = np.nan
    before, after = promise.apply(exposure, references), promise.apply(spoilt, references)
    near = promise.reach if isinstance(promise.reach, int) else promise.nan
    assert near is not None, "the table must say how far a NaN spreads"
    beyond = np.ones((ny, nx), bool)
    beyond[ny // 2 - near : ny // 2 + near + 1, nx // 2 - near : nx // 2 + near + 1] = False
    results: Sequence[dict[str, np.ndarray]] = (before, after)
    if isinstance(promise.reach, str):
        results = [{name: np.isnan(array) for name, array in result.items()} for result in results]
    assert_same(*({name: array[..., beyond] for name, array in result.items()} for result in results))
