"""What the pixels of one detector are like: the truth behind reference files and exposures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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
LATER = 0.6  #: in MIRI it settles by this share of it after the first integration
GAIN_FACTOR = 2.0  #: by which NIRSpec reads subarrays at a higher gain, e-/DN
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
    seed: int
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

    @property
    def gain_factor(self) -> float:
        """GAINFACT: how much more a DN holds than in full frame."""
        whole = (self.window.ny, self.window.nx) == self.detector.shape
        return GAIN_FACTOR if self.detector.instrument == "NIRSPEC" and not whole else 1.0

    def outputs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which output reads each pixel, in full frame, and whether it is an odd one of its line.

        Both can be broadcast to (ny, nx). In MIRI columns take turns, and it is the row that is odd.
        """
        y, x = fields.pixels(self.window)
        if self.detector.miri:
            return x[None, :] % 4, y[:, None] % 2
        along = x[None, :] if abs(self.detector.fastaxis) == 1 else y[:, None]
        return along // AMPLIFIER, along % 2

    def dark_signal(self, frames: int, tframe: float, integration: int = 0) -> Float:
        """Dark signal after so many frames since the reset, DN; integrations count from 0."""
        settled = np.float32(SETTLING * (1 - np.exp(-frames / SETTLING_FRAMES)))
        if self.detector.miri and integration:
            settled *= np.float32(LATER)
        return self.dark * np.float32(frames * tframe) + np.where(self.reference, np.float32(0), settled)


def make_sensor(detector: Detector, window: Subarray, filter: str, seed: int) -> Sensor:
    """The pixels of `window`, the same whether made alone or cut from the full frame."""

    def noise(what: str) -> Float:
        return fields.normal(window, seed, detector.name, what)

    def drift(what: str) -> Float:
        return fields.smooth(window, seed, detector.name, what)

    reference = fields.reference_pixels(window, detector)
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
    sensor = Sensor(
        detector=detector,
        window=window,
        filter=filter,
        seed=seed,
        reference=reference,
        dq=dq,
        gain=np.where(reference, detector.gain, gain).astype(np.float32),
        noise=np.where(reference, 0.8 * read_noise, read_noise).astype(np.float32),
        bias=np.zeros(reference.shape, np.float32),
        saturation=np.where(reference, 65535, np.minimum(saturation, 64500)).astype(np.float32),
        strength=np.where(reference, 0, strength).astype(np.float32),
        dark=np.where(reference, 0, dark).astype(np.float32),
        flat=np.where(reference | ((dq & flags.DEAD) > 0), np.nan, flat).astype(np.float32),
        area=distortion.pixel_area(detector, window),
    )
    factor = np.float32(sensor.gain_factor)
    return replace(sensor, gain=sensor.gain * factor, dark=sensor.dark / factor, bias=_bias(sensor))


def _defects(u: Float, reference: np.ndarray) -> PixelDQ:
    """Divide the range of a uniform deviate among the defects."""
    dq = np.zeros(u.shape, np.uint32)
    low = 0.0
    for bits, share in DEFECTS:
        dq[(u >= low) & (u < low + share)] = bits
        low += share
    dq[reference] = flags.REFERENCE_PIXEL
    return dq


def _bias(sensor: Sensor) -> Float:
    """Level of the detector, steps between outputs and odd and even columns, structure, DN."""
    detector, window, seed = sensor.detector, sensor.window, sensor.seed
    rng = fields.stream(seed, detector.name, "bias")
    output, parity = sensor.outputs()
    steps = rng.normal(0, 300, 4)[output] + rng.normal(0, 30, 2)[parity]
    bias = detector.bias + steps + 150 * fields.smooth(window, seed, detector.name, "bias")
    return np.asarray(bias + 90 * fields.normal(window, seed, detector.name, "bias"), np.float32)
