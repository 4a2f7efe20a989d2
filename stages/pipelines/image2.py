"""calwebb_image2: count rates to calibrated images."""

from __future__ import annotations

from calwebbd.stages.exposure import Exposure, Image
from calwebbd.stages.run import Run
from calwebbd.stages.step import pipeline
from calwebbd.stages.steps.assign_wcs import assign_wcs
from calwebbd.stages.steps.flat_field import flat_field
from calwebbd.stages.steps.photom import photom
from calwebbd.stages.steps.resample import resample

IMAGE = (assign_wcs, flat_field, photom)
#: those that get a rectified image for a quick look
DIRECT = frozenset({"MIR_IMAGE", "NRC_IMAGE", "NIS_IMAGE", "FGS_IMAGE"})


@pipeline(
    reads=("rate", "rateints"),
    writes=("cal", "calints", "i2d"),
    steps=(*IMAGE, resample),
    lacking={"bkg_subtract": ""},
)
def image2(run: Run, exposure: Image) -> dict[str, Exposure]:
    """Calibrate an exposure, or its integrations, and rectify direct images (specification image2 §1)."""
    image: Image = run.steps(IMAGE, exposure)
    if image.by_integration:
        return {"calints": image}
    products: dict[str, Exposure] = {"cal": image}
    if image.header.text("EXP_TYPE") in DIRECT:
        rectified = run.step(resample, image)
        if rectified is not image:  # not skipped
            products["i2d"] = rectified
    return products
