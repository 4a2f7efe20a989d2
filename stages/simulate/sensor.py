"""What the pixels of one detector are like: the truth behind reference files and exposures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, PixelDQ, Subarray
from calwebbd.stages.simulate import distortion, fields
from calwebbd.stages.simulate.detectors import SIDE, Detector

#: Share of pixels with each defect.
DEFECTS = (
    (flags.DEAD | flags.DO_NOT_USE, 3e-4),
    (flags.HOT, 8e-4),
    (flags.OPEN | flags.DO_NOT_USE, 5e-5),
    (flags.RC, 1e-4),
    (flags.TELEGRAPH, 1e-4),
    (flags.LOW_QE, 1e-4),
    (flags.OTHER_BAD_PIXEL | flags.DO_NOT_USE, 3e-4),
)
AMPLIFIER = SIDE // 4  #: columns read by one output in full frame
#: Frames after a reset in which the dark signal settles, and by how much, DN.
SETTLING_FRAMES, SETTLING = 2.0, 3.0
#: Share of the charge coupled into each of the four neighbours.
COUPLING = 0.0055


@dataclass(frozen=True)
class Sensor:
    """Maps of one detector's pixels inside a window; all are (ny, nx).

    Reference pixels have no dark signal, respond linearly and never saturate.
    """

    detector: Detector
    window: Subarray
    filter: str
    reference: np.ndarray  #: True for reference pixels
    dq: PixelDQ
    gain: Float  #: e-/DN
    noise: Float  #: DN, of the difference of two reads
    bias: Float  #: DN
    saturation: Float  #: DN, including the bias
    strength: Float  #: of the nonlinearity, 1 for the mean pixel
    dark: Float  #: DN/s
    flat: Float  #: response relative to the mean; NaN where there is none
    area: Float  #: solid angle relative to the nominal one

    def dark_signal(self, frames: int, tframe: float) -> Float:
        """Dark signal after so many frames since the reset, DN."""
        settled = np.float32(SETTLING * (1 - np.exp(-frames / SETTLING_FRAMES)))
        return self.dark * np.float32(frames * tframe) + np.where(self.reference, np.float32(0), settled)


def make_sensor(detector: Detector, window: Subarray, filter: str, seed: int) -> Sensor:
    """The pixels of `window`, the same whether made alone or cut from the full frame."""

    def noise(what: str) -> Float:
        return fields.normal(window, seed, detector.name, what)

    def drift(what: str) -> Float:
        return fields.smooth(window, seed, detector.name, what)

    reference = fields.reference_pixels(window)
    dq = _defects(fields.uniform(window, seed, detector.name, "defects"), reference)
    gain = detector.gain * (1 + 0.01 * drift("gain") + 0.003 * noise("gain"))
    read_noise = detector.noise * np.exp(0.06 * noise("noise"))
    saturation = detector.full_well * (1 + 0.012 * drift("saturation") + 0.006 * noise("saturation"))
    strength = 1 + 0.05 * drift("linearity") + 0.02 * noise("linearity")
    dark = np.maximum(detector.dark / detector.gain * (1 + 0.2 * noise("dark")), 0)
    hot = fields.uniform(window, seed, detector.name, "hot")
    dark += np.where(dq & flags.HOT, 10 ** (2 * hot), 0)
    flat = 1 + 0.015 * drift(f"flat {filter}") + 0.01 * noise(f"flat {filter}")
    flat = np.where(dq & flags.LOW_QE, 0.6 * flat, flat)
    return Sensor(
        detector=detector,
        window=window,
        filter=filter,
        reference=reference,
        dq=dq,
        gain=np.where(reference, detector.gain, gain).astype(np.float32),
        noise=np.where(reference, 0.8 * read_noise, read_noise).astype(np.float32),
        bias=_bias(detector, window, seed),
        saturation=np.where(reference, 65535, np.minimum(saturation, 64500)).astype(np.float32),
        strength=np.where(reference, 0, strength).astype(np.float32),
        dark=np.where(reference, 0, dark).astype(np.float32),
        flat=np.where(reference | ((dq & flags.DEAD) > 0), np.nan, flat).astype(np.float32),
        area=distortion.pixel_area(detector, window),
    )


def _defects(u: Float, reference: np.ndarray) -> PixelDQ:
    """Divide the range of a uniform deviate among the defects."""
    dq = np.zeros(u.shape, np.uint32)
    low = 0.0
    for bits, share in DEFECTS:
        dq[(u >= low) & (u < low + share)] = bits
        low += share
    dq[reference] = flags.REFERENCE_PIXEL
    return dq


def _bias(detector: Detector, window: Subarray, seed: int) -> Float:
    """Level of the detector, steps between outputs and odd and even columns, structure, DN."""
    rng = fields.stream(seed, detector.name, "bias")
    _, x = fields.pixels(window)
    columns = rng.normal(0, 300, 4)[x // AMPLIFIER] + rng.normal(0, 30, 2)[x % 2]
    bias = detector.bias + columns + 150 * fields.smooth(window, seed, detector.name, "bias")
    return np.asarray(bias + 90 * fields.normal(window, seed, detector.name, "bias"), np.float32)
