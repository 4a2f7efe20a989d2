"""Count rates of guide stars from differences of groups."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Float
from calwebbd.stages.products import GuideStar
from calwebbd.stages.references import Reference, References
from calwebbd.stages.step import NoParams, step

AVERAGED = 4  # groups at either end of an integration in fine guiding
DIFFERENCED = frozenset({"FGS_ACQ1", "FGS_ACQ2", "FGS_TRACK"})
IDENTIFIED = frozenset({"FGS_ID-IMAGE", "FGS_ID-STACK"})


def differences(sci: Float, exp_type: str) -> Float:
    """Signal that each plane gathered, (nplanes, ny, nx), DN.

    sci : (nints, ngroups, ny, nx), DN

    Second group minus first; in fine guiding, mean of the last four minus mean of the first
    four; in identification the lesser of two integrations, which is free of cosmic rays.

    Raises InputError for another EXP_TYPE, or too few groups or integrations.
    Source: specification guider_dark A2, guider_cds.
    """
    if exp_type == "FGS_FINEGUIDE":
        _need(sci, 1, AVERAGED, exp_type)
        last, first = (sci[:, part].mean(axis=1) for part in (np.s_[-AVERAGED:], np.s_[:AVERAGED]))
        return np.asarray(last - first, np.float32)
    if exp_type in DIFFERENCED:
        _need(sci, 1, 2, exp_type)
        return np.asarray(sci[:, 1] - sci[:, 0])
    if exp_type in IDENTIFIED:
        _need(sci, 2, 2, exp_type)
        return np.asarray(np.minimum(*(plane[1:2] - plane[:1] for plane in sci[:2])))
    raise InputError(f"EXP_TYPE {exp_type} is not a mode of guiding")


def count_rates(difference: Float, gain: Float, readnoise: Float, group_time: float) -> tuple[Float, Float]:
    """Count rates and their errors, DN/s.

    difference : (nplanes, ny, nx), DN; NaN gives NaN
    gain : (ny, nx), e-/DN; zero gives an infinite error, or NaN where there is no signal
    readnoise : (ny, nx), DN, of the difference of two frames

    The photon variance is difference / (gain group_time), where a rate would have the time
    squared, and averages of groups have the read noise of one, both as in the reference
    pipeline. Negative signals have no photon noise.
    Source: specification guider_dark A2, guider_cds.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = difference / (gain * np.float32(group_time))
    variance[variance < 0] = 0
    variance += 2 * (readnoise / np.float32(group_time)) ** 2
    return difference / np.float32(group_time), np.sqrt(variance)


@step(keyword="S_GUICDS", references=("gain", "readnoise"))
def guider_cds(star: GuideStar, references: References, params: NoParams) -> GuideStar:
    """Turn differences of groups into count rates with errors."""
    if not star.raw:
        raise InputError(f"SCI has {star.sci.ndim} axes: it holds count rates already")
    exp_type = star.header.text("EXP_TYPE")
    shape = star.sci.shape[-2:]
    difference = differences(star.sci, exp_type)
    gain, readnoise = (_over(references[kind], shape, exp_type) for kind in ("gain", "readnoise"))
    star.sci, star.err = count_rates(difference, gain, readnoise, star.header.real("TGROUP"))
    star.header["BUNIT"] = "DN/s"
    return star


def _need(sci: Float, nints: int, ngroups: int, exp_type: str) -> None:
    if sci.shape[0] < nints or sci.shape[1] < ngroups:
        raise InputError(
            f"{exp_type} has {sci.shape[0]} integrations of {sci.shape[1]} groups; "
            f"it needs {nints} of {ngroups} at least"
        )


def _over(reference: Reference, shape: tuple[int, ...], exp_type: str) -> Float:
    """The reference over the window; its mean where abutted strips are more than the detector."""
    if exp_type == "FGS_ID-STACK" and any(
        have < want for have, want in zip(reference.shape()[-2:], shape, strict=True)
    ):
        return np.full(shape, reference.floats(cut=False).mean(), np.float32)
    return reference.floats()
