"""The command line: what scripts rely on."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from calwebbd.daemon.cli import main
from calwebbd.stages import memory

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation


@pytest.fixture(scope="module")
def uncal_file(observe: Callable[..., "Simulation"]) -> Path:
    return observe(ngroups=3).paths[0]


@pytest.fixture
def uncal(uncal_file: Path, crds_environment: Path) -> Path:
    return uncal_file


def test_process_prints_what_it_wrote(
    uncal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["process", str(uncal), "--output-dir", str(tmp_path), "--through", "image2"]) == 0
    said = capsys.readouterr()
    printed = [Path(line) for line in said.out.splitlines()]
    assert [path.name.rsplit("_", 1)[1] for path in printed] == [
        "rate.fits", "rateints.fits", "cal.fits", "i2d.fits",
    ]  # fmt: skip
    assert all(path.exists() for path in printed)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["process", "none_uncal.fits"], 1, "calwebbd: none_uncal.fits: does not exist"),
        (["process", "--set", "jump=4", "x.fits"], 2, "calwebbd: 'jump=4' is not STEP.PARAM=VALUE"),
        (["process", "--through", "spec3", "x.fits"], 2, "calwebbd: there is no pipeline 'spec3', only"),
        (["run", "--config", "none.toml"], 1, "calwebbd: none.toml: cannot be read"),
        (["status", "--config", "none.toml"], 1, "calwebbd: none.toml: cannot be read"),
    ],
)
def test_a_failure_is_one_line_and_a_code(
    arguments: list[str], code: int, line: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(line)


def test_a_failure_names_file_and_step(
    uncal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["process", str(uncal), "--output-dir", str(tmp_path), "--set", "ramp_fit.algorithm=NEWTON"]
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"calwebbd: {uncal}: ramp_fit: algorithm 'NEWTON'")


def test_memory_of_mosaics_is_an_option(uncal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALWEBBD_MOSAIC_MB", "256")
    assert main(["process", str(uncal), "--explain", "--memory", "0"]) == 0
    assert memory.budget() == 0


def test_a_command_given_wrongly_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["process"])
    assert stopped.value.code == 2
    assert "usage: calwebbd process" in capsys.readouterr().err


def test_crds_is_asked_without_a_server(uncal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crds", "references", str(uncal), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["context"] == "jwst_0002.pmap"
    assert answer["references"]["detector1"]["gain"].startswith("jwst_nircam_gain")
    assert set(answer["references"]) == {"detector1", "image2", "image3"}
    assert main(["crds", "contexts"]) == 0
    assert capsys.readouterr().out == "  jwst_0001.pmap\n* jwst_0002.pmap\n  jwst_0003.pmap\n"
    assert main(["crds", "show", "--json"]) == 0
    assert "gain" in json.loads(capsys.readouterr().out)["mappings"]["nircam"]


def test_crds_knows_the_cache_of_the_service(
    crds_environment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache = os.environ["CRDS_PATH"]
    config = tmp_path / "calwebbd.toml"
    config.write_text(
        f'[folders]\nwatch = ["in"]\noutput = "out"\nstate = "state"\n[crds]\npath = "{cache}"\n'
    )
    monkeypatch.delenv("CRDS_PATH")
    assert main(["crds", "show", "--json", "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["cache"] == cache
