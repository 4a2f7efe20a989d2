"""Remove the flicker of the read-out: noise that stretches along the lines of the detector.

Each difference of successive groups is taken by itself: its sources are masked, its
background is taken off, and the noise of what is left is fitted. The noise is kept as
what its fit found, a value for each line or its low frequencies, which is little; so
all of it can be known before anything is subtracted, and a fit that fails leaves the
ramp as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from calwebbd.stages.errors import ParameterError, ReferenceMissing
from calwebbd.stages.exposure import Float, GroupDQ, PixelDQ, Ramp
from calwebbd.stages.readout import is_miri
from calwebbd.stages.references import Reference, References
from calwebbd.stages.step import Failed, step
from calwebbd.stages.steps.clean_flicker_noise import automatic, cleaning, median_image, scene
from calwebbd.stages.steps.clean_flicker_noise.cleaning import Noise, Recipe
from calwebbd.stages.steps.clean_flicker_noise.clipping import Mask, clip
from calwebbd.stages.steps.clean_flicker_noise.mesh import smooth_level
from calwebbd.stages.steps.clean_flicker_noise.saving import empty_cube, one_by_one, save

Draft = Callable[[bool], tuple[Float, PixelDQ]]  #: rate and flags, of the exposure or by integration
FOURIER = frozenset({"NRS_MSASPEC", "NRS_IFU", "NRS_FIXEDSLIT", "NRS_BRIGHTOBJ"})


@dataclass(frozen=True)
class CleanFlickerNoiseParams:
    autoparam: bool = False  #: choose flat, background and channels by the image (NIRISS, NIRCam imaging)
    fit_method: Literal["fft", "median"] = "median"  #: fft for NIRSpec spectra only
    fit_by_channel: bool = False  #: fit amplifiers apart (near-infrared full frames, median)
    background_method: Literal["median", "model", "median_image"] | None = "median"  #: taken off before
    background_box_size: tuple[int, ...] | None = None  #: of the model, pixels: height, width
    mask_science_regions: bool = False  #: leave out what is lit by design
    apply_flat_field: bool = False  #: divide by the flat before fitting
    n_sigma: float = 2.0  #: above the background from where on a pixel is a source
    fit_histogram: bool = False  #: find the background by a fit to the histogram
    single_mask: bool = True  #: one mask of sources for all integrations
    user_mask: str | None = None  #: file of a mask to use instead, 1 where the background shows
    save_mask: bool = False  #: write the mask
    save_background: bool = False  #: write the background of each group
    save_noise: bool = False  #: write what was added to each group


@step(
    keyword="S_CLNFNS",
    references=("gain", "readnoise"),
    optional=("flat", "pastasoss", *scene.SLIT_REFERENCES),
    params=CleanFlickerNoiseParams,
    skip=True,
    whole=True,
)
def clean_flicker_noise(ramp: Ramp, references: References, params: CleanFlickerNoiseParams) -> Ramp:
    """Fit and subtract noise that is correlated along the lines of the detector."""
    axis = 0 if is_miri(ramp.header) else abs(ramp.header.integer("SLOWAXIS")) - 1
    _check(ramp, params)
    draft = cache(partial(scene.draft_rate, ramp, references))
    if params.autoparam:
        params = _chosen(ramp, references, params, axis, draft)
    flat = filled_flat(references["flat"]) if params.apply_flat_field and "flat" in references else None
    mask, scale = _scene(ramp, references, params, flat, draft)
    find = _finder(ramp, mask, scale, _recipe(ramp, params, axis, flat))
    backgrounds, added = empty_cube(ramp, params.save_background), empty_cube(ramp, params.save_noise)
    known = None
    if params.fit_method == "fft":  # a fit may fail, and then nothing must have changed
        known = [find(i, *each) for i, each in enumerate(one_by_one(ramp.sci, ramp.groupdq, backgrounds))]
    subtract = cleaning.subtract_all if scale is None else cleaning.subtract_each
    arrays = one_by_one(ramp.sci, ramp.groupdq, backgrounds, added)
    for i, (sci, groupdq, background, difference) in enumerate(arrays):
        subtract(sci, known[i] if known else find(i, sci, groupdq, background), flat, difference)
    save(ramp, mask=mask if params.save_mask else None, flicker_bkg=backgrounds, flicker_noise=added)
    return ramp


def filled_flat(reference: Reference) -> Float:
    """A flat whose zeros and undefined pixels have a smooth value, (ny, nx)."""
    flat = reference.floats()
    good = (flat != 0) & np.isfinite(flat)
    if good.all():
        return flat
    bad = ~good
    values = clip(flat, good, 3.0, 3.0, lower_half=True)
    return np.where(bad, smooth_level(flat, good, values), flat)


def _check(ramp: Ramp, params: CleanFlickerNoiseParams) -> None:
    """Raise Failed for a mode without this correction, ParameterError for values it cannot take."""
    kind = ramp.header.text("EXP_TYPE")
    if is_miri(ramp.header) and kind != "MIR_IMAGE":
        raise Failed(f"there is no such correction for {kind}")
    if params.fit_method == "fft" and kind not in FOURIER:
        raise Failed(f"fit_method fft is not for {kind}")
    if params.background_box_size is not None and len(params.background_box_size) != 2:
        raise ParameterError(f"background_box_size takes two numbers, not {params.background_box_size}")


def _chosen(
    ramp: Ramp, references: References, params: CleanFlickerNoiseParams, axis: int, draft: Draft
) -> CleanFlickerNoiseParams:
    """The parameters, with those that autoparam chooses."""
    kind = ramp.header.text("EXP_TYPE")
    if kind not in automatic.LIMITS:
        return params
    flat = filled_flat(references["flat"]) if "flat" in references else None
    choice = automatic.choose(kind, draft(False)[0], flat, axis)
    return replace(params, apply_flat_field=flat is not None, **choice)


def _scene(
    ramp: Ramp, references: References, params: CleanFlickerNoiseParams, flat: Float | None, draft: Draft
) -> tuple[Mask, Float | None]:
    """Mask of the background, one or by integration; for median_image the brightness of integrations.

    Raises Failed if the mask does not fit the exposure.
    """
    beside = params.background_method == "median_image"
    mask = _user_mask(Path(params.user_mask), ramp) if params.user_mask else None
    scale = None
    if mask is None or beside:
        rate, dq = draft(beside or not params.single_mask)
        if flat is not None:
            rate = rate / flat
        if mask is None:
            lit = scene.science_regions(ramp, references, dq) if params.mask_science_regions else False
            mask = scene.background_mask(
                rate, lit, n_sigma=params.n_sigma, fit_histogram=params.fit_histogram
            )
        scale = median_image.brightness(rate, ramp.header) if beside else None
    return mask, scale


def _user_mask(path: Path, ramp: Ramp) -> Mask:
    if not path.exists():
        raise ReferenceMissing(f"user_mask names {path}, which does not exist")
    mask = Reference("mask", path, ramp.subarray).array(cut=False).astype(bool)
    if mask.shape[-2:] != ramp.sci.shape[-2:] or mask.shape[:-2] not in ((), ramp.sci.shape[:1]):
        raise Failed(f"a mask of shape {mask.shape} is not for data of shape {ramp.sci.shape}")
    return mask


def _recipe(ramp: Ramp, params: CleanFlickerNoiseParams, axis: int, flat: Float | None) -> Recipe:
    """What is done to each image."""
    header = ramp.header
    if params.fit_method == "fft":
        fit = cleaning.fourier_fit(header.text("DETECTOR"), header.text("SUBARRAY"))
    else:
        whole = header.text("SUBARRAY") == "FULL" and not is_miri(header)
        fit = cleaning.median_fit(axis, params.fit_by_channel and whole)
    level = None if params.background_method == "median_image" else params.background_method
    box = params.background_box_size
    return Recipe(fit, level, (box[0], box[1]) if box else None, params.n_sigma, flat)


def _finder(
    ramp: Ramp, mask: Mask, scale: Float | None, recipe: Recipe
) -> Callable[[int, Float, GroupDQ, Float | None], list[Noise | None]]:
    """A function of an integration's number, sci, groupdq and array for backgrounds: its noise."""
    typical = None if scale is None else median_image.median_ramp(ramp)

    def find(i: int, sci: Float, groupdq: GroupDQ, backgrounds: Float | None) -> list[Noise | None]:
        usable = mask if mask.ndim == 2 else mask[i]
        if scale is None or typical is None:
            return cleaning.find_all(sci, groupdq, usable, recipe, backgrounds)
        return cleaning.find_beside(sci, scale[i], typical, usable, recipe, backgrounds)

    return find
