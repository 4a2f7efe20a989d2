"""Images of every instrument, from raw exposures to a mosaic with its catalogue."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from associate import associate
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from valid import models

from calwebbd.stages.chain import process_through
from calwebbd.stages.process import Options, process

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation

#: of all products that are FITS
MODELS = {
    "rate": "ImageModel",
    "rateints": "CubeModel",
    "cal": "ImageModel",
    "crf": "ImageModel",
    "i2d": "ImageModel",
    "segm": "SegmentationMapModel",
}
IMAGERS = {"NIRISS": ("NIS", "NIS_IMAGE"), "FGS": ("GUIDER1", "FGS_IMAGE"), "MIRI": ("MIRIMAGE", "MIR_IMAGE")}


@pytest.mark.slow
@pytest.mark.parametrize("instrument", IMAGERS)
def test_dithers_become_a_mosaic_with_its_stars(
    instrument: str,
    observe: Callable[..., "Simulation"],
    crds_of: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from calwebbd.stages.simulate import environment

    for name, value in environment(crds_of(instrument)).items():
        monkeypatch.setenv(name, value)
    detector, exp_type = IMAGERS[instrument]
    made = observe(detectors=(detector,), exp_type=exp_type, dithers=2, ngroups=5)
    outcomes = process_through(made.paths, None, "image2", Options(tmp_path), _raise)
    cals = [path for outcome in outcomes if (path := outcome.product("cal"))]
    (asn,) = associate(cals)
    (outcome,) = process(asn, output_dir=tmp_path)
    assert {"crf", "i2d", "cat", "segm", "members"} <= {product.suffix for product in outcome.products}
    statuses = {step.name: step.status for step in outcome.steps}
    assert statuses["outlier_detection"] == statuses["source_catalog"] == "COMPLETE"
    assert models(tmp_path) == MODELS
    catalogue = QTable.read(outcome.product("cat"))
    places = SkyCoord(made.sources["ra"], made.sources["dec"])
    _, apart, _ = catalogue["sky_centroid"].match_to_catalog_sky(places)
    assert (apart.mas < 100).sum() > len(catalogue) / 2


def _raise(error: Exception) -> None:
    raise error
