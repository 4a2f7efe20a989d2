"""The coordinate frames, by the names that later steps and users know."""

from __future__ import annotations

from typing import Any

from astropy import units as u
from astropy.coordinates import ICRS
from gwcs import coordinate_frames as cf

UNITS = {
    "detector": (u.pix, u.pix),
    "sca": (u.pix, u.pix),
    "gwa": (u.rad, u.rad),
    "slit_frame": ("", ""),
    "slicer": (u.m, u.m),
    "msa": (u.m, u.m),  # of images
    "msa_frame": (u.m, u.m),
    "oteip": (u.deg, u.deg),
    "oteip_chromcorr": (u.deg, u.deg),
    "v2v3": (u.arcsec, u.arcsec),
    "v2v3vacorr": (u.arcsec, u.arcsec),
}
AXES = {
    "detector": ("x", "y"),
    "sca": ("x", "y"),
    "gwa": ("alpha_in", "beta_in"),
    "slit_frame": ("x_slit", "y_slit"),
    "slicer": ("x_slicer", "y_slicer"),
    "msa": ("x_msa", "y_msa"),
    "msa_frame": ("x_msa", "y_msa"),
    "oteip": ("x_oteip", "y_oteip"),
    "oteip_chromcorr": ("x_oteip", "y_oteip"),
    "v2v3": ("v2", "v3"),
    "v2v3vacorr": ("v2", "v3"),
}


def plane(name: str) -> Any:
    """A frame of two axes; ``world`` is the sky."""
    if name == "world":
        return cf.CelestialFrame(name=name, axes_order=(0, 1), reference_frame=ICRS())
    return cf.Frame2D(name=name, axes_order=(0, 1), unit=UNITS[name], axes_names=AXES[name])


def spectral(name: str, unit: Any = u.micron) -> Any:
    """A frame of two axes and wavelength."""
    waves = cf.SpectralFrame(name="spectral", axes_order=(2,), unit=(unit,), axes_names=("wavelength",))
    places = plane(name)
    places.name = "sky" if name == "world" else f"{name}_spatial"
    return cf.CompositeFrame([places, waves], name=name)
