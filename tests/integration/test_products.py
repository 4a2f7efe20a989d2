"""Products of every kind of image are valid, though no data model has written them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from associate import pair
from valid import models

from calwebbd.stages.associations import Association, Member, Product, write_asn
from calwebbd.stages.chain import process_through
from calwebbd.stages.parameters import Layer
from calwebbd.stages.process import Options, process

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation


def calibrated(raw: list[Path], last: str, folder: Path, suffix: str) -> list[Path]:
    outcomes = process_through(raw, None, last, Options(folder), _raise)
    return [path for outcome in outcomes if (path := outcome.product(suffix))]


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.usefixtures("crds_environment")
def test_of_a_time_series(observe: Callable[..., "Simulation"], tmp_path: Path) -> None:
    raw = observe(exp_type="NRC_TSIMAGE", tso=True, nints=2, ngroups=4).paths
    calibrated(raw, "image2", tmp_path, "calints")
    assert models(tmp_path) == {"rate": "ImageModel", "rateints": "CubeModel", "calints": "CubeModel"}


@pytest.mark.usefixtures("crds_environment")
def test_of_a_pair_of_wavefront_sensing(observe: Callable[..., "Simulation"], tmp_path: Path) -> None:
    cals = calibrated(observe(dithers=2, ngroups=4).paths, "image2", tmp_path, "cal")
    process(pair(cals)[0], output_dir=tmp_path)
    assert models(tmp_path)["wfscmb"] == "ImageModel"


@pytest.mark.usefixtures("crds_environment")
def test_of_an_image_without_its_background(observe: Callable[..., "Simulation"], tmp_path: Path) -> None:
    science, *others = calibrated(observe(dithers=3, ngroups=4).paths, "detector1", tmp_path, "rate")
    members = [Member(science.name, "science"), *(Member(path.name, "background") for path in others)]
    product = Product(science.name.removesuffix("_rate.fits"), tuple(members))
    asn = tmp_path / "background_image2_asn.json"
    write_asn(Association(asn_type="image2", asn_rule="by hand", program="01234", products=(product,)), asn)
    save = Layer("test", {"bkg_subtract": {"save_results": True}})
    process(asn, output_dir=tmp_path, layers=(save,))
    found = models(tmp_path)
    assert found["bsub"] == found["cal"] == "ImageModel"
    assert found["i2d"] == "ImageModel"
