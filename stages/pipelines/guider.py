"""calwebb_guider: what guided the telescope, to count rates."""

from __future__ import annotations

from calwebbd.stages.exposure import Exposure
from calwebbd.stages.products import GuideStar
from calwebbd.stages.run import Run
from calwebbd.stages.step import pipeline
from calwebbd.stages.steps.dq_init import dq_init
from calwebbd.stages.steps.flat_field import flat_field
from calwebbd.stages.steps.guider_cds import guider_cds

STEPS = (dq_init, guider_cds, flat_field)


@pipeline(reads=("uncal", "cal"), writes=("cal",), steps=STEPS)
def guider(run: Run, star: GuideStar) -> dict[str, Exposure]:
    """Calibrate the images by which a guide star was found and followed (specification guider_dark A).

    It starts from ``cal`` products if dq_init and guider_cds are switched off.
    """
    return {"cal": run.steps(STEPS, star)}
