"""Plans: what a run would do is what it then does."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.explain import explain, explain_through
from calwebbd.stages.parameters import Layer, parse_settings
from calwebbd.stages.process import Options, process

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation


@pytest.fixture
def uncal(observe: Callable[..., "Simulation"], crds_environment: Path) -> Path:
    return observe(ngroups=3, nints=2, readpatt="SHALLOW4").paths[0]


def test_the_plan_is_what_the_run_records(uncal: Path, tmp_path: Path) -> None:
    layers = (Layer("command line", parse_settings(["saturation.n_pix_grow_sat=2"])),)
    (plan,) = explain(uncal, None, Options(tmp_path, layers=layers))
    (outcome,) = process(uncal, output_dir=tmp_path, layers=layers)
    ran = [record for record in outcome.steps if record.reason != "not in this version"]
    assert (plan.pipeline, plan.context) == (outcome.pipeline, outcome.context)
    assert plan.parameters == outcome.parameters == {"save_calibrated_ramp": [False, "default"]}
    assert [step.name for step in plan.steps] == [record.name for record in ran]
    for step, record in zip(plan.steps, ran, strict=True):
        assert step.parameters == record.parameters
        assert record.references.items() <= step.references.items()
        if step.skip:
            assert (record.status, record.reason) == ("SKIPPED", step.skip)


def test_nothing_is_run(uncal: Path, tmp_path: Path) -> None:
    plans = explain_through(uncal, None, "image2", Options(tmp_path / "out"))
    assert [plan.pipeline for plan in plans] == ["detector1", "image2"]
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_run_cannot_be_explained(uncal: Path, tmp_path: Path) -> None:
    layers = (Layer("command line", parse_settings(["jumps.rejection_threshold=5"])),)
    with pytest.raises(ParameterError, match="sets step 'jumps'"):
        explain(uncal, None, Options(tmp_path, layers=layers))
    with pytest.raises(InputError, match="does not exist"):
        explain(tmp_path / "jw01234001001_02101_00001_nrca1_uncal.fits", None, Options(tmp_path))
    with pytest.raises(ParameterError, match="detector1 does not follow on image2"):
        explain_through(uncal, "image2", "detector1", Options(tmp_path))
