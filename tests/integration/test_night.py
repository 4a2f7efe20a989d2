"""A whole night with the real calibration, as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from stdatamodels.jwst import datamodels

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation

CONFIGURATION = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
path = "{crds}"
[watch]
settle_seconds = 0.2
patience_seconds = 1
[products]
quicklook = true
"""
EXPECTED = {"cal": 4, "cat": 2, "crf": 4, "i2d": 6, "members": 2, "rate": 4, "rateints": 4, "segm": 2}
PICTURED = ("rate", "cal", "crf", "i2d", "segm")


@pytest.fixture(scope="module")
def exposures(observe: Callable[..., "Simulation"]) -> list[Path]:
    """Two dithers on two detectors."""
    return observe(detectors=("NRCA1", "NRCALONG"), dithers=2, ngroups=4).paths


@pytest.fixture
def site(tmp_path: Path, crds_cache: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "calwebbd.toml").write_text(CONFIGURATION.format(crds=crds_cache))
    return tmp_path


def calwebbd(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calwebbd.daemon", *arguments]
    return subprocess.run(command, cwd=site, capture_output=True, text=True, timeout=300)


def ask(site: Path, *arguments: str) -> Any:
    answer = calwebbd(site, *arguments, "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def counted(site: Path) -> dict[str, int]:
    found = [
        path.stem.rsplit("_", 1)[-1] for path in (site / "out").iterdir() if path.suffix in (".fits", ".ecsv")
    ]
    return {suffix: found.count(suffix) for suffix in sorted(set(found))}


@pytest.mark.slow
def test_a_night_becomes_mosaics_and_every_question_has_an_answer(site: Path, exposures: list[Path]) -> None:
    for path in exposures:
        shutil.copy(path, site / "in")
    (site / "in" / "again").mkdir()
    truncated = site / "in" / "again" / exposures[0].name
    truncated.write_bytes(exposures[0].read_bytes()[:50000])
    ended = calwebbd(site, "run", "--config", "calwebbd.toml", "--once")
    assert ended.returncode == 0, ended.stderr
    assert counted(site) == EXPECTED
    assert len(list((site / "out").glob("*.png"))) == sum(EXPECTED[kind] for kind in PICTURED)
    for path in (site / "out").glob("*.fits"):
        with datamodels.open(path, strict_validation=True) as model:
            model.validate()
    (refused,) = ask(site, "quarantine")
    assert refused["path"] == str(truncated)
    assert "ends at byte 50000" in refused["reason"]
    assert set(ask(site, "status")["jobs"]) == {"detector1", "image2", "image3"}
    assert ask(site, "where", exposures[0].name)["state"] == "done"
    (mosaic,) = (site / "out").glob("jw01234-o001*f200w*_i2d.fits")
    lineage = ask(site, "lineage", str(mosaic))
    raw = {source["inputs"][0]["inputs"][0]["name"] for source in lineage["inputs"] if "inputs" in source}
    assert raw == {path.name for path in exposures if path.name.endswith("nrca1_uncal.fits")}


@pytest.mark.slow
def test_a_service_that_is_killed_finishes_the_night_with_every_product_once(
    site: Path, exposures: list[Path]
) -> None:
    for path in exposures:
        shutil.copy(path, site / "in")
    command = [sys.executable, "-m", "calwebbd.daemon", "run", "--config", "calwebbd.toml"]
    service = subprocess.Popen(command, cwd=site, stderr=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 120
    while not list((site / "out").glob("*_cal.fits")) and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(service.pid, signal.SIGKILL)
    service.wait()
    ended = calwebbd(site, "run", "--config", "calwebbd.toml", "--once")
    assert ended.returncode == 0, ended.stderr
    assert counted(site) == EXPECTED
    assert {state for counts in ask(site, "status")["jobs"].values() for state in counts} == {"done"}
