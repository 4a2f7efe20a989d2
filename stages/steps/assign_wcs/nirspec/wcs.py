"""The coordinate system of one aperture: from pixels to sky and wavelength."""

from __future__ import annotations

from typing import Any

import gwcs
from astropy import units as u
from astropy.modeling.models import Identity, Scale

from calwebbd.stages.exposure import Header
from calwebbd.stages.references import References
from calwebbd.stages.steps.assign_wcs.imaging import Box, v2v3_to_sky, velocity_aberration
from calwebbd.stages.steps.assign_wcs.nirspec.apertures import Aperture, gwa_to_slit
from calwebbd.stages.steps.assign_wcs.nirspec.frames import plane, spectral
from calwebbd.stages.steps.assign_wcs.nirspec.optics import Optics, at_wavelength, tree_of

MICRONS = 1e6  # in a metre
Step = tuple[Any, Any]  #: a frame and the transform from it to the next


def aperture_wcs(aperture: Aperture, box: Box, optics: Optics, sky: list[Step]) -> Any:
    """The gwcs of a slit, slitlet or slice, bounded by `box`.

    sky : the steps from its plane on, of `slit_to_sky` or `slice_to_sky`
    """
    wcs = gwcs.WCS(
        [
            (plane("detector"), optics.detector_to_sca.copy()),
            (plane("sca"), optics.sca_to_gwa),
            (plane("gwa"), gwa_to_slit(aperture, optics)),
            (spectral("slit_frame", u.m), aperture.to_plane & Identity(1)),
            *sky,
        ]
    )
    wcs.bounding_box = box
    return wcs


def slit_to_sky(header: Header, references: References) -> list[Step]:
    """From the MSA plane to the sky."""
    fore = at_wavelength(tree_of(references, "fore")["model"])
    return [(spectral("msa_frame", u.m), fore), *_telescope("oteip", header, references)]


def slice_to_sky(header: Header, references: References) -> list[Step]:
    """From the slicer through the entrance of the IFU to the sky."""
    return [
        (spectral("slicer", u.m), at_wavelength(tree_of(references, "ifufore")["model"])),
        (spectral("msa_frame", u.m), at_wavelength(tree_of(references, "fore")["model"])),
        (spectral("oteip", u.m), tree_of(references, "chromcorr")["model"]),
        *_telescope("oteip_chromcorr", header, references),
    ]


def _telescope(first: str, header: Header, references: References) -> list[Step]:
    return [
        (spectral(first, u.m), tree_of(references, "ote")["model"] & Scale(MICRONS)),
        (spectral("v2v3"), velocity_aberration(header) & Identity(1)),
        (spectral("v2v3vacorr"), v2v3_to_sky(header) & Identity(1)),
        (spectral("world"), None),
    ]
