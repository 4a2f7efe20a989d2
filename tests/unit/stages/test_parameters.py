"""Parameters: merged by strength, converted by type, each with its origin."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.parameters import Layer, check, concerning, effective, parse_settings
from calwebbd.stages.step import Pipeline, Step


@dataclass(frozen=True)
class Params:
    threshold: float = 4.0
    groups: int = 3
    neighbours: bool = True
    file: str | None = None
    method: Literal["median", "mean"] = "median"
    snr: tuple[float, ...] = (5.0, 4.0)


STEP = Step("jump", "S_JUMP", lambda ramp, references, params: ramp, params=Params)
PIPELINE = Pipeline(
    "detector1", ("uncal",), ("rate",), (STEP,), lambda run, ramp: {}, lacking={"tweakreg": "S_TWKREG"}
)


def merged(**settings: Any) -> Params:
    values: Params = effective(STEP, [Layer("test", {"jump": settings})]).values
    return values


def test_without_layers_the_defaults_hold() -> None:
    found = effective(STEP, [])
    assert found.values == Params()
    assert found.record()["threshold"] == [4.0, "default"]
    assert not found.skip


def test_a_later_layer_is_stronger_and_is_named_as_the_origin() -> None:
    layers = [
        Layer("pars", {"jump": {"threshold": 5, "groups": 4}}),
        Layer("site", {"jump": {"threshold": 6}}),
    ]
    found = effective(STEP, layers)
    assert (found.values.threshold, found.values.groups) == (6.0, 4)
    assert found.origins == {"threshold": "site", "groups": "pars"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("threshold", "5", 5.0),
        ("threshold", "1e-3", 0.001),
        ("groups", "7", 7),
        ("neighbours", "false", False),
        ("neighbours", "True", True),
        ("file", "None", None),
        ("file", "mask.fits", "mask.fits"),
        ("method", "mean", "mean"),
        ("snr", "6.0 5.0", (6.0, 5.0)),
        ("snr", "6,5,4", (6.0, 5.0, 4.0)),
    ],
)
def test_a_text_becomes_the_type_of_its_parameter(name: str, text: str, value: Any) -> None:
    got = getattr(merged(**{name: text}), name)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", "high"),
        ("groups", "2.5"),
        ("neighbours", "maybe"),
        ("method", "mode"),
        ("threshold", True),
    ],
)
def test_a_value_of_another_type_is_refused_with_both_named(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"jump.{name} cannot be {value!r}"):
        merged(**{name: value})


def test_what_a_parameter_can_be_is_named() -> None:
    with pytest.raises(ParameterError, match="cannot be 'mode': it takes one of median, mean"):
        merged(method="mode")


def test_an_unknown_parameter_is_refused_unless_it_comes_from_crds() -> None:
    with pytest.raises(ParameterError, match=r"sets jump.treshold"):
        merged(treshold=4)
    lenient = Layer("pars", {"jump": {"treshold": 4}}, strict=False)
    assert effective(STEP, [lenient]).values == Params()


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(ParameterError, match="step 'jmup'"):
        check([PIPELINE], [Layer("command line", {"jmup": {}})])


def test_an_official_step_that_is_not_there_may_be_skipped_but_not_set() -> None:
    check([PIPELINE], [Layer("command line", {"tweakreg": {"skip": "true"}})])
    with pytest.raises(ParameterError, match="step 'tweakreg'"):
        check([PIPELINE], [Layer("command line", {"tweakreg": {"snr_threshold": "5"}})])


def test_skip_and_overrides_belong_to_every_step() -> None:
    found = effective(STEP, [Layer("site", {"jump": {"skip": "true", "override_gain": "/refs/gain.fits"}})])
    assert found.skip
    assert found.overrides == {"gain": "/refs/gain.fits"}
    assert found.record()["override_gain"] == ["/refs/gain.fits", "site"]


@dataclass(frozen=True)
class Own:
    save_calibrated_ramp: bool = False


def test_a_pipeline_has_parameters_of_its_own() -> None:
    own = replace(PIPELINE, params=Own)
    layer = Layer("command line", {"detector1": {"save_calibrated_ramp": "true"}})
    check([own], [layer])
    assert concerning(own, [layer]) == (layer,)
    found = effective(own, [layer])
    assert found.values.save_calibrated_ramp
    assert found.record() == {"save_calibrated_ramp": [True, "command line"]}


def test_a_pipeline_is_not_skipped_and_may_have_nothing_to_set() -> None:
    with pytest.raises(ParameterError, match=r"sets detector1\.skip, which it does not have"):
        effective(replace(PIPELINE, params=Own), [Layer("command line", {"detector1": {"skip": "true"}})])
    with pytest.raises(ParameterError, match="step 'detector1'"):
        check([PIPELINE], [Layer("command line", {"detector1": {"save_calibrated_ramp": "true"}})])


@pytest.mark.parametrize("text", ["jump", "jump=4", "threshold=4", "=4", "jump.=4"])
def test_a_setting_that_is_not_step_param_value_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=r"is not STEP\.PARAM=VALUE"):
        parse_settings([text])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_the_command_line(number: float) -> None:
    settings = parse_settings([f"jump.threshold={number!r}"])
    assert effective(STEP, [Layer("command line", settings)]).values.threshold == number


def test_a_value_that_cannot_be_is_named_with_the_reference_that_has_it() -> None:
    layer = Layer("jwst_pars-jumpstep_0001.asdf", {"jump": {"threshold": "high"}}, strict=False)
    with pytest.raises(
        ParameterError, match=r"jwst_pars-jumpstep_0001.asdf: jump.threshold cannot be 'high'"
    ):
        effective(STEP, [layer])
