"""calwebb_detector1: detector ramps to count rates."""

from __future__ import annotations

from dataclasses import dataclass

from calwebbd.stages.exposure import Exposure, Header, Ramp
from calwebbd.stages.readout import is_miri
from calwebbd.stages.run import Run
from calwebbd.stages.step import Step, pipeline
from calwebbd.stages.steps.charge_migration import charge_migration
from calwebbd.stages.steps.clean_flicker_noise import clean_flicker_noise
from calwebbd.stages.steps.dark_current import dark_current
from calwebbd.stages.steps.dq_init import dq_init
from calwebbd.stages.steps.emicorr import emicorr
from calwebbd.stages.steps.firstframe import firstframe
from calwebbd.stages.steps.gain_scale import gain_scale
from calwebbd.stages.steps.group_scale import group_scale
from calwebbd.stages.steps.ipc import ipc
from calwebbd.stages.steps.jump import jump
from calwebbd.stages.steps.lastframe import lastframe
from calwebbd.stages.steps.linearity import linearity
from calwebbd.stages.steps.persistence import persistence
from calwebbd.stages.steps.picture_frame import picture_frame
from calwebbd.stages.steps.ramp_fit import ramp_fit
from calwebbd.stages.steps.refpix import refpix
from calwebbd.stages.steps.reset import reset
from calwebbd.stages.steps.rscd import rscd
from calwebbd.stages.steps.saturation import saturation
from calwebbd.stages.steps.superbias import superbias

NIR = (group_scale, dq_init, saturation, ipc, superbias, refpix, linearity, dark_current)
MIRI = (
    *(group_scale, dq_init, emicorr, saturation, ipc, firstframe, lastframe, reset, linearity),
    *(rscd, dark_current, refpix),
)
BOTH = (charge_migration, jump, picture_frame, clean_flicker_noise, persistence)
# ramp_fit: a Ramp becomes (rate, rateints)
RATES = (gain_scale,)


@dataclass(frozen=True)
class Detector1Params:
    save_calibrated_ramp: bool = False  #: write the ramp as it is fitted


def steps_for(header: Header) -> tuple[Step, ...]:
    return (*(MIRI if is_miri(header) else NIR), *BOTH, ramp_fit, *RATES)


@pipeline(
    reads=("uncal", "ramp"),
    writes=("rate", "rateints", "ramp"),
    steps=tuple(dict.fromkeys((*MIRI, *NIR, *BOTH, ramp_fit, *RATES))),
    chosen=steps_for,
    params=Detector1Params,
)
def detector1(run: Run, ramp: Ramp) -> dict[str, Exposure]:
    """Correct a ramp and fit its slope (specification detector1 §2)."""
    ramp = run.steps(MIRI if is_miri(ramp.header) else NIR, ramp)
    ramp = run.steps(BOTH, ramp)
    if run.parameters.values.save_calibrated_ramp:
        run.save("ramp", ramp)
    fitted = run.step(ramp_fit, ramp)
    if isinstance(fitted, Ramp):  # ramp_fit was skipped
        return {"ramp": fitted}
    del ramp  # the cubes are most of the memory
    rate, rateints = run.steps(RATES, fitted)
    return {"rate": rate, "rateints": rateints}
