"""Exposures that end with stage 1 beside one that goes on, with the real calibration."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from guide_stars import BAD, FLAT, FLIGHT, GAIN, READNOISE, add_references
from stdatamodels.jwst import datamodels

from calwebbd.stages import flags
from calwebbd.stages.fits import read_header

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation

CONFIGURATION = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
path = "{crds}"
context = "jwst_0002.pmap"
[watch]
settle_seconds = 0.2
patience_seconds = 1
[associations]
level3 = false
[steps.detector1]
save_calibrated_ramp = true
"""
IMAGE, DARK = (f"jw01234001001_02101_0000{n}_nrca1" for n in (1, 2))
STAR, STRIPS = FLIGHT.name.removesuffix("_uncal.fits"), "jw01019001001_gs-id_1_image"


@pytest.fixture
def site(tmp_path: Path, crds_cache: Path, observe: Callable[..., Simulation]) -> Path:
    """A folder to which an image, a dark, and two exposures of guide stars have come."""
    shutil.copytree(crds_cache, tmp_path / "crds")
    add_references(tmp_path / "crds")
    inbox = tmp_path / "in"
    inbox.mkdir()
    (image,) = observe(ngroups=4).paths
    shutil.copy(image, inbox)
    renamed(image, inbox / f"{DARK}_uncal.fits", EXP_TYPE="NRC_DARK", EXPOSURE="00002")
    shutil.copy(FLIGHT, inbox)
    strips = {"EXP_TYPE": "FGS_ID-IMAGE", "READPATT": "ID"}
    renamed(FLIGHT, inbox / f"{STRIPS}-uncal.fits", **strips)
    (tmp_path / "calwebbd.toml").write_text(CONFIGURATION.format(crds=tmp_path / "crds"))
    return tmp_path


def renamed(source: Path, target: Path, **keywords: str) -> None:
    with fits.open(source) as hdus:
        hdus[0].header.update(keywords, FILENAME=target.name)
        hdus.writeto(target)


def calwebbd(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calwebbd.daemon", *arguments]
    return subprocess.run(command, cwd=site, capture_output=True, text=True, timeout=300)


def ask(site: Path, *arguments: str) -> Any:
    answer = calwebbd(site, *arguments, "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.slow
def test_each_exposure_goes_through_the_stage_1_of_its_type(site: Path) -> None:
    ended = calwebbd(site, "run", "--config", "calwebbd.toml", "--once")
    assert ended.returncode == 0, ended.stderr
    made = {path.name.removesuffix(".fits") for path in (site / "out").glob("*.fits")}
    image = {f"{IMAGE}_{suffix}" for suffix in ("ramp", "rate", "rateints", "cal", "i2d")}
    assert made == {f"{DARK}_dark", f"{STAR}_cal", f"{STRIPS}-cal"} | image
    for path in (site / "out").glob("*.fits"):
        with datamodels.open(path, strict_validation=True) as model:
            model.validate()
    assert read_header(site / "out" / f"{DARK}_dark.fits")["S_LINEAR"] == "COMPLETE"
    assert set(ask(site, "status")["jobs"]) == {"dark", "guider", "detector1", "image2"}
    where = ask(site, "where", f"{STRIPS}-uncal.fits")
    assert where["state"] == "done"
    assert [Path(product["path"]).name for product in where["products"]] == [f"{STRIPS}-cal.fits"]
    rest = ask(site, "where", f"{STAR}_cal.fits")
    assert rest["reason"] == "FGS_ACQ1 has no pipeline that starts from cal products"
    lineage = ask(site, "lineage", f"{STAR}_cal.fits")
    assert lineage["made_by"]["pipeline"] == "guider"
    assert [source["name"] for source in lineage["inputs"]] == [FLIGHT.name]
    own = ask(site, "lineage", f"{IMAGE}_rate.fits")["made_by"]["parameters"]["detector1"]
    assert own == {"save_calibrated_ramp": [True, "configuration"]}
    by_hand(site / "out" / f"{STAR}_cal.fits")


def by_hand(product: Path) -> None:
    """The flight exposure with references that are the same everywhere."""
    with fits.open(FLIGHT) as raw, fits.open(product) as hdus:
        signal = np.diff(raw["SCI"].data.astype(float), axis=1)[:, 0]
        np.testing.assert_allclose(hdus["SCI"].data, signal / 0.364 / FLAT, rtol=1e-6)
        variance = np.maximum(signal / (GAIN * 0.364), 0) + 2 * (READNOISE / 0.364) ** 2
        np.testing.assert_allclose(hdus["ERR"].data, np.sqrt(variance), rtol=1e-6)
        assert hdus["DQ"].data[BAD] == flags.DO_NOT_USE | flags.DEAD
        assert np.count_nonzero(hdus["DQ"].data) == 1
