"""The catalogue: its columns in the order, units and formats of the JWST product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Mosaic
from calwebbd.stages.steps.source_catalog.apertures import Apertures
from calwebbd.stages.steps.source_catalog.detection import Sources
from calwebbd.stages.steps.source_catalog.photometry import ab_magnitude, circular_flux, local_background
from calwebbd.stages.steps.source_catalog.shapes import nearest, sharpness_roundness

Values = NDArray[Any]
Column = tuple[str, Any, str]  # name, values, description
OFF = -1000.0  #: pixels; stands for a place that is not known
ARCSEC = 1 / 3600  #: deg
UNITS = {
    "isophotal_area": "pix2",
    **dict.fromkeys(("nn_dist", "semimajor_sigma", "semiminor_sigma"), "pix"),
    **dict.fromkeys(("orientation", "sky_orientation"), "deg"),
}
MAGNITUDES = {"abmag": "AB magnitude", "vegamag": "Vega magnitude"}
STELLAR = "should be used only for unresolved sources."
SPREAD = "1-sigma standard deviation along the {} axis of the 2D Gaussian with the moments of the source"
CORNERS = {"ll": ("lower-left", 0, 2), "ul": ("upper-left", 0, 3), "lr": ("lower-right", 1, 2),
           "ur": ("upper-right", 1, 3)}  # fmt: skip


def measure(
    mosaic: Mosaic, jansky: np.float32, sources: Sources, apertures: Apertures, offset: float, params: Any
) -> Any:
    """The catalogue as an astropy QTable, one row for each source.

    jansky : flux of a pixel in Jy, of 1 MJy/sr
    offset : AB minus Vega magnitude
    params : the step's, of which `star_thresholds` and `kernel_fwhm` are used, and some recorded

    Source: specification image3 §7.
    """
    from astropy.table import QTable

    table = QTable()
    for columns in (
        _places(mosaic, sources),
        _apertures(mosaic, jansky, sources, apertures, offset),
    ):
        _add(table, columns)
    _add(table, _stellarity(table, mosaic, sources, apertures.energies, params))
    _add(table, _isophotal(mosaic, sources, offset))
    table.meta |= {
        "local_bkg_width": params.localbkg_width,
        "aperture_mask_method": params.apermask_method,
        "kron_params": list(params.kron_params or (2.5, 1.4, 0.0)),
        "aperture_params": {
            "aperture_ee": list(apertures.energies),
            "aperture_radii": list(apertures.radii),
            "aperture_corrections": list(apertures.corrections),
            "bkg_aperture_inner_radius": apertures.sky_in,
            "bkg_aperture_outer_radius": apertures.sky_out,
        },
        "abvega_offset": offset,
    }
    return table


def _add(table: Any, columns: Iterator[Column]) -> None:
    from astropy import units

    for name, values, description in columns:
        unit = "Jy" if "flux" in name else UNITS.get(name)
        table[name] = values if unit is None else values * units.Unit(unit)
        table[name].info.description = description
        if form := _format(name, values):
            table[name].info.format = form


def _format(name: str, values: Any) -> str:
    """Of the columns of numbers; others are written as they are."""
    if name in ("xcentroid", "ycentroid") or name.startswith("CI_"):
        return ".4f"
    if "flux" in name:
        return ".6e"
    decimals = isinstance(values, np.ndarray) and values.dtype.kind == "f" and name != "isophotal_area"
    return ".6f" if decimals else ""


def _places(mosaic: Mosaic, sources: Sources) -> Iterator[Column]:
    yield "label", sources.label, "Unique source identification label number"
    yield "xcentroid", sources.x, "X pixel value of the source centroid (0 indexed)"
    yield "ycentroid", sources.y, "Y pixel value of the source centroid (0 indexed)"
    yield "sky_centroid", _sky(mosaic, sources.x, sources.y), "ICRS sky coordinate of the source centroid"


def _apertures(
    mosaic: Mosaic, jansky: np.float32, sources: Sources, apertures: Apertures, offset: float
) -> Iterator[Column]:
    """Fluxes, then AB, then Vega magnitudes, each in every aperture and in total."""
    known = np.isfinite(sources.x) & np.isfinite(sources.y)
    x, y = (np.where(known, place, OFF) for place in (sources.x, sources.y))
    level, level_err = local_background(mosaic.sci, x, y, apertures.sky_in, apertures.sky_out)
    yield "aper_bkg_flux", level * jansky, "Local background: sigma-clipped median in the annulus"
    yield "aper_bkg_flux_err", level_err * jansky, "Standard error of the local background"
    assert mosaic.err is not None
    fluxes = []
    for radius in apertures.radii:
        flux, error = circular_flux(mosaic.sci, mosaic.err, x, y, radius, level)
        fluxes.append((flux * float(jansky), error * float(jansky)))
    fluxes.append((apertures.corrections[-1] * fluxes[-1][0], apertures.corrections[-1] * fluxes[-1][1]))
    names = [*(f"aper{energy}" for energy in apertures.energies), "aper_total"]
    for name, (flux, error) in zip(names, fluxes, strict=True):
        yield from _pair(f"{name}_flux", flux, error, _within(name, "Flux", apertures.energies))
    magnitudes = [ab_magnitude(*flux) for flux in fluxes]
    for kind, words in MAGNITUDES.items():
        for name, (magnitude, error) in zip(names, magnitudes, strict=True):
            shown = magnitude - offset if kind == "vegamag" else magnitude
            yield from _pair(f"{name}_{kind}", shown, error, _within(name, words, apertures.energies))


def _within(name: str, kind: str, energies: Sequence[int]) -> str:
    """Description of a flux or magnitude, with a place for ``error``."""
    if name == "aper_total":
        kind = kind.lower() if kind == "Flux" else kind
        circle = f"{energies[-1]}% encircled energy circular aperture"
        return f"Total aperture-corrected {kind}{{}} based on the {circle}; {STELLAR}"
    energy = name.removeprefix("aper")
    return f"{kind}{{}} within the {energy}% encircled energy circular aperture"


def _pair(name: str, values: Values, errors: Values, description: str) -> Iterator[Column]:
    yield name, values, description.format("")
    yield f"{name}_err", errors, description.format(" error")


def _stellarity(
    table: Any, mosaic: Mosaic, sources: Sources, energies: Sequence[int], params: Any
) -> Iterator[Column]:
    """What tells stars from other sources, and the neighbours."""
    names = [f"aper{energy}_flux" for energy in energies]
    ratios = []
    for small, large in ((0, 1), (1, 2), (0, 2)):
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios.append(table[names[large]].value / table[names[small]].value)
        description = f"Concentration index calculated as ({names[large]} / {names[small]})"
        yield f"CI_{energies[large]}_{energies[small]}", ratios[-1], description
    first, second = params.star_thresholds
    extended = (ratios[0] > first) & (ratios[1] > second)
    yield "is_extended", extended, "Flag indicating whether the source is extended"
    known = np.isfinite(sources.x) & np.isfinite(sources.y)
    x, y = (np.where(known, place, OFF) for place in (sources.x, sources.y))
    sharpness, roundness = sharpness_roundness(mosaic.sci, x, y, params.kernel_fwhm)
    yield "sharpness", sharpness, "The DAOFind source sharpness statistic"
    yield "roundness", roundness, "The DAOFind source roundness statistic"
    label, distance = nearest(sources.label, sources.x, sources.y)
    yield "nn_label", label, "The label number of the nearest neighbor"
    yield "nn_dist", distance, "The distance in pixels to the nearest neighbor"


def _isophotal(mosaic: Mosaic, sources: Sources, offset: float) -> Iterator[Column]:
    """What is known of the segments."""
    yield from _pair("isophotal_flux", sources.flux, sources.flux_err, "Isophotal flux{}")
    magnitude, error = ab_magnitude(sources.flux, sources.flux_err)
    for kind, words in MAGNITUDES.items():
        shown = magnitude - offset if kind == "vegamag" else magnitude
        yield from _pair(f"isophotal_{kind}", shown, error, f"Isophotal {words}{{}}")
    yield "isophotal_area", sources.area, "Isophotal area"
    yield "semimajor_sigma", sources.semimajor, SPREAD.format("semimajor")
    yield "semiminor_sigma", sources.semiminor, SPREAD.format("semiminor")
    axes = "1 minus the ratio of the 1-sigma lengths of the semimajor and semiminor axes"
    yield "ellipticity", sources.ellipticity, axes
    angle = "The angle (degrees) between the positive X axis and the major axis (increases counter-clockwise)"
    yield "orientation", sources.orientation, angle
    on_sky = (180 - north(mosaic) + sources.orientation) % 360
    yield "sky_orientation", on_sky, "The position angle (degrees) from North of the major axis"
    for name, (words, column, row) in CORNERS.items():
        corner = _sky(mosaic, sources.corners[column], sources.corners[row])
        yield f"sky_bbox_{name}", corner, f"Sky coordinate of the {words} vertex of the source's minimal box"


def north(mosaic: Mosaic) -> float:
    """Angle from +x to north at the reference pixel, counter-clockwise, deg."""
    x, y = (mosaic.header.real(key) - 1 for key in ("CRPIX1", "CRPIX2"))
    ra, dec = mosaic.wcs(x, y, with_bounding_box=False)
    x_north, y_north = mosaic.wcs.invert(ra, dec + ARCSEC, with_bounding_box=False)
    return float(np.rad2deg(np.arctan2(y_north - y, x_north - x)))


def _sky(mosaic: Mosaic, x: Values, y: Values) -> Any:
    """Places as SkyCoord; NaN beyond the mosaic's bounding box."""
    from astropy.coordinates import SkyCoord

    return SkyCoord(*mosaic.wcs(x, y), unit="deg", frame="icrs")
