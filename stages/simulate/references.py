"""Reference files from the truth about a sensor, as JWST data models ready to be saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from stdatamodels.jwst import datamodels

from calwebbd.stages import flags
from calwebbd.stages.exposure import PixelDQ, Subarray
from calwebbd.stages.simulate import distortion, fields, nonlinearity, scene
from calwebbd.stages.simulate.detectors import DETECTORS, FILTERS, Readout
from calwebbd.stages.simulate.parameters import DATE, HISTORY, USEAFTER
from calwebbd.stages.simulate.reproducible import dated
from calwebbd.stages.simulate.sensor import COUPLING, Sensor

EXP_TYPES = "NRC_IMAGE|NRC_TSIMAGE"
DARK_FRAMES = 20
FLAT_ERROR = 0.002
ENERGIES = (0.3, 0.5, 0.7)  #: encircled, of the apertures in apcorr


def model(name: str, **arrays: Any) -> Any:
    """A data model by class name, strict about its schema, with a fixed date."""
    return dated(getattr(datamodels, name), DATE)(strict_validation=True, **arrays)


def describe(reference: Any, reftype: str, detector: str | None) -> Any:
    """Fill in what every reference file must say."""
    meta = reference.meta
    meta.telescope, meta.instrument.name, meta.reftype = "JWST", "NIRCAM", reftype
    meta.author, meta.pedigree, meta.origin = "calwebbd simulate", "GROUND", "SIMULATED"
    meta.description = f"Simulated {reftype}, not for science"
    meta.useafter, meta.date = USEAFTER, DATE
    reference.add_history_entry(HISTORY)
    if detector:
        meta.instrument.detector = detector
    return reference


def place(reference: Any, sensor: Sensor, subarray: str) -> Any:
    """Say which part of the detector the reference covers."""
    meta, window = reference.meta.subarray, sensor.window
    meta.name = subarray
    meta.xstart, meta.ystart, meta.xsize, meta.ysize = window.x + 1, window.y + 1, window.nx, window.ny
    meta.fastaxis, meta.slowaxis = sensor.detector.fastaxis, sensor.detector.slowaxis
    return reference


def dq_definition(*names: str) -> np.ndarray:
    """DQ_DEF: the file's own order of bits, by name."""
    dtype = [("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("DESCRIPTION", "S80")]
    rows = [(bit, 1 << bit, name.encode(), name.lower().encode()) for bit, name in enumerate(names)]
    return np.array(rows, dtype)


def _sprinkle(sensor: Sensor, seed: int, what: str, share: float, bits: int) -> PixelDQ:
    """Flags on a small share of pixels, at least sometimes one."""
    u = fields.uniform(sensor.window, seed, sensor.detector.name, what)
    return np.where((u < share) & ~sensor.reference, np.uint32(bits), np.uint32(0))


def mask(sensor: Sensor, seed: int) -> Any:
    """Defects and reference pixels."""
    m = model("MaskModel", dq=sensor.dq)
    names = ("DO_NOT_USE", "DEAD", "HOT", "LOW_QE", "RC", "TELEGRAPH", "OPEN", "OTHER_BAD_PIXEL")
    m.dq_def = dq_definition(*names, "NON_SCIENCE", "REFERENCE_PIXEL")
    return m


def saturation(sensor: Sensor, seed: int) -> Any:
    """Thresholds; reference pixels and a few others are not to be checked."""
    dq = _sprinkle(sensor, seed, "no_sat_check", 1e-5, flags.NO_SAT_CHECK)
    dq[sensor.reference] = flags.NO_SAT_CHECK
    m = model("SaturationModel", data=sensor.saturation, dq=dq)
    m.dq_def = dq_definition("DO_NOT_USE", "NO_SAT_CHECK")
    return m


def superbias(sensor: Sensor, seed: int) -> Any:
    """The bias, for every read pattern."""
    bits = flags.UNRELIABLE_BIAS | flags.DO_NOT_USE
    dq = _sprinkle(sensor, seed, "unreliable_bias", 5e-5, bits)
    m = model("SuperBiasModel", data=sensor.bias, dq=dq, err=np.full_like(sensor.bias, 0.7))
    m.dq_def = dq_definition("DO_NOT_USE", "UNRELIABLE_BIAS")
    m.meta.exposure.readpatt = "ANY"
    return m


def linearity(sensor: Sensor, seed: int) -> Any:
    """Polynomials to linear signal and, for averaged groups, back."""
    dq = _sprinkle(sensor, seed, "no_lin_corr", 1.5e-5, flags.NO_LIN_CORR)
    dq[sensor.reference] = flags.NO_LIN_CORR
    m = model("LinearityModel", coeffs=nonlinearity.coefficients(sensor.strength), dq=dq)
    m.inv_coeffs = nonlinearity.inverse_coefficients(sensor.strength)
    m.dq_def = dq_definition("DO_NOT_USE", "NONLINEAR", "NO_LIN_CORR")
    return m


def dark(sensor: Sensor, subarray: str, frames: int = DARK_FRAMES) -> Any:
    """The dark signal frame by frame."""
    tframe = Readout(subarray, "RAPID", 1, 1).tframe
    data = np.stack([sensor.dark_signal(f, tframe) for f in range(1, frames + 1)])
    dq = np.where(sensor.dark > 50, np.uint32(flags.UNRELIABLE_DARK), np.uint32(0))
    m = model("DarkModel", data=data, dq=dq)
    m.dq_def = dq_definition("DO_NOT_USE", "HOT", "WARM", "UNRELIABLE_DARK")
    exposure = m.meta.exposure
    exposure.type, exposure.readpatt = "NRC_DARK", "RAPID"
    exposure.nframes, exposure.ngroups, exposure.groupgap = 1, frames, 0
    exposure.average_dark_current = sensor.detector.dark
    return m


def gain(sensor: Sensor, seed: int) -> Any:
    """e-/DN."""
    return model("GainModel", data=sensor.gain)


def readnoise(sensor: Sensor, seed: int) -> Any:
    """DN, of the difference of two reads, for every read pattern."""
    m = model("ReadnoiseModel", data=sensor.noise)
    m.meta.exposure.readpatt = "ANY"
    return m


def flat(sensor: Sensor, seed: int) -> Any:
    """The flat field; where there is none the pixel is not to be used."""
    none = ~np.isfinite(sensor.flat)
    dq = np.where(none, np.uint32(flags.NO_FLAT_FIELD | flags.DO_NOT_USE), np.uint32(0))
    m = model("FlatModel", data=sensor.flat, dq=dq, err=np.full_like(sensor.flat, FLAT_ERROR))
    m.dq_def = dq_definition("DO_NOT_USE", "NO_FLAT_FIELD", "UNRELIABLE_FLAT")
    m.meta.instrument.filter, m.meta.instrument.pupil = sensor.filter, "CLEAR"
    m.meta.exposure.type = "NRC_IMAGE"
    return m


#: Those that a full-frame file serves in every subarray.
PIXELS = (mask, saturation, linearity, gain, readnoise, flat)


def ipc() -> Any:
    """The kernel that undoes the coupling to first order."""
    a = COUPLING
    kernel = np.array([[0, -a, 0], [-a, 1 + 4 * a, -a], [0, -a, 0]], np.float32)
    return model("IPCModel", data=kernel)


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
    m.meta.exposure.type, m.meta.exposure.p_exptype = "NRC_IMAGE", EXP_TYPES + "|"
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


def sirskernel(detectors: Sequence[str]) -> Any:
    """Filters of the side reference pixels that fall off with frequency."""
    m = model("SIRSKernelModel")
    weights = np.tile(0.5 * np.exp(-np.arange(2049) / 300.0), (4, 1))
    for name in detectors:
        setattr(m, name.lower(), {"gamma": weights, "zeta": weights})
    return m
