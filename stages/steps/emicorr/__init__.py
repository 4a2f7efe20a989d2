"""Remove electromagnetic interference: waves of known frequencies in MIRI's read-out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from calwebbd.stages.exposure import Ramp
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.steps.emicorr.clock import Case, Clock, known_case, unknown_case
from calwebbd.stages.steps.emicorr.joint import remove_wave
from calwebbd.stages.steps.emicorr.sequential import remove_waves, with_late_edge

READPATTS = ("FAST", "FASTR1", "SLOW", "SLOWR1")
LEAST_GROUPS = {"joint": 3, "sequential": 4}


@dataclass(frozen=True)
class EmiCorrParams:
    algorithm: Literal["joint", "sequential"] = "joint"  #: fit waves with the ramps, or after them
    nints_to_phase: int | None = None  #: integrations in which waves are looked for (sequential)
    nbins: int | None = None  #: of phases (sequential); default: half of the period's ticks of 10 µs
    scale_reference: bool = True  #: scale the reference's waves to those found (sequential)
    onthefly_corr_freq: tuple[float, ...] | None = None  #: Hz; look for these without a reference
    use_n_cycles: int | None = 3  #: look in as many integrations as hold so many periods (sequential)
    fit_ints_separately: bool = False  #: let amplitude and phase change between integrations (joint)


@step(keyword="S_MIREMI", optional=("emicorr",), params=EmiCorrParams, skip=True, whole=True)
def emicorr(ramp: Ramp, references: References, params: EmiCorrParams) -> Ramp:
    """Subtract electromagnetic interference of known frequencies.

    Source: specification detector1 §3 emicorr.
    """
    readpatt = ramp.header.text("READPATT")
    if readpatt not in READPATTS:
        raise Skip(f"READPATT is {readpatt}, none of {', '.join(READPATTS)}")
    algorithm = "sequential" if params.onthefly_corr_freq is not None else params.algorithm
    ngroups = ramp.sci.shape[1]
    if ngroups < LEAST_GROUPS[algorithm]:
        raise Skip(f"there are {ngroups} groups, fewer than {LEAST_GROUPS[algorithm]}")
    case = _case(ramp, references, params)
    clock = Clock.of(ramp, case)
    if algorithm == "joint":
        for wave in case.waves:
            remove_wave(ramp.sci, ramp.pixeldq, wave, clock, separately=params.fit_ints_separately)
    else:
        remove_waves(
            ramp.sci,
            case,
            replace(clock, pixels=with_late_edge(clock.pixels, ramp.subarray.x)),
            nints_to_phase=params.nints_to_phase,
            use_n_cycles=params.use_n_cycles,
            nbins=params.nbins,
            scaled=params.scale_reference,
        )
    return ramp


def _case(ramp: Ramp, references: References, params: EmiCorrParams) -> Case:
    if params.onthefly_corr_freq is not None:
        case = unknown_case(params.onthefly_corr_freq, ramp.header)
    elif "emicorr" in references:
        case = known_case(references["emicorr"].tree(), ramp.header)
    else:
        raise Skip("the emicorr reference is N/A for this exposure")
    if case is None or not case.waves:
        subarray, detector = ramp.header.text("SUBARRAY"), ramp.header.text("DETECTOR")
        raise Skip(f"no frequencies are known for SUBARRAY {subarray} of {detector}")
    return case
