"""Reference files from the truth about a sensor, as JWST data models ready to be saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from stdatamodels.jwst import datamodels

from calwebbd.stages import flags
from calwebbd.stages.exposure import PixelDQ
from calwebbd.stages.simulate import fields, irs2, miri, nonlinearity
from calwebbd.stages.simulate.detectors import Detector
from calwebbd.stages.simulate.modes import mode_of
from calwebbd.stages.simulate.parameters import DATE, HISTORY, USEAFTER
from calwebbd.stages.simulate.pictureframe import picture_frame
from calwebbd.stages.simulate.readout import FAMILIES, SUBARRAYS, Family, Readout
from calwebbd.stages.simulate.reproducible import dated
from calwebbd.stages.simulate.sensor import COUPLING, Sensor

DARK_FRAMES = 20
FLAT_ERROR = 0.002


def model(name: str, **arrays: Any) -> Any:
    """A data model by class name, strict about its schema, with a fixed date."""
    return dated(getattr(datamodels, name), DATE)(strict_validation=True, **arrays)


def describe(reference: Any, instrument: str, reftype: str, detector: str | None) -> Any:
    """Fill in what every reference file must say."""
    meta = reference.meta
    meta.telescope, meta.instrument.name, meta.reftype = "JWST", instrument, reftype
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


def _sprinkle(sensor: Sensor, what: str, share: float, bits: int) -> PixelDQ:
    """Flags on a small share of pixels, at least sometimes one."""
    u = fields.uniform(sensor.window, sensor.seed, sensor.detector.name, what)
    return np.where((u < share) & ~sensor.reference, np.uint32(bits), np.uint32(0))


def mask(sensor: Sensor, family: Family) -> Any:
    """Defects and reference pixels, those between the others too."""
    dq = irs2.mask_dq(sensor) if family.interleaved else sensor.dq.copy()
    m = model("MaskModel", dq=dq)
    names = ("DO_NOT_USE", "DEAD", "HOT", "LOW_QE", "RC", "TELEGRAPH", "OPEN", "OTHER_BAD_PIXEL")
    m.dq_def = dq_definition(*names, "NON_SCIENCE", "REFERENCE_PIXEL", "BAD_REF_PIXEL")
    m.meta.exposure.type = mode_of(sensor.detector, "FULL").exp_type
    return m


def saturation(sensor: Sensor, family: Family) -> Any:
    """Thresholds; reference pixels and a few others are not to be checked."""
    dq = _sprinkle(sensor, "no_sat_check", 1e-5, flags.NO_SAT_CHECK)
    dq[sensor.reference] = flags.NO_SAT_CHECK
    m = model("SaturationModel", data=sensor.saturation, dq=dq)
    m.dq_def = dq_definition("DO_NOT_USE", "NO_SAT_CHECK")
    return m


def superbias(sensor: Sensor, family: Family) -> Any:
    """The bias, for every read pattern of the family."""
    bits = flags.UNRELIABLE_BIAS | flags.DO_NOT_USE
    dq, bias = _sprinkle(sensor, "unreliable_bias", 5e-5, bits), sensor.bias
    if family.interleaved:
        between = irs2.fill(sensor)
        dq = irs2.embed(dq, np.zeros(between.shape, np.uint32), sensor.detector)
        bias = irs2.embed(bias, between, sensor.detector)
    m = model("SuperBiasModel", data=bias, dq=dq, err=np.full_like(bias, 0.7))
    m.dq_def = dq_definition("DO_NOT_USE", "UNRELIABLE_BIAS")
    m.meta.exposure.readpatt = _pattern(family)
    return m


def linearity(sensor: Sensor, family: Family) -> Any:
    """Polynomials to linear signal and, for averaged groups, back; MIRI has no way back."""
    dq = _sprinkle(sensor, "no_lin_corr", 1.5e-5, flags.NO_LIN_CORR)
    dq[sensor.reference] = flags.NO_LIN_CORR
    m = model("LinearityModel", coeffs=nonlinearity.coefficients(sensor.strength), dq=dq)
    if not sensor.detector.miri:
        m.inv_coeffs = nonlinearity.inverse_coefficients(sensor.strength)
    m.dq_def = dq_definition("DO_NOT_USE", "NONLINEAR", "NO_LIN_CORR")
    return m


def dark(sensor: Sensor, family: Family, subarray: str, frames: int = DARK_FRAMES) -> Any:
    """The dark signal frame by frame; in MIRI of the first integration and of later ones."""
    detector, tframe = sensor.detector, Readout(subarray, family.name, 1, 1).tframe
    numbers = range(1, frames + 1)
    data = np.stack([[sensor.dark_signal(f, tframe, i) for f in numbers] for i in range(1 + detector.miri)])
    dq = np.where(sensor.dark > 50, np.uint32(flags.UNRELIABLE_DARK), np.uint32(0))
    if detector.miri:
        m = model("DarkMIRIModel", data=data, dq=np.broadcast_to(dq, (2, 1, *dq.shape)).copy())
    else:
        name = "DarkNirspecModel" if detector.instrument == "NIRSPEC" else "DarkModel"
        m = model(name, data=data[0], dq=dq)
    if detector.instrument == "NIRISS":  # the one that says it for every pixel
        m.average_dark_current = np.full(dq.shape, detector.dark, np.float32)
    m.dq_def = dq_definition("DO_NOT_USE", "HOT", "WARM", "UNRELIABLE_DARK")
    exposure = m.meta.exposure
    exposure.type, exposure.readpatt = dark_type(detector), family.name
    exposure.nframes, exposure.ngroups, exposure.groupgap = 1, frames, 0
    exposure.average_dark_current = detector.dark
    return m


def dark_type(detector: Detector) -> str:
    """The exposure type of its darks."""
    if detector.miri:
        return "MIR_DARKIMG" if detector.name == "MIRIMAGE" else "MIR_DARKMRS"
    return {"NIRCAM": "NRC", "NIRSPEC": "NRS", "NIRISS": "NIS", "FGS": "FGS"}[detector.instrument] + "_DARK"


def reset(sensor: Sensor, family: Family) -> Any:
    """MIRI: the level after a reset, of the first integration and of later ones."""
    level, groups = miri.reset_level(sensor), range(miri.RESET_FRAMES)
    data = np.stack([[level * np.float32(miri.reset_decay(i, g)) for g in groups] for i in range(2)])
    m = model("ResetModel", data=data, dq=_sprinkle(sensor, "reset dq", 2e-5, flags.OTHER_BAD_PIXEL))
    m.dq_def = dq_definition("DO_NOT_USE", "OTHER_BAD_PIXEL")
    exposure = m.meta.exposure
    exposure.readpatt, exposure.ngroups, exposure.nints = family.name, len(groups), 2
    return m


def gain(sensor: Sensor, family: Family) -> Any:
    """e-/DN; by how much more than in full frame, where it is."""
    m = model("GainModel", data=sensor.gain)
    if sensor.gain_factor != 1:
        m.meta.exposure.gain_factor = sensor.gain_factor
    return m


def readnoise(sensor: Sensor, family: Family) -> Any:
    """DN, of the difference of two reads, for every read pattern of the family."""
    m = model("ReadnoiseModel", data=sensor.noise * np.float32(family.noise))
    m.meta.exposure.readpatt = _pattern(family)
    return m


def _pattern(family: Family) -> str:
    """READPATT of what serves a family: ANY where there is no other."""
    alone = sum(other.instrument == family.instrument for other in FAMILIES) == 1
    return "ANY" if alone else family.name


def flat(sensor: Sensor, family: Family) -> Any:
    """The flat field; where there is none the pixel is not to be used."""
    none = ~np.isfinite(sensor.flat)
    dq = np.where(none, np.uint32(flags.NO_FLAT_FIELD | flags.DO_NOT_USE), np.uint32(0))
    m = model("FlatModel", data=sensor.flat, dq=dq, err=np.full_like(sensor.flat, FLAT_ERROR))
    m.dq_def = dq_definition("DO_NOT_USE", "NO_FLAT_FIELD", "UNRELIABLE_FLAT")
    m.meta.exposure.type = mode_of(sensor.detector, "FULL").exp_type
    if sensor.detector.instrument == "NIRCAM":
        m.meta.instrument.filter, m.meta.instrument.pupil = sensor.filter, "CLEAR"
    return m


#: Those that hold a value for every pixel, beside dark and reset.
PIXELS = (mask, saturation, superbias, linearity, gain, readnoise, flat)
#: Of them all, those that a full-frame file does not serve in a subarray.
OWN = ("superbias", "dark", "reset")


def ipc() -> Any:
    """The kernel that undoes the coupling to first order."""
    a = COUPLING
    kernel = np.array([[0, -a, 0], [-a, 1 + 4 * a, -a], [0, -a, 0]], np.float32)
    return model("IPCModel", data=kernel)


def refpix(sensor: Sensor) -> Any:
    """NIRSpec IRS2: filters, and reference samples not to be used."""
    m = model("IRS2Model", irs2_table=irs2.transfer(sensor), dq_table=irs2.bad_samples())
    m.meta.exposure.readpatt = "NRSIRS2RAPID"
    return m


def pictureframe(sensor: Sensor) -> Any:
    """NIRSpec: thermal light, DN/s."""
    return model("PictureFrameModel", data=picture_frame(sensor))


def rscd() -> Any:
    """MIRI: groups to leave out in the first integration and in later ones."""
    patterns = [name for family in FAMILIES if family.instrument == "MIRI" for name in family.patterns]
    rows = [(sub, name, miri.SKIP_FIRST, miri.SKIP) for sub in SUBARRAYS["MIRI"] for name in patterns]
    dtype = [("subarray", "S17"), ("readpatt", "S12"), ("group_skip1", "i4"), ("group_skip", "i4")]
    return model("RSCDModel", rscd_group_skip_table=np.array(rows, dtype))


def emicorr() -> Any:
    """MIRI: frequencies, their waves, and which of them disturb which subarray."""
    phase = np.arange(500) / 500
    m = model("EmiModel")
    m.frequencies = {
        name: {"frequency": value, "phase_amplitudes": miri.wave(phase)}
        for name, value in miri.FREQUENCIES.items()
    }
    m.subarray_cases = dict(_disturbed())
    return m


def _disturbed() -> Iterator[tuple[str, dict[str, Any]]]:
    """Subarray cases under the names of the reference file, clocks and frequencies of each."""
    for subarray in SUBARRAYS["MIRI"]:
        names = list(miri.disturbing(subarray))
        speeds = (
            {"FULL_FAST": "FASTR1", "FULL_SLOW": "SLOWR1"} if subarray == "FULL" else {subarray: "FASTR1"}
        )
        for case, pattern in speeds.items():
            read = Readout(subarray, pattern, 1, 1)
            detectors = ("MIRIMAGE", "MIRIFULONG", "MIRIFUSHORT")
            freqs = {"SLOW": dict.fromkeys(detectors, names)} if pattern == "SLOWR1" else {"FAST": names}
            yield case, {"rowclocks": read.row_clocks, "frameclocks": read.frame_clocks, "freqs": freqs}


def sirskernel(detectors: Sequence[str]) -> Any:
    """Filters of the side reference pixels that fall off with frequency."""
    m = model("SIRSKernelModel")
    weights = np.tile(0.5 * np.exp(-np.arange(2049) / 300.0), (4, 1))
    for name in detectors:
        setattr(m, name.lower(), {"gamma": weights, "zeta": weights})
    return m
