"""Slits, shutters and slices as the light sees them: from the disperser to places in an aperture.

Places are in units of the aperture's size, 0 at its centre, y along the slit.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Tree
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.modeling.models import Const1D, Identity, Mapping, Scale, Shift, Tabular1D

from calwebbd.stages.steps.assign_wcs.nirspec.optics import Optics
from calwebbd.stages.transforms import compiled

SLICES = 30
EDGE = 0.55  # of a slit or slice, beyond which nothing is seen
SAMPLES = 1000  # along a slit


@dataclass(frozen=True)
class Aperture:
    """A slit, a slitlet of shutters, or a slice of the IFU.

    ymin, ymax : between which it is open
    to_plane : (x, y) in the aperture to (x, y) of the MSA, or of the slicer, m
    to_gwa : (x, y in the aperture, λ) to the direction in which its light meets the disperser
    """

    name: int | str
    ymin: float
    ymax: float
    to_plane: Any
    to_gwa: Any


def slit_apertures(slits: Iterable[Any], msa: Tree[str, Any], optics: Optics) -> list[Aperture]:
    """Those of slits and slitlets. msa : tree of the reference."""
    flat = Mapping((0, 1), n_inputs=3)
    apertures = []
    for slit in slits:
        quadrant = msa[f"Q{slit.quadrant}"]
        # shutters count from 1, fixed slits (quadrant 5) from 0
        row = quadrant["data"][slit.shutter_id - (slit.quadrant != 5)]
        plane = placed(row) | quadrant["model"]
        to_gwa = flat | plane | optics.collimated
        apertures.append(Aperture(slit.name, slit.ymin, slit.ymax, plane, to_gwa))
    return apertures


def slice_apertures(slicer: Tree[str, Any], post: Tree[str, Any], optics: Optics) -> list[Aperture]:
    """Those of the 30 slices. slicer, post : trees of the ifuslicer and ifupost references."""
    apertures = []
    for n in range(SLICES):
        plane = placed(slicer["data"][n]) | slicer["model"]
        to_gwa = plane & Identity(1) | behind_slicer(post[f"slice_{n}"]) | optics.collimated
        apertures.append(Aperture(n, -EDGE, EDGE, plane, to_gwa))
    return apertures


def placed(row: Any) -> Any:
    """Places in an aperture to those in its quadrant or slicer; row : number, centre x, y, size x, y."""
    _, x, y, width, height = (float(value) for value in row)
    return Scale(width) & Scale(height) | Shift(x) & Shift(y)


def behind_slicer(part: Tree[str, Any]) -> Any:
    """(x, y of the slicer, λ) to (x, y) of the virtual slit: polynomials with coefficients linear in λ."""
    first, last = Mapping((0, 1), n_inputs=3), Mapping((2,), n_inputs=3)

    def axis(name: str) -> Any:
        return (first | part[f"{name}poly"]) + (first | part[f"{name}poly_distortion"]) * last

    return part["linear"] & Identity(1) | Mapping((0, 1, 2, 0, 1, 2)) | axis("x") & axis("y")


def gwa_to_slit(aperture: Aperture, optics: Optics) -> Any:
    """Direction (α, β, γ) behind the disperser to (x, y in the aperture, λ); NaN beyond its ends.

    A disperser turns light across the slit only, so that β alone tells the place along it; x
    is taken as 0, where y and λ are known exactly.
    """
    y = np.linspace(aperture.ymin, aperture.ymax, SAMPLES)
    beta = compiled(aperture.to_gwa)(np.zeros(SAMPLES), y, np.full(SAMPLES, optics.middle))[1]
    along = Tabular1D(points=(beta,), lookup_table=y, bounds_error=False)
    to_slit = (
        Mapping((0, 1, 0), n_inputs=3)
        | Const1D(0) & (Scale(-1) | along) & Identity(1)
        | Mapping((0, 1, 0, 1, 2))
        | Identity(2)
        & (Mapping((0, 1, 0)) | Identity(2) & Const1D(optics.middle) | aperture.to_gwa)
        & Identity(1)
        | Mapping((0, 1, 2, 3, 5), n_inputs=6)
        | Identity(2) & optics.wavelength
    )
    to_slit.inverse = (
        Mapping((0, 1, 2, 2)) | aperture.to_gwa & Identity(1) | Mapping((3, 0, 1, 2)) | optics.dispersed
    )
    return to_slit
