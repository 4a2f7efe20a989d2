"""Correct the relative response of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Exposure, Float, Image, PixelDQ
from calwebbd.stages.masking import match_nans_and_flags
from calwebbd.stages.products import GuideStar, Plane
from calwebbd.stages.references import Reference, References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.stripes import window
from calwebbd.stages.threads import by_rows


@dataclass(frozen=True)
class FlatFieldParams:
    user_supplied_flat: str | None = None  #: file to use in place of the reference
    inverse: bool = False  #: multiply by the flat, to undo the step
    save_interpolated_flat: bool = False  #: write the flat as it is used, as ``interpolatedflat``


def usable_flat(flat: Float, dq: PixelDQ) -> tuple[Float, PixelDQ]:
    """The flat with 1 where it must not be used, and its flags.

    flat, dq : (ny, nx)

    NaN and zero get NO_FLAT_FIELD; NO_FLAT_FIELD gets DO_NOT_USE.
    """
    dq = dq.copy()
    dq[np.isnan(flat) | (flat == 0)] |= np.uint32(flags.NO_FLAT_FIELD)
    dq[(dq & flags.NO_FLAT_FIELD) != 0] |= np.uint32(flags.DO_NOT_USE)
    return np.where(dq & flags.DO_NOT_USE, np.float32(1), flat), dq


def apply_flat(image: Image, flat: Float, flat_err: Float, *, inverse: bool = False) -> None:
    """Divide (`inverse`: multiply) SCI by the flat, in place; VAR_FLAT is its error's contribution.

    flat, flat_err : (ny, nx), for all integrations
    The order of the operations fixes the last bits of the result.
    Source: specification image2 §4.
    """
    image.var_flat, image.err = np.zeros_like(image.sci), np.empty_like(image.sci)
    arrays = (image.sci, image.var_poisson, image.var_rnoise, image.var_flat, image.err)

    def apply(start: int, stop: int) -> None:
        rows = np.s_[..., start:stop, :]
        sci, var_poisson, var_rnoise, var_flat, err = (array[rows] for array in arrays)
        divisor, error = flat[rows], flat_err[rows]
        squared = divisor * divisor
        if inverse:
            sci *= divisor
            var_poisson *= squared
            var_rnoise *= squared
        else:
            sci /= divisor
            var_poisson /= squared
            var_rnoise /= squared
            np.square(sci, out=var_flat)
            var_flat /= squared
            var_flat *= error**2
        np.add(var_poisson, var_rnoise, out=err)
        err += var_flat
        np.sqrt(err, out=err)

    by_rows(apply, image.sci.shape[-2])


def apply_flat_to_guide_star(star: GuideStar, flat: Float, flat_err: Float, *, inverse: bool = False) -> None:
    """Divide (`inverse`: multiply) count rates by the flat, in place, and add its error to ERR.

    flat, flat_err : (ny, nx), for all planes

    ERR is not divided itself, as in the reference pipeline. NaN in SCI or ERR becomes NaN in
    both; flags, which all planes share, make none.
    Source: specification guider_dark A2.
    """
    err = np.zeros_like(star.sci) if star.err is None else star.err
    if inverse:
        star.sci *= flat
    else:
        star.sci /= flat
        variance = star.sci**2
        variance /= flat * flat
        variance *= flat_err**2
        variance += err**2
        err = np.sqrt(variance)
    invalid = np.isnan(star.sci) | np.isnan(err)
    star.sci[invalid] = err[invalid] = np.nan
    star.err = err


#: Types of spectroscopic modes. The products of all modes have their R_ keywords.
OTHER_MODES = ("fflat", "sflat", "dflat")


UNSUPPORTED = frozenset({"NRS_VERIFY", "NRS_AUTOFLAT"})


@step(keyword="S_FLAT", references=("flat",), optional=OTHER_MODES, names_all=True, params=FlatFieldParams)
def flat_field(
    image: Image | GuideStar, references: References, params: FlatFieldParams
) -> Image | GuideStar:
    """Divide by the flat field and take its error into account."""
    if image.header.text("EXP_TYPE") in UNSUPPORTED:
        raise Skip(f"{image.header['EXP_TYPE']} has no flat field")
    if isinstance(image, GuideStar) and image.raw:
        raise Skip("guide stars have no count rates before guider_cds")
    reference = references["flat"]
    if params.user_supplied_flat:
        reference = _user_flat(Path(params.user_supplied_flat), image)
    if any(have < want for have, want in zip(reference.shape()[-2:], image.sci.shape[-2:], strict=True)):
        raise Skip(f"the flat {reference.path.name} is smaller than the exposure")
    flat, dq = usable_flat(reference.floats("SCI"), reference.dq())
    flat_err = reference.floats("ERR")
    if params.save_interpolated_flat:
        image.byproducts["interpolatedflat"] = Plane(image.header.copy(), flat, flat_err, dq)
    image.dq |= dq
    if isinstance(image, GuideStar):
        apply_flat_to_guide_star(image, flat, flat_err, inverse=params.inverse)
    else:
        apply_flat(image, flat, flat_err, inverse=params.inverse)
        match_nans_and_flags(image)
    return image


def _user_flat(path: Path, image: Exposure) -> Reference:
    if not path.exists():
        raise ReferenceMissing(f"user_supplied_flat names {path}, which does not exist")
    return Reference("flat", path, window(image))
