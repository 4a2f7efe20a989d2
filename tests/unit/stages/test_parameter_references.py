"""References that hold parameters: as layers, or why they cannot be."""

from pathlib import Path

import pytest

from calwebbd.stages import crds, parameter_references
from calwebbd.stages.errors import Unreadable
from calwebbd.stages.exposure import Header
from calwebbd.stages.parameters import Layer
from calwebbd.stages.pipelines import load
from calwebbd.stages.run import Run

HEAD, END = "#ASDF 1.0.0\n%YAML 1.1\n---\n", "\n...\n"
JUMP, WHOLE = "jwst_nircam_pars-jumpstep_0001.asdf", "jwst_nircam_pars-detector1pipeline_0001.asdf"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CRDS has one reference for jump and one for detector1, which lie in this folder."""
    own = {"pars-jumpstep": JUMP, load("detector1").pars: WHOLE}
    monkeypatch.setattr(
        crds, "best_references", lambda _, kinds, *__: {kind: own.get(kind) for kind in kinds}
    )
    monkeypatch.setattr(crds, "locate", lambda name, _: tmp_path / name)
    (tmp_path / JUMP).write_text(f"{HEAD}parameters: {{rejection_threshold: 5.0}}{END}")
    steps = "steps:\n- name: ipc\n  parameters: {skip: false}\n- name: jump\nparameters: {}"
    (tmp_path / WHOLE).write_text(f"{HEAD}{steps}{END}")
    return tmp_path


def layers() -> list[Layer]:
    return parameter_references.parameter_references(load("detector1"), Header({}), "jwst_0001.pmap")


@pytest.mark.usefixtures("files")
def test_each_is_a_layer_with_its_type() -> None:
    jump, whole = layers()
    assert (jump.origin, jump.kind, jump.strict) == (JUMP, "pars-jumpstep", False)
    assert jump.settings == {"jump": {"rejection_threshold": 5.0}}
    assert whole.settings == {"ipc": {"skip": False}, "jump": {}, "detector1": {}}


@pytest.mark.usefixtures("files")
def test_a_step_has_them_among_its_references() -> None:
    run = Run(load("detector1"), Header({}), "jwst_0001.pmap")
    jump, ipc = (next(step for step in run.pipeline.steps if step.name == name) for name in ("jump", "ipc"))
    for step in (jump, ipc):
        run._record(step, run.settings(step), "SKIPPED", "", 0.0, {"gain": None})
    assert run.records[0].references == {"pars-jumpstep": JUMP, load("detector1").pars: WHOLE, "gain": "N/A"}
    assert run.records[1].references == {load("detector1").pars: WHOLE, "gain": "N/A"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "End of YAML marker not found"),
        ("\x00\x01", "End of YAML marker not found"),
        (f"{HEAD}parameters: [1{END}", "while parsing a flow sequence"),
        (f"{HEAD}- 3{END}", r"its tree should be names and values, not \[3\]"),
        (f"{HEAD}parameters: [1]{END}", r"parameters should be names and values, not \[1\]"),
        (f"{HEAD}steps: [jump]{END}", "one of its steps should be names and values, not 'jump'"),
        (f"{HEAD}steps: 3{END}", "not iterable"),
        (f"{HEAD}steps: [{{parameters: {{}}}}]{END}", "name"),
    ],
)
def test_one_that_cannot_be_parsed_is_unreadable(files: Path, content: str, why: str) -> None:
    (files / JUMP).write_text(content)
    with pytest.raises(Unreadable, match=f"(?s)^jump: {JUMP} cannot be read .*{why}") as found:
        layers()
    assert found.value.path == files / JUMP
    assert "\n" not in str(found.value)


def test_a_sentence_about_the_file_of_a_pipeline_names_the_pipeline(files: Path) -> None:
    (files / WHOLE).write_text("")
    with pytest.raises(Unreadable, match=f"^detector1: {WHOLE} cannot be read"):
        layers()
