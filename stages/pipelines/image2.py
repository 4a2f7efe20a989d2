"""calwebb_image2: count rates to calibrated images."""

from __future__ import annotations

from calwebbd.stages.exposure import Exposure, Image
from calwebbd.stages.run import Run
from calwebbd.stages.step import pipeline
from calwebbd.stages.steps.assign_wcs import assign_wcs
from calwebbd.stages.steps.bkg_subtract import bkg_subtract
from calwebbd.stages.steps.flat_field import flat_field
from calwebbd.stages.steps.photom import photom
from calwebbd.stages.steps.resample import resample

IMAGE = (assign_wcs, flat_field, photom)
#: those that get a rectified image for a quick look
DIRECT = frozenset({"MIR_IMAGE", "NRC_IMAGE", "NIS_IMAGE", "FGS_IMAGE"})


@pipeline(
    reads=("rate", "rateints"),
    writes=("cal", "calints", "i2d", "bsub", "bsubints"),
    steps=(bkg_subtract, *IMAGE, resample),
)
def image2(run: Run, exposure: Image) -> dict[str, Exposure]:
    """Calibrate an exposure, or its integrations, and rectify direct images (specification image2 §1)."""
    image: Image = run.steps(IMAGE, without_background(run, exposure))
    if image.by_integration:
        return {"calints": image}
    products: dict[str, Exposure] = {"cal": image}
    if image.header.text("EXP_TYPE") in DIRECT:
        # without a WCS resample is skipped, and says so in it; with a flat NaN and flags agree already
        if image.wcs is not None and image.header.get("S_FLAT") == "COMPLETE":
            run.begin_before(resample, "cal", image)
        rectified = run.step(resample, image)
        if rectified is not image:  # not skipped
            products["i2d"] = rectified
    return products


def without_background(run: Run, image: Image) -> Image:
    """The exposure less the background members of its association, if it has any."""
    members, params = run.others.get("background", ()), run.settings(bkg_subtract).values
    if not members and not params.bkg_list:
        return image
    image = run.step(bkg_subtract, image, backgrounds=members)
    if params.save_results and image.header["S_BKDSUB"] == "COMPLETE":
        run.save("bsubints" if image.by_integration else "bsub", image)
    return image
