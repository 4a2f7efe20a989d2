"""Reference files of imaging that hold no value for each pixel, and the area map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from calwebbd.stages.exposure import Subarray
from calwebbd.stages.simulate import distortion, scene
from calwebbd.stages.simulate.detectors import FILTERS, Detector
from calwebbd.stages.simulate.modes import exp_types, mode_of
from calwebbd.stages.simulate.parameters import meta, write_tree
from calwebbd.stages.simulate.readout import SUBARRAYS
from calwebbd.stages.simulate.references import model

ENERGIES = (0.3, 0.5, 0.7)  #: encircled, of the apertures in apcorr
#: How data models of an instrument's tables are called; who has none makes no images.
MODELS: Final = {"NIRCAM": "Nrc", "NIRISS": "Nis", "FGS": "Fgs", "MIRI": "Mir"}
TYPES: Final = {"filter": "S12", "pupil": "S15", "subarray": "S17"}  #: of the columns that name optics


def images(detector: Detector) -> bool:
    """Whether a detector takes images that can be calibrated to the end."""
    return detector.instrument in MODELS and not detector.name.startswith("MIRIFU")


def wheels(detector: Detector, filter: str) -> dict[str, str]:
    """FILTER and PUPIL of an image in this filter, of instruments that have them."""
    return {
        "NIRCAM": {"filter": filter, "pupil": "CLEAR"},
        "NIRISS": {"filter": "CLEAR", "pupil": filter},
        "MIRI": {"filter": filter},
    }.get(detector.instrument, {})


def area(detector: Detector, filter: str) -> Any:
    """Always of the whole detector: photom cuts it by SUBSTRT as such."""
    ny, nx = detector.shape
    m = model("PixelAreaModel", data=distortion.pixel_area(detector, Subarray(0, 0, nx, ny)))
    _name_wheels(m, detector, filter)
    _solid_angle(m, detector)
    return m


def photom(detector: Detector, filter: str) -> Any:
    """One row: the filter's conversion from DN/s to MJy/sr, the same in all subarrays."""
    key = wheels(detector, filter) | ({"subarray": "GENERIC"} if detector.miri else {})
    photmjsr = FILTERS[filter].photmjsr
    row = {"photmjsr": photmjsr, "uncertainty": 0.02 * photmjsr}
    m = model(f"{MODELS[detector.instrument]}ImgPhotomModel", phot_table=_table([key | row]))
    m.meta.exposure.type = _exp_type(detector)
    _solid_angle(m, detector)
    return m


def _table(rows: Sequence[dict[str, Any]]) -> Any:
    """Without those that say the same again."""
    dtype = [(name, TYPES.get(name, "f4")) for name in rows[0]]
    return np.array(list(dict.fromkeys(tuple(row.values()) for row in rows)), dtype)


def _exp_type(detector: Detector) -> str:
    return mode_of(detector, "FULL").exp_type


def _name_wheels(reference: Any, detector: Detector, filter: str) -> None:
    for name, value in wheels(detector, filter).items():
        setattr(reference.meta.instrument, name, value)


def _solid_angle(reference: Any, detector: Detector) -> None:
    photometry = reference.meta.photometry
    photometry.pixelarea_steradians = scene.solid_angle(detector)
    photometry.pixelarea_arcsecsq = float(np.prod(detector.scale))


def distortion_reference(detector: Detector) -> Any:
    """Pixels to (V2, V3) as an astropy model with its inverse."""
    transform = distortion.transform(detector)
    m = model("DistortionModel", model=transform, input_units="pixel", output_units="arcsec")
    m.meta.exposure.type, m.meta.exposure.p_exptype = (
        _exp_type(detector),
        exp_types(detector.instrument) + "|",
    )
    if detector.instrument == "NIRCAM":
        m.meta.instrument.channel, m.meta.instrument.module = detector.channel, detector.module
        m.meta.instrument.pupil, m.meta.instrument.p_pupil = "CLEAR", "CLEAR|"
    return m


def filteroffset(detector: Detector, filter: str) -> Any:
    """No offset for the filter in use; one for another filter, which must not be taken."""
    none, some = {"column_offset": 0.0, "row_offset": 0.0}, {"column_offset": 0.25, "row_offset": -0.5}
    rows = [wheels(detector, filter) | none, wheels(detector, "F090W") | some]
    m = model("FilteroffsetModel", filters=rows, instrument=detector.instrument)
    if detector.instrument == "NIRCAM":
        m.meta.instrument.channel, m.meta.instrument.module = detector.channel, detector.module
    m.meta.input_units = "pixel"
    return m


def apcorr(optics: Sequence[tuple[Detector, str]]) -> Any:
    """Aperture corrections of the simulated star, with detectors of an instrument and their filters."""
    radii = np.linspace(0.1, 12, 1200)
    rows = []
    for detector, filter in optics:
        inside = scene.encircled_energy(radii, FILTERS[filter].fwhm)
        for subarray in SUBARRAYS["MIRI"] if detector.miri else ("",):
            key = wheels(detector, filter) | ({"subarray": subarray} if subarray else {})
            for energy in ENERGIES:
                radius = float(np.interp(energy, inside, radii))
                circle = {"eefraction": energy, "radius": radius, "apcorr": 1 / energy}
                rows.append(key | circle | {"skyin": 7.0, "skyout": 12.0})
    detector, _ = optics[0]
    m = model(f"{MODELS[detector.instrument]}ImgApcorrModel", apcorr_table=_table(rows))
    m.meta.exposure.type = _exp_type(detector)
    return m


def write_abvegaoffset(path: Path, optics: Sequence[tuple[Detector, str]]) -> None:
    """Write AB minus Vega magnitudes. Its data model cannot be given a table, so it is not used."""
    from astropy.table import Table

    rows = {}
    for detector, filter in optics:
        key = wheels(detector, filter) or {"detector": detector.name}
        rows[tuple(key.values())] = key | {"abvega_offset": np.float32(FILTERS[filter].vega)}
    table = Table(list(rows.values()))
    described = {
        **meta(optics[0][0].instrument, "abvegaoffset", "Simulated abvegaoffset"),
        "model_type": "ABVegaOffsetModel",
    }
    write_tree(path, {"abvega_offset": table, "meta": described})
