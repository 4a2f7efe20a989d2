"""Every instrument: its references are found and valid, its exposures of the true format."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from calwebbd.stages.fits import read_header
from calwebbd.stages.simulate import Effects, Simulation, environment
from calwebbd.stages.simulate.rules import PARKEYS

DETECTORS = {"NIRSPEC": "NRS1", "NIRISS": "NIS", "FGS": "GUIDER1", "MIRI": "MIRIMAGE"}
#: Where another class would be taken for it, or none is known by its name.
MODELS = {"emicorr": datamodels.EmiModel, "sirskernel": datamodels.SIRSKernelModel}
#: Only of use in full frame.
FULL_ONLY = {"sirskernel", "refpix", "pictureframe"}
CLIENT = """
import json, sys
from crds.core import rmap, utils
header = utils.condition_header(json.loads(sys.argv[2]))
print(json.dumps(rmap.get_cached_mapping(sys.argv[1]).get_best_references(header)))
"""


@pytest.fixture(scope="module", params=DETECTORS)
def instrument(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def made(instrument: str, observe: Callable[..., Simulation]) -> Simulation:
    return observe(detectors=(DETECTORS[instrument],), ngroups=4, nints=2, segments=2)


def test_exposures_obey_the_schema_and_belong_to_the_instrument(instrument: str, made: Simulation) -> None:
    assert len(made.paths) == 2
    for n, path in enumerate(made.paths, start=1):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with datamodels.Level1bModel(path, strict_validation=True) as model:
                model.validate()
        header = read_header(path)
        assert (header["INSTRUME"], header["DETECTOR"]) == (instrument, DETECTORS[instrument])
        assert (header["EXSEGNUM"], header["INTSTART"], header["INTEND"], header["NINTS"]) == (n, n, n, 2)


def test_references_obey_their_schemas(instrument: str, crds_of: Callable[[str], Path]) -> None:
    paths = sorted((crds_of(instrument) / "references").rglob("jwst_*"))
    types = {path.name.split("_")[2] for path in paths}
    assert types >= set(PARKEYS[instrument]) - FULL_ONLY
    for path in paths:
        reftype = path.name.split("_")[2]
        if not reftype.startswith("pars-"):
            with MODELS.get(reftype, datamodels.open)(path, strict_validation=True) as model:
                model.validate()
                assert model.meta.instrument.name == instrument


def test_the_official_client_finds_every_type(
    instrument: str, made: Simulation, crds_of: Callable[[str], Path]
) -> None:
    with datamodels.Level1bModel(made.paths[0]) as model:
        flat = model.to_flat_dict(include_arrays=False)
    meta = {name.upper(): str(value) for name, value in flat.items() if isinstance(value, str | int)}
    cache = crds_of(instrument)
    command = [sys.executable, "-c", CLIENT, "jwst_0003.pmap", json.dumps(meta)]
    variables = {**os.environ, **environment(cache, "jwst_0003.pmap")}
    out = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = json.loads(out.splitlines()[-1])
    for reftype in {*PARKEYS[instrument], "pars-jumpstep", "pars-rampfitstep"} - FULL_ONLY:
        assert (cache / "references" / "jwst" / instrument.lower() / found[reftype]).is_file(), reftype


def test_light_and_nothing_else_makes_ramps_as_steep_as_the_truth(
    instrument: str, observe: Callable[..., Simulation]
) -> None:
    detector = DETECTORS[instrument]
    made = observe(detectors=(detector,), ngroups=3, effects=Effects.only(flat=True, gain=True, sky=True))
    truth, header = made.truth_of(made.paths[0]), read_header(made.paths[0])
    groups = fits.getdata(made.paths[0])[0].astype(float)
    # NIRSpec reads subarrays with twice the gain; gain_scale makes up for it
    factor = 2 if instrument == "NIRSPEC" else 1
    slope = (groups[2] - groups[0]) / (2 * float(header["TGROUP"])) * factor
    tolerance = factor / float(header["TGROUP"])
    np.testing.assert_allclose(slope, truth.rate, atol=tolerance)
    assert truth.rate.max() > 0


def test_a_dark_has_no_light(observe: Callable[..., Simulation]) -> None:
    made = observe(detectors=("NIS",), exp_type="NIS_DARK", ngroups=2)
    assert read_header(made.paths[0])["EXP_TYPE"] == "NIS_DARK"
    assert not made.truth_of(made.paths[0]).rate.any()
