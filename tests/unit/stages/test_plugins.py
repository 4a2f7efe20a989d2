"""Steps of a site's own: found by their entry points, in their place, on record, and blamed by name."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits

from calwebbd.stages import pipelines, plugins
from calwebbd.stages.errors import ParameterError, PluginError
from calwebbd.stages.explain import explain
from calwebbd.stages.parameters import Layer
from calwebbd.stages.process import Options, process
from calwebbd.stages.step import Pipeline, Plugin, Step

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation

SITE = Path(__file__).resolve().parents[2] / "data" / "plugins"


def forget() -> None:
    for cached in (plugins.installed, plugins.code, plugins.programs):
        cached.cache_clear()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example package as if it were installed."""
    monkeypatch.syspath_prepend(str(SITE))
    forget()
    yield
    sys.modules.pop("site_steps", None)
    monkeypatch.undo()
    forget()


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[object], None]]:
    """Makes something the only entry point."""

    def declare(thing: object) -> None:
        entry = EntryPoint("odd", "here:odd", plugins.STEPS)
        monkeypatch.setattr(EntryPoint, "load", lambda self: thing)
        monkeypatch.setattr(plugins, "installed", lambda group: (entry,) if group == plugins.STEPS else ())

    yield declare
    monkeypatch.undo()
    forget()


@pytest.fixture(scope="module")
def rate(
    observe: Callable[..., "Simulation"],
    crds_of: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    from calwebbd.stages.simulate import environment

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(crds_of("NIRCAM")).items():
            patch.setenv(name, value)
        (made,) = process(observe(ngroups=3).paths[0], output_dir=tmp_path_factory.mktemp("rate"))
    found = made.product("rate")
    assert found is not None
    return found


@pytest.mark.usefixtures("site")
def test_a_plugin_stands_in_its_pipeline_at_its_place() -> None:
    names = [step.name for step in pipelines.load("image2").steps]
    assert names == ["bkg_subtract", "assign_wcs", "flat_field", "pedestal", "photom", "resample"]
    assert "level" in [step.name for step in pipelines.load("image3").steps]
    assert pipelines.load("image2").step("pedestal").origin == "site-steps 1.2"
    assert plugins.code().endswith(" + site-steps 1.2")


def test_without_plugins_everything_is_as_it_was() -> None:
    assert pipelines.load("image2") is pipelines.built_in("image2")


@pytest.mark.usefixtures("site", "crds_environment")
def test_a_plugin_changes_the_product_by_its_parameter_and_is_on_record(rate: Path, tmp_path: Path) -> None:
    layers = [Layer("command line", {"pedestal": {"level": level}}) for level in (0.0, 0.25)]
    without, (made,) = (
        process(rate, output_dir=tmp_path / str(n), layers=(layer,)) for n, layer in enumerate(layers)
    )
    record = next(step for step in made.steps if step.name == "pedestal")
    assert (record.status, record.plugin) == ("COMPLETE", "site-steps 1.2")
    assert record.parameters == {"level": [0.25, "command line"], "skip": [False, "default"]}
    skipped = next(step for step in without[0].steps if step.name == "pedestal")
    assert (skipped.status, skipped.reason) == ("SKIPPED", "there is nothing to subtract")
    before, after = (fits.open(outcome.product("cal")) for outcome in (without[0], made))
    with before, after:
        assert after[0].header["S_PEDEST"] == "COMPLETE"
        photmjsr = after["SCI"].header["PHOTMJSR"]
        lower = before["SCI"].data - after["SCI"].data
        good = np.isfinite(lower)
        np.testing.assert_allclose(lower[good], 0.25 * photmjsr, atol=0.01)


@pytest.mark.usefixtures("site", "crds_environment")
def test_a_plugin_is_explained_like_any_step(rate: Path) -> None:
    (plan,) = explain(rate, None, Options())
    assert next(step for step in plan.steps if step.name == "pedestal").parameters["level"] == [
        1.0,
        "default",
    ]


@pytest.mark.usefixtures("site", "crds_environment")
def test_a_plugin_after_a_skipped_step_is_skipped(rate: Path, tmp_path: Path) -> None:
    layer = Layer("command line", {"flat_field": {"skip": True}})
    (made,) = process(rate, output_dir=tmp_path, layers=(layer,))
    record = next(step for step in made.steps if step.name == "pedestal")
    assert (record.status, record.reason) == ("SKIPPED", "flat_field was skipped")


@pytest.mark.usefixtures("crds_environment")
def test_a_plugin_that_fails_is_named(rate: Path, tmp_path: Path, declared: Callable[[object], None]) -> None:
    def stumble(image: object, references: object, params: object) -> object:
        raise ZeroDivisionError("by nought")

    declared(Plugin(Step("stumble", "", stumble), "image2", before="photom"))
    with pytest.raises(PluginError) as caught:
        process(rate, output_dir=tmp_path)
    assert str(caught.value) == f"{rate}: stumble: plug-in of here:odd: ZeroDivisionError: by nought"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"after": "photom", "before": "photom"}, "must be either after or before a step"),
        ({"before": "jump"}, "is placed by 'jump', which image2 does not have"),
        ({"after": "photom", "step": Step("photom", "", print)}, "is named photom, as a step of image2 is"),
    ],
)
def test_a_plugin_without_a_place_is_refused(
    changes: dict[str, object], reason: str, declared: Callable[[object], None]
) -> None:
    declared(dataclasses.replace(Plugin(Step("mine", "", print), "image2"), **changes))
    with pytest.raises(PluginError, match=f"plug-in odd \\(here:odd\\) {reason}"):
        pipelines.load("image2")


def test_what_is_no_plugin_is_refused(declared: Callable[[object], None]) -> None:
    declared(print)
    with pytest.raises(PluginError, match="is here:odd, which is not declared as a plugin"):
        pipelines.load("image2")


def test_a_package_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("odd", "no_such_module:odd", plugins.STEPS)
    monkeypatch.setattr(plugins, "installed", lambda group: (entry,))
    with pytest.raises(PluginError, match=r"plug-in odd .* cannot be loaded: ModuleNotFoundError"):
        pipelines.load("image2")


@pytest.mark.usefixtures("site")
def test_a_program_has_a_pipeline_of_its_own() -> None:
    depth = pipelines.load("depth")
    assert isinstance(depth, Pipeline)
    assert (depth.origin, depth.reads, pipelines.names()[-1]) == ("site-steps 1.2", ("cal",), "depth")
    with pytest.raises(ParameterError, match=r"there is no pipeline 'width', only .*, depth"):
        pipelines.load("width")
