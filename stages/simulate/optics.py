"""Reference files of imaging that hold no value for each pixel, and the area map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calwebbd.stages.exposure import Subarray
from calwebbd.stages.simulate import distortion, scene
from calwebbd.stages.simulate.detectors import DETECTORS, FILTERS
from calwebbd.stages.simulate.modes import exp_types
from calwebbd.stages.simulate.parameters import meta, write_tree
from calwebbd.stages.simulate.references import model

ENERGIES = (0.3, 0.5, 0.7)  #: encircled, of the apertures in apcorr


def area(detector: str, filter: str) -> Any:
    """Always of the whole detector: photom cuts it by SUBSTRT as such."""
    m = model("PixelAreaModel", data=distortion.pixel_area(DETECTORS[detector], Subarray(0, 0, 2048, 2048)))
    m.meta.instrument.filter, m.meta.instrument.pupil = filter, "CLEAR"
    _solid_angle(m, detector)
    return m


def photom(detector: str, filter: str) -> Any:
    """One row: the filter's conversion from DN/s to MJy/sr."""
    photmjsr = FILTERS[filter].photmjsr
    dtype = [("filter", "S12"), ("pupil", "S12"), ("photmjsr", "f4"), ("uncertainty", "f4")]
    m = model("NrcImgPhotomModel", phot_table=np.array([(filter, "CLEAR", photmjsr, 0.02 * photmjsr)], dtype))
    m.meta.exposure.type = "NRC_IMAGE"
    _solid_angle(m, detector)
    return m


def _solid_angle(reference: Any, detector: str) -> None:
    photometry = reference.meta.photometry
    photometry.pixelarea_steradians = scene.solid_angle(DETECTORS[detector])
    photometry.pixelarea_arcsecsq = float(np.prod(DETECTORS[detector].scale))


def distortion_reference(name: str) -> Any:
    """Pixels to (V2, V3) as an astropy model with its inverse."""
    detector = DETECTORS[name]
    transform = distortion.transform(detector)
    m = model("DistortionModel", model=transform, input_units="pixel", output_units="arcsec")
    m.meta.exposure.type, m.meta.exposure.p_exptype = "NRC_IMAGE", exp_types("NIRCAM") + "|"
    m.meta.instrument.channel, m.meta.instrument.module = detector.channel, detector.module
    m.meta.instrument.pupil, m.meta.instrument.p_pupil = "CLEAR", "CLEAR|"
    return m


def filteroffset(detector: str, filters: Sequence[str]) -> Any:
    """No offset for the filters in use; one for another filter, which must not be taken."""
    rows = [{"filter": f, "pupil": "CLEAR", "column_offset": 0.0, "row_offset": 0.0} for f in filters]
    rows.append({"filter": "F090W", "pupil": "CLEAR", "column_offset": 0.25, "row_offset": -0.5})
    m = model("FilteroffsetModel", filters=rows, instrument="NIRCAM")
    m.meta.instrument.channel = DETECTORS[detector].channel
    m.meta.instrument.module = DETECTORS[detector].module
    m.meta.input_units = "pixel"
    return m


def apcorr(filters: Sequence[str]) -> Any:
    """Aperture corrections of the simulated star."""
    dtype = [
        ("filter", "S12"), ("pupil", "S15"), ("eefraction", "f4"), ("radius", "f4"), ("apcorr", "f4"),
        ("skyin", "f4"), ("skyout", "f4"),
    ]  # fmt: skip
    radii = np.linspace(0.1, 12, 1200)
    rows = []
    for filter in filters:
        inside = scene.encircled_energy(radii, FILTERS[filter].fwhm)
        for energy in ENERGIES:
            radius = float(np.interp(energy, inside, radii))
            rows.append((filter, "CLEAR", energy, radius, 1 / energy, 7.0, 12.0))
    m = model("NrcImgApcorrModel", apcorr_table=np.array(rows, dtype))
    m.meta.exposure.type = "NRC_IMAGE"
    return m


def write_abvegaoffset(path: Path, filters: Sequence[str]) -> None:
    """Write AB minus Vega magnitudes. Its data model cannot be given a table, so it is not used."""
    from astropy.table import Table

    rows = [(name, "CLEAR", FILTERS[name].vega) for name in filters]
    table = Table(rows=rows, names=("filter", "pupil", "abvega_offset"), dtype=("str", "str", "f4"))
    described = {
        **meta("NIRCAM", "abvegaoffset", "Simulated abvegaoffset"),
        "model_type": "ABVegaOffsetModel",
    }
    write_tree(path, {"abvega_offset": table, "meta": described})
