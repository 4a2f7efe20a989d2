"""The pages that the documentation makes from the code."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import pytest

from calwebbd.stages import pipelines
from calwebbd.stages.step import Pipeline, Step

SOURCE = Path(__file__).resolve().parents[3] / "docs" / "_ext" / "declarations.py"
spec = importlib.util.spec_from_file_location("declarations", SOURCE)
assert spec is not None
assert spec.loader is not None
declarations = importlib.util.module_from_spec(spec)
spec.loader.exec_module(declarations)


@dataclass(frozen=True)
class Base:
    threshold: float = 4.0  #: sigma


@dataclass(frozen=True)
class Params(Base):
    #: first line
    #: and second
    grow: bool = True
    plain: str | None = None


def test_each_pipeline_and_each_of_its_steps_has_a_page() -> None:
    pages = declarations.pages()
    for name in pipelines.NAMES:
        page = pages[f"pipelines/{name}.rst"]
        for step in pipelines.load(name).steps:
            assert f"steps/{step.name}.rst" in pages
            assert f":doc:`../steps/{step.name}`" in page


def test_parameters_have_type_default_and_comment() -> None:
    assert list(declarations.parameters(Params)) == [
        ("``threshold``", "``float``", "``4.0``", "sigma"),
        ("``grow``", "``bool``", "``True``", "first line and second"),
        ("``plain``", "``str | None``", "``None``", ""),
    ]


def test_each_parameter_of_each_step_says_what_it_means() -> None:
    for name in pipelines.NAMES:
        for step in pipelines.load(name).steps:
            for field, _, _, meaning in declarations.parameters(step.params):
                assert meaning, f"{step.name}.{field} has no #: comment"


def test_parameters_of_a_pipeline_itself_are_on_its_page() -> None:
    pages = declarations.pages()
    assert "--set detector1.NAME=VALUE" in pages["pipelines/detector1.rst"]
    assert "save_calibrated_ramp" in pages["pipelines/detector1.rst"]
    assert "Parameters\n" not in pages["pipelines/guider.rst"]


def test_two_steps_of_one_name_are_refused() -> None:
    def double(*_: object) -> None:
        """Do nothing."""

    steps = tuple(Step("double", "S_DOUBLE", double) for _ in range(2))
    pipeline = Pipeline("twice", (), (), steps, double)
    with pytest.raises(ValueError, match="two steps are named double"):
        declarations.used_by([pipeline])


def test_only_backticks_are_markup() -> None:
    assert declarations.escape("N*2 of `a*b` and R_ in ``c_``") == r"N\*2 of `a*b` and R\_ in ``c_``"


def test_lines_of_names_become_definitions() -> None:
    lines = ["What it is.", "", "sci, err : (ny, nx)", "    or more", "dq : flags", "Source: a book"]
    declarations.item_lists(None, "function", "f", None, None, lines)
    assert lines == [
        "What it is.",
        "",
        "``sci, err``",
        "    (ny, nx)",
        "    or more",
        "``dq``",
        "    flags",
        "",
        "Source: a book",
    ]


def test_every_command_is_on_the_command_line_page() -> None:
    page = declarations.command_line_page()
    for command in ("process", "warm", "run", "status", "where", "lineage", "quarantine", "simulate", "demo"):
        assert f"calwebbd {command}\n" in page
