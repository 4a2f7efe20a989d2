"""calwebb_wfs-image3: pairs of images of wavefront sensing, combined."""

from __future__ import annotations

from calwebbd.stages.exposure import Exposure, Image, Mosaic
from calwebbd.stages.run import Run
from calwebbd.stages.step import pipeline
from calwebbd.stages.steps.wfs_combine import wfs_combine


@pipeline(name="wfs-image3", reads=("cal",), writes=("wfscmb",), steps=(wfs_combine,), combines=True)
def wfs_image3(run: Run, images: list[Image]) -> dict[str, Exposure]:
    """Combine the two images of a pair."""
    combined = run.step(wfs_combine, images)
    return {"wfscmb": combined} if isinstance(combined, Mosaic) else {}
