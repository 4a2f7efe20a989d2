"""NIRSpec's IRS2 read-out: reference pixels between the others, and an output of their own.

In detector orientation a line has 3200 samples: 640 of the reference output, then 640 of
each of the four outputs, in sets of 20: 8 pixels, 4 reference pixels, 8 pixels. A step
out to the reference pixels and one back take a clock each, so a set takes 22 of them and
each line of an output 712. Neighbouring outputs are read in opposite directions.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float
from calwebbd.stages.simulate import fields
from calwebbd.stages.simulate.detectors import SIDE, Detector
from calwebbd.stages.simulate.effects import Effects, one_over_f
from calwebbd.stages.simulate.readout import IRS2_LINE
from calwebbd.stages.simulate.sensor import Sensor

BLOCK: Final = 640  #: samples of a line by one output
SAMPLES: Final = 5 * BLOCK
_NUMBER = np.arange(BLOCK)
_IN_SET = _NUMBER % 20
PIXEL = np.concatenate([np.zeros(BLOCK, bool), np.tile((_IN_SET < 8) | (_IN_SET >= 12), 4)])
#: When each sample of an output is read, in clocks since its line began.
CLOCKS = 22 * (_NUMBER // 20) + _IN_SET + (_IN_SET >= 8) + (_IN_SET >= 12)
FILL_BELOW: Final = 1500.0  #: DN by which reference samples lie below the bias of the pixels
FILL_STEP: Final = 40.0  #: DN rms, from one reference sample of a line to the next
SAMPLE_NOISE: Final = 5.0  #: DN rms, of a reference sample
OWN_NOISE: Final = 1.0  #: DN rms, from line to line, of each output
#: Share of the correction from the reference output and from the samples between, and where it ends.
ALPHA, ALPHA_REACH, BETA, BETA_REACH = 0.45, 9.0e3, 0.50, 2.5e4
BAD_SET: Final = 5  #: of output 1: its first pair of reference samples is bad


def oriented(array: NDArray[Any], detector: Detector) -> NDArray[Any]:
    """View of the last two axes in detector orientation: lines, samples of a line. Its own inverse."""
    backward = slice(None, None, 1 if detector.slowaxis > 0 else -1)
    return array[..., backward, backward].swapaxes(-1, -2)


def embed(pixels: NDArray[Any], fill: NDArray[Any], detector: Detector) -> NDArray[Any]:
    """(3200, 2048): the pixels, and `fill` (of that shape) for the samples between."""
    out = fill.copy()
    oriented(out, detector)[:, PIXEL] = oriented(pixels, detector)
    return out


def fill(sensor: Sensor) -> Float:
    """(3200, 2048) DN, the bias of all reference samples."""
    detector = sensor.detector
    rng = fields.stream(sensor.seed, detector.name, "irs2")
    steps = rng.normal(0, FILL_STEP, SAMPLES)
    lines = np.broadcast_to(detector.bias - FILL_BELOW + steps, (SIDE, SAMPLES)).astype(np.float32)
    return np.ascontiguousarray(oriented(lines, detector))


def interleave(pixels: Float, sensor: Sensor, between: Float, on: Effects, rng: np.random.Generator) -> Float:
    """(3200, 2048) DN: a frame as it is read, with the noise that all outputs share.

    between : (3200, 2048), what the reference samples show without noise
    """
    frame = embed(pixels, between, sensor.detector)
    lines = oriented(frame, sensor.detector)
    clocks = SIDE * IRS2_LINE
    common = one_over_f(rng, clocks, on.common_noise) if on.common_noise else np.zeros(clocks, np.float32)
    common = common.reshape(SIDE, IRS2_LINE)
    for output in range(5):
        part = lines[:, BLOCK * output : BLOCK * (output + 1)]
        part += common[:, CLOCKS if output % 2 else CLOCKS[::-1]]
        if on.common_noise:
            part += one_over_f(rng, SIDE, OWN_NOISE)[:, None]
        if on.read_noise:
            noise = rng.normal(0, SAMPLE_NOISE, part.shape).astype(np.float32)
            part += np.where(PIXEL[BLOCK * output : BLOCK * (output + 1)], 0, noise)
    return frame


def mask_dq(sensor: Sensor) -> NDArray[np.uint32]:
    """(3200, 2048): the pixels' defects; all others are reference pixels, two of each line bad."""
    between = np.full((SIDE, SAMPLES), flags.REFERENCE_PIXEL, np.uint32)
    first = BLOCK + 8 + 20 * BAD_SET
    between[:, first : first + 2] |= flags.BAD_REF_PIXEL
    return embed(sensor.dq, np.ascontiguousarray(oriented(between, sensor.detector)), sensor.detector)


def transfer(sensor: Sensor) -> NDArray[np.void]:
    """Filters from the reference output (alpha) and the samples between (beta) to each output.

    2 · 712 · 2048 rows, real and imaginary part in turns, of filters whose result is real.
    """
    count = SIDE * IRS2_LINE
    number = np.arange(count)
    frequency = np.minimum(number, count - number).astype(np.float64)
    sign = np.where(number <= count // 2, 1.0, -1.0)
    rng = fields.stream(sensor.seed, sensor.detector.name, "irs2 filters")
    table = np.empty(2 * count, [(f"{name}_{k}", "f4") for name in ("alpha", "beta") for k in range(4)])
    for name, share, reach in (("alpha", ALPHA, ALPHA_REACH), ("beta", BETA, BETA_REACH)):
        for k in range(4):
            fall = 1 / (1 + (frequency / reach) ** 2)
            gain = share * (1 + 0.02 * rng.normal()) * fall
            phase = 0.08 * rng.normal() * frequency / reach * fall
            table[f"{name}_{k}"][::2] = gain * np.cos(phase)
            table[f"{name}_{k}"][1::2] = sign * gain * np.sin(phase)
            table[f"{name}_{k}"][[1, count + 1]] = 0  # of frequency 0 and the highest
    return table


def bad_samples() -> NDArray[np.void]:
    """Reference samples not to be used: a 32-bit mask for each output and parity."""
    rows = [
        (output, parity, (1 << 4) * (output == 2 and parity == 1))
        for output in (1, 2, 3, 4)
        for parity in (1, 2)
    ]
    return np.array(rows, [("OUTPUT", "u2"), ("ODD_EVEN", "u2"), ("MASK", "u4")])
