"""The cache: rules a CRDS client accepts, references that say the truth."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from calwebbd.stages import flags
from calwebbd.stages.errors import ParameterError
from calwebbd.stages.simulate import environment, simulate_cache
from calwebbd.stages.simulate.crds_cache import contents
from calwebbd.stages.simulate.detectors import DETECTORS
from calwebbd.stages.simulate.parameters import OPERATIONAL, SETS
from calwebbd.stages.simulate.readout import window
from calwebbd.stages.simulate.rules import PARKEYS
from calwebbd.stages.simulate.sensor import Sensor, make_sensor

PARAMETERS = [step for step in OPERATIONAL if "NIRCAM" in step.instruments]
CLIENT = """
import json, sys
from crds.core import rmap
header = json.loads(sys.argv[2])
found = rmap.get_cached_mapping(sys.argv[1]).get_best_references(header)
print(json.dumps(found))
"""
META = {
    "INSTRUMENT.NAME": "NIRCAM",
    "INSTRUMENT.DETECTOR": "NRCALONG",
    "INSTRUMENT.FILTER": "F444W",
    "INSTRUMENT.PUPIL": "CLEAR",
    "INSTRUMENT.CHANNEL": "LONG",
    "INSTRUMENT.MODULE": "A",
    "EXPOSURE.TYPE": "NRC_IMAGE",
    "EXPOSURE.READPATT": "BRIGHT1",
    "SUBARRAY.NAME": "SUB160",
    "OBSERVATION.DATE": "2024-01-01",
    "OBSERVATION.TIME": "06:00:00",
}


def best(cache: Path, context: str) -> dict[str, str]:
    """Best references by the official client, in a process of its own: it keeps mappings by name."""
    header = json.dumps({f"META.{name}": value for name, value in META.items()})
    command = [sys.executable, "-c", CLIENT, context, header]
    variables = {**os.environ, **environment(cache, context)}
    out = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = json.loads(out.splitlines()[-1])
    return {reftype: name for reftype, name in found.items() if name != "NOT FOUND n/a"}


@pytest.fixture(scope="module")
def pars(cache: Path) -> dict[str, str]:
    return best(cache, "jwst_0002.pmap")


def reference(cache: Path, name: str) -> Path:
    return cache / "references" / "jwst" / "nircam" / name


def sensor(subarray: str) -> Sensor:
    detector = DETECTORS["NRCALONG"]
    return make_sensor(detector, window(detector, subarray), "F444W", 3)


def test_every_type_is_found_for_an_exposure(cache: Path, pars: dict[str, str]) -> None:
    for reftype in set(PARKEYS["NIRCAM"]) - {"sirskernel"}:
        assert reference(cache, pars[reftype]).is_file(), reftype
    assert "sirskernel" not in pars  # only of use in full frame


def test_parameters_are_in_the_second_context_only(cache: Path, pars: dict[str, str]) -> None:
    first = best(cache, "jwst_0001.pmap")
    for step in PARAMETERS:
        assert step.reftype not in first
        with asdf.open(reference(cache, pars[step.reftype])) as file:
            assert file["parameters"] == step.parameters
            assert file["class"].endswith("." + step.cls)
    assert {**first, **pars} == pars
    assert len(pars) == len(first) + len(PARAMETERS)


def test_what_is_found_is_of_the_detector_and_subarray(cache: Path, pars: dict[str, str]) -> None:
    for reftype in ("mask", "saturation", "superbias", "linearity", "dark", "gain", "readnoise", "flat"):
        header = fits.getheader(reference(cache, pars[reftype]))
        w = window(DETECTORS["NRCALONG"], "SUB160")
        assert header["DETECTOR"] == "NRCALONG"
        assert (header["SUBSTRT1"], header["SUBSTRT2"]) == (w.x + 1, w.y + 1)
        assert (header["SUBSIZE1"], header["SUBSIZE2"]) == (160, 160)


def test_mappings_state_their_own_checksum(cache: Path) -> None:
    paths = sorted((cache / "mappings" / "jwst").iterdir())
    parameters = sum("NIRCAM" in step.instruments for steps in SETS.values() for step in steps)
    assert len(paths) == 3 + 3 + len(PARKEYS["NIRCAM"]) - 1 + parameters
    for path in paths:
        lines = path.read_text().splitlines(keepends=True)
        summed = "".join(line for line in lines if "sha1sum" not in line)
        stated = next(line for line in lines if "sha1sum" in line)
        assert hashlib.sha1(summed.encode()).hexdigest() in stated


def test_references_are_the_truth_about_the_pixels(cache: Path, pars: dict[str, str]) -> None:
    s = sensor("SUB160")
    maps = {
        "gain": s.gain,
        "readnoise": s.noise,
        "superbias": s.bias,
        "saturation": s.saturation,
        "flat": s.flat,
    }
    for reftype, truth in maps.items():
        np.testing.assert_array_equal(fits.getdata(reference(cache, pars[reftype])), truth)
    dark = fits.getdata(reference(cache, pars["dark"]))
    np.testing.assert_allclose(dark[6], s.dark_signal(7, 0.27864), rtol=1e-6)


def test_flags_come_back_through_the_names_in_the_file(cache: Path, pars: dict[str, str]) -> None:
    with datamodels.open(reference(cache, pars["mask"])) as mask:
        np.testing.assert_array_equal(mask.dq, sensor("SUB160").dq)
    with datamodels.open(reference(cache, pars["dark"])) as dark:
        assert ((dark.dq == flags.UNRELIABLE_DARK) == (sensor("SUB160").dark > 50)).all()


def test_every_reference_obeys_its_schema(cache: Path) -> None:
    paths = sorted((cache / "references").rglob("jwst_*"))
    assert paths
    for path in paths:
        if "pars-" in path.name:
            continue
        name = path.name.split("_")[2]
        cls = {"distortion": datamodels.DistortionModel, "filteroffset": datamodels.FilteroffsetModel,
               "abvegaoffset": datamodels.ABVegaOffsetModel}.get(name, datamodels.open)  # fmt: skip
        with cls(path, strict_validation=True) as model:
            model.validate()
            assert model.meta.telescope == "JWST"


def test_the_cache_remembers_what_it_was_made_for(cache: Path) -> None:
    made = contents(cache)
    assert made.seed == 3
    assert made.filter_of("NRCA1") == "F200W"


def test_names_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    for wrong in (
        {"detectors": ["NRCA9"]},
        {"subarrays": ["SUB8"]},
        {"filters": ["F000W"]},
        {"detectors": ["NIS"]},
    ):
        with pytest.raises(ParameterError):
            simulate_cache(tmp_path, **wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
