"""calwebb_dark: dark exposures, ready to make reference files of."""

from __future__ import annotations

from calwebbd.stages.exposure import Exposure, Header, Ramp
from calwebbd.stages.pipelines import detector1
from calwebbd.stages.readout import is_miri
from calwebbd.stages.run import Run
from calwebbd.stages.step import Step, pipeline
from calwebbd.stages.steps.dark_current import dark_current


def before_dark(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Those that come before the subtraction of the dark current."""
    return steps[: steps.index(dark_current)]


NIR = before_dark(detector1.NIR)
MIRI = before_dark(detector1.MIRI)


def steps_for(header: Header) -> tuple[Step, ...]:
    return MIRI if is_miri(header) else NIR


@pipeline(
    reads=("uncal", "ramp"),
    writes=("dark",),
    steps=tuple(dict.fromkeys((*MIRI, *NIR))),
    chosen=steps_for,
)
def dark(run: Run, ramp: Ramp) -> dict[str, Exposure]:
    """Correct the ramps of a dark exposure, but fit nothing (specification guider_dark B)."""
    return {"dark": run.steps(steps_for(ramp.header), ramp)}
