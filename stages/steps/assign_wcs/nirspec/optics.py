"""What all apertures of an exposure share: the way between the detector and their plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from astropy.modeling.models import Identity, Mapping, Scale, Shift
from stdatamodels.jwst.transforms.models import DirCos2Unitless, Unitless2DirCos

from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Header, Subarray
from calwebbd.stages.references import References
from calwebbd.stages.steps.assign_wcs.nirspec import disperser
from calwebbd.stages.transforms import Function, compiled

LAST = 2047  # pixel of a detector's rows and columns


@dataclass(frozen=True)
class Optics:
    """Models of one exposure; all but `wavelength` can be inverted.

    detector_to_sca : (x, y) of the subarray to (x, y) of the detector in its own orientation
    sca_to_gwa : to the direction (α, β, γ) in which light left the disperser
    collimated : (x, y) of the MSA plane, m, to the direction in which light meets the disperser
    dispersed : (λ, direction that meets it) to the direction that leaves
    wavelength : (α, β that meet it, α that leaves) to λ
    wavelengths : those that reach the detectors, m
    """

    detector_to_sca: Any
    sca_to_gwa: Any
    collimated: Any
    dispersed: Any
    wavelength: Any
    order: int
    wavelengths: tuple[float, float]

    @cached_property
    def arriving(self) -> Function:
        """(x, y) of the subarray to the direction in which their light left the disperser."""
        return compiled(self.detector_to_sca | self.sca_to_gwa)

    @cached_property
    def landing(self) -> Function:
        """The inverse."""
        return compiled((self.detector_to_sca | self.sca_to_gwa).inverse)

    @property
    def middle(self) -> float:
        """Of the wavelengths, m."""
        return sum(self.wavelengths) / 2


def read_optics(header: Header, subarray: Subarray, references: References) -> Optics:
    """The models of this exposure. Raises ReferenceMissing if a reference is N/A."""
    tree = tree_of(references, "disperser")
    order, wavelengths = disperser.order_and_range(tree_of(references, "wavelengthrange"), header)
    rotation = disperser.rotation(tree, header)
    focal_plane = tree_of(references, "fpa")[f"{header.text('DETECTOR').lower()}_model"]
    return Optics(
        detector_to_sca(header, subarray),
        focal_plane | tree_of(references, "camera")["model"] | Unitless2DirCos() | rotation,
        collimated(tree_of(references, "collimator")["model"], rotation),
        disperser.dispersed(tree, header, order),
        disperser.wavelength(tree, header, order),
        order,
        wavelengths,
    )


def tree_of(references: References, kind: str) -> Any:
    """The tree of an ASDF reference. Raises ReferenceMissing if it is N/A."""
    if kind not in references:
        raise ReferenceMissing(f"the {kind} reference is N/A for this exposure")
    return references[kind].tree()


def collimated(collimator: Any, rotation: Any) -> Any:
    """(x, y) of the MSA plane to directions before the disperser; the reference is of the other way."""
    there = collimator.inverse | Unitless2DirCos() | rotation
    there.inverse = rotation.inverse | DirCos2Unitless() | collimator
    return there


def detector_to_sca(header: Header, subarray: Subarray) -> Any:
    """Pixels of the subarray to those of the detector; NRS2 is mounted upside down."""
    whole = Shift(subarray.x) & Shift(subarray.y)
    if header.text("DETECTOR") != "NRS2":
        return whole
    return whole | Shift(-LAST) & Shift(-LAST) | Scale(-1) & Scale(-1)


def at_wavelength(model: Any) -> Any:
    """A model (x, y, λ) → (x, y) that keeps λ; its inverse does so too."""
    keep = Mapping((0, 1, 2, 2))
    there = keep | model & Identity(1)
    there.inverse = keep | model.inverse & Identity(1)
    return there
