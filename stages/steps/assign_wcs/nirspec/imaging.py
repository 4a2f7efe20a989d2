"""Images through the mirror of the grating wheel."""

from __future__ import annotations

from typing import Any

import gwcs
from astropy.modeling import bind_bounding_box
from astropy.modeling.models import Const1D, Identity, Mapping, Scale

from calwebbd.stages.exposure import Header, Image, Subarray
from calwebbd.stages.references import References
from calwebbd.stages.steps.assign_wcs.imaging import array_box, v2v3_to_sky, velocity_aberration
from calwebbd.stages.steps.assign_wcs.nirspec.frames import plane
from calwebbd.stages.steps.assign_wcs.nirspec.optics import Optics, read_optics, tree_of


def assign_mirror(image: Image, references: References) -> None:
    """Give an image its WCS, and the header the wavelengths (m) and the order that it stands for."""
    optics = read_optics(image.header, image.subarray, references)
    image.wcs = imaging_wcs(image.header, image.subarray, references, optics)
    low, high = optics.wavelengths
    image.header.update(WAVSTART=low, WAVEND=high, SPORDER=optics.order)


def imaging_wcs(header: Header, subarray: Subarray, references: References, optics: Optics) -> Any:
    """The gwcs of an image; where the filter wheel is closed (OPAQUE), it ends at the micro-shutters.

    The fore optics are taken in the middle of the filter's wavelengths. Source: specification spec2 §2.
    """
    bind_bounding_box(optics.detector_to_sca, array_box(subarray.ny, subarray.nx), order="F")
    steps = [
        (plane("detector"), optics.detector_to_sca),
        (plane("sca"), optics.sca_to_gwa),
        (plane("gwa"), reflected(optics)),
    ]
    if header.text("FILTER") == "OPAQUE":
        return gwcs.WCS([*steps, (plane("msa"), None)])
    return gwcs.WCS(
        [
            *steps,
            (plane("msa"), at(optics.middle, tree_of(references, "fore")["model"])),
            (plane("oteip"), tree_of(references, "ote")["model"]),
            (plane("v2v3"), velocity_aberration(header)),
            (plane("v2v3vacorr"), v2v3_to_sky(header)),
            (plane("world"), None),
        ]
    )


def reflected(optics: Optics) -> Any:
    """Directions behind the mirror to (x, y) of the MSA plane, m."""
    mirror = Scale(-1) & Scale(-1) & Identity(1)
    to_msa = mirror | optics.collimated.inverse
    to_msa.inverse = optics.collimated | mirror
    return to_msa


def at(wavelength: float, model: Any) -> Any:
    """A model (x, y, λ) → (x, y) at one wavelength; its inverse likewise."""
    given = Mapping((0, 1, 1)) | Identity(2) & Const1D(wavelength)
    there = given | model
    there.inverse = given.copy() | model.inverse
    return there
