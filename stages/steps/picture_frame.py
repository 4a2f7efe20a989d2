"""Remove the thermal glow along the edges of NIRSpec's detectors."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Float, Ramp
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.steps.clean_flicker_noise.clipping import Mask
from calwebbd.stages.steps.clean_flicker_noise.saving import empty_cube, one_by_one, save
from calwebbd.stages.steps.clean_flicker_noise.scene import (
    SLIT_REFERENCES,
    OffDetector,
    background_mask,
    draft_rate,
    science_regions,
)
from calwebbd.stages.threads import in_threads

CENTRE = slice(76, 1984)  # rows and columns
WITHIN = slice(4, 2043)  # without reference pixels
BETWEEN_EDGES = slice(75, 1985)


@dataclass(frozen=True)
class PictureFrameParams:
    mask_science_regions: bool = True  #: leave out what is lit by design
    n_sigma: float = 2.0  #: above the background from where on a pixel is a source
    save_mask: bool = False  #: write the mask
    save_correction: bool = False  #: write what was added to each group


def subtract_frame(sci: Float, frame: Float, centre: Mask, edge: Mask, added: Float | None = None) -> None:
    """Subtract the frame from every group but the first, in place, scaled by what centre and edge show.

    sci : (ngroups, ny, nx), DN, of one integration; medians are of groups less the first
    frame : (ny, nx), in any unit
    centre, edge : (ny, nx), True in pixels of the background
    added : as sci, becomes what was added to each group
    Source: specification detector1 §3 picture_frame.
    """
    reference_edge = np.nanmedian(frame[edge])
    shape = frame - reference_edge
    contrast = np.nanmedian(frame[centre]) - reference_edge

    def subtract(g: int) -> None:
        image = sci[g] - sci[0]
        at_edge = np.nanmedian(image[edge])
        scale = (np.nanmedian(image[centre]) - at_edge) / contrast
        correction = scale * shape + at_edge
        image += sci[0] - correction
        if added is not None:
            np.subtract(image, sci[g], out=added[g])
        sci[g] = image

    in_threads([partial(subtract, g) for g in range(1, len(sci))])


def regions(mask: Mask) -> tuple[Mask, Mask]:
    """The parts of a mask in the centre of the detector, and along its edges."""
    centre, edge = np.zeros_like(mask), np.zeros_like(mask)
    centre[CENTRE, CENTRE] = mask[CENTRE, CENTRE]
    edge[WITHIN, WITHIN] = mask[WITHIN, WITHIN]
    edge[BETWEEN_EDGES, BETWEEN_EDGES] = False
    return centre, edge


@step(
    keyword="S_PCTFRM",
    references=("pictureframe", "gain", "readnoise"),
    optional=SLIT_REFERENCES,
    params=PictureFrameParams,
    skip=True,
    whole=True,
)
def picture_frame(ramp: Ramp, references: References, params: PictureFrameParams) -> Ramp:
    """Subtract the thermal picture frame of NIRSpec full frames."""
    if (ramp.header.text("INSTRUME"), ramp.header.text("SUBARRAY")) != ("NIRSPEC", "FULL"):
        raise Skip("only full frames of NIRSpec show the picture frame")
    if ramp.sci.shape[1] == 1:
        raise Skip("there is only one group")
    reference = references["pictureframe"]
    frame = reference.floats(cut=False)
    if frame.shape != ramp.sci.shape[-2:]:
        raise ReferenceMissing(f"{reference.path.name} is of {frame.shape}, data of {ramp.sci.shape[-2:]}")
    rate, dq = draft_rate(ramp, references)
    lit: Mask | bool = False
    if params.mask_science_regions:
        with suppress(OffDetector):
            lit = science_regions(ramp, references, dq, failed_open=True)
    mask = background_mask(rate, lit, n_sigma=params.n_sigma)
    centre, edge = regions(mask)
    if not (centre.any() and edge.any()):
        raise Skip("the centre or the edge shows no background")
    added = empty_cube(ramp, params.save_correction)
    for sci, difference in one_by_one(ramp.sci, added):
        subtract_frame(sci, frame, centre, edge, difference)
    save(ramp, pctfrm_mask=mask if params.save_mask else None, pctfrm_correction=added)
    return ramp
