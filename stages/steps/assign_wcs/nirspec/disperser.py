"""The wheel of gratings, prism and mirror: how it stands, and how each of them turns light.

Directions are cosines (α, β, γ) in the frame of the disperser; wavelengths are in metres.
"""

from __future__ import annotations

from collections.abc import Mapping as Tree
from typing import Any

import numpy as np
from astropy.constants import c
from astropy.modeling.models import Identity, Scale, Tabular1D
from stdatamodels.jwst.transforms.models import (
    AngleFromGratingEquation,
    RefractionIndexFromPrism,
    Rotation3DToGWA,
    Snell,
    WavelengthFromGratingEquation,
)

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Header
from calwebbd.stages.exptypes import LAMPS

WHOLE_RANGE = (0.6e-6, 5.3e-6)  # of NIRSpec, m
TABULATED = np.arange(0.3, 8.005, 0.005) * 1e-6  # wavelengths at which the prism's index is, m


def order_and_range(tree: Tree[str, Any], header: Header) -> tuple[int, tuple[float, float]]:
    """Spectral order, and the wavelengths (m) that reach the detectors.

    tree : of the wavelengthrange reference, whose rows are named for filter, or lamp, and grating.
    The first row of the grating stands in for an unknown one; for an unknown grating, order -1
    and the whole range.
    """
    grating, rows = header.text("GRATING"), list(tree["waverange_selector"])
    known = [row.split("_")[1] for row in rows]
    lit = header.text("FILTER") == "OPAQUE" or header.text("EXP_TYPE") in LAMPS
    name = f"{header.text('LAMP' if lit else 'FILTER')}_{grating}"
    if name not in rows and grating not in known:
        return -1, WHOLE_RANGE
    index = rows.index(name) if name in rows else known.index(grating)
    low, high = tree["wavelengthrange"][index]
    return int(tree["order"][index]), (float(low), float(high))


def rotation(tree: Tree[str, Any], header: Header) -> Any:
    """From the camera's or collimator's frame to that of the disperser, as the sensors say it stands.

    GWA_XTIL turns it about y, GWA_YTIL about x; where one is missing, the disperser is as
    the reference has it.
    """
    theta_x = tree["theta_x"] + _tilt(tree, "gwa_tilty", header.get("GWA_YTIL"))
    theta_y = tree["theta_y"] + _tilt(tree, "gwa_tiltx", header.get("GWA_XTIL"))
    return Rotation3DToGWA([theta_x, theta_y, tree["theta_z"], tree["tilt_y"]], axes_order="xyzy")


def _tilt(tree: Tree[str, Any], sensor: str, reading: Any) -> float:
    """Degrees beyond the reference, half the change of a reflected beam; readings become arcsec."""
    if reading in (None, ""):
        return 0.0
    turned = tree[sensor]["tilt_model"]
    return float(0.5 * (turned(float(reading)) - turned(tree[sensor]["zeroreadings"][0])) / 3600)


def dispersed(tree: Tree[str, Any], header: Header, order: int) -> Any:
    """(λ, α, β, γ of the light that arrives) to (α, β, γ) of the light that leaves for the camera."""
    if header.text("GRATING") == "PRISM":
        glass = (tree["kcoef"], tree["lcoef"], tree["tcoef"], tree["tref"], tree["pref"])
        return _observed(header) & Identity(3) | Snell(
            tree["angle"], *glass, _temperature(header), tree["pref"]
        )
    grating = AngleFromGratingEquation(_grooves(tree), order)
    return _observed(header) & Identity(3) | grating


def wavelength(tree: Tree[str, Any], header: Header, order: int) -> Any:
    """(α, β of the light that arrives, α of that which leaves) to λ; NaN beyond the prism's table."""
    to_barycentre = _observed(header).inverse
    if header.text("GRATING") != "PRISM":
        return WavelengthFromGratingEquation(_grooves(tree), order) | to_barycentre
    glass = (np.array(tree["kcoef"]), np.array(tree["lcoef"]), np.array(tree["tcoef"]))
    index = Snell.compute_refraction_index(
        TABULATED, _temperature(header), tree["tref"], tree["pref"], tree["pref"], *glass
    )
    table = Tabular1D(points=(index[::-1],), lookup_table=TABULATED[::-1], bounds_error=False)
    return RefractionIndexFromPrism(tree["angle"]) | table | to_barycentre


def _grooves(tree: Tree[str, Any]) -> float:
    """Per metre; a mirror has none."""
    return float(tree.get("groovedensity") or 0)


def _observed(header: Header) -> Any:
    """Wavelength at the barycentre of the solar system to that at the telescope (VELOSYS, m/s)."""
    return Scale(1 + header.real("VELOSYS", 0.0) / c.value)


def _temperature(header: Header) -> float:
    if header.get("GWA_TILT") in (None, ""):
        raise InputError("GWA_TILT is missing from the header, and the prism's index depends on it")
    return header.real("GWA_TILT")
