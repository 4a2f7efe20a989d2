"""From charge in the pixels to numbers: response, bias, and what each family of electronics adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.simulate import effects as add
from calwebbd.stages.simulate import fields, irs2, miri
from calwebbd.stages.simulate.effects import Effects
from calwebbd.stages.simulate.nonlinearity import measure
from calwebbd.stages.simulate.pictureframe import picture_frame
from calwebbd.stages.simulate.readout import Readout
from calwebbd.stages.simulate.sensor import Sensor

Streams = Mapping[str, np.random.Generator]
STREAMS = ("amplifiers", "one_over_f", "read_noise", "irs2")


class When(NamedTuple):
    """Which read it is: integration and group from 0, frames since the reset."""

    integration: int
    group: int
    frames: int


@dataclass(frozen=True)
class Electronics:
    """What is the same for all frames of an exposure; `of` chooses the family."""

    sensor: Sensor
    readout: Readout
    effects: Effects

    @staticmethod
    def of(sensor: Sensor, readout: Readout, effects: Effects, rng: np.random.Generator) -> Electronics:
        if sensor.detector.miri:
            phases = rng.uniform(size=len(miri.FREQUENCIES))
            return MidInfrared(sensor, readout, effects, miri.reset_level(sensor), phases)
        if readout.irs2:
            return Interleaved(sensor, readout, effects, irs2.fill(sensor))
        return Electronics(sensor, readout, effects)

    @property
    def frame_shape(self) -> tuple[int, ...]:
        return self.sensor.reference.shape

    def read(self, signal: Float, pedestal: np.float32, when: When, streams: Streams) -> Float:
        """DN of a read before the converter; signal is linear, in DN."""
        raw = self.respond(signal, pedestal)
        if self.effects.picture_frame and self.sensor.detector.instrument == "NIRSPEC":
            seconds = when.frames * self.readout.tframe
            raw += np.float32(self.effects.picture_frame * seconds) * picture_frame(self.sensor)
        if self.effects.saturation:
            raw = add.saturate(raw, self.sensor.saturation, self.sensor.reference)
        raw = self.disturb(raw, when, streams)
        if self.effects.read_noise:
            noise = self.sensor.noise * np.float32(self.readout.family.noise / np.sqrt(2))
            raw += streams["read_noise"].standard_normal(raw.shape, np.float32) * noise
        return raw

    def respond(self, signal: Float, pedestal: np.float32) -> Float:
        """The measured signal on top of the bias, which superbias takes away before linearity."""
        measured = measure(signal, self.sensor.strength) if self.effects.nonlinearity else signal
        return measured + (self.sensor.bias + pedestal if self.effects.bias else pedestal)

    def disturb(self, raw: Float, when: When, streams: Streams) -> Float:
        """Drifts of the outputs, from frame to frame and from line to line."""
        on, sensor = self.effects, self.sensor
        # without reference pixels no step could tell offsets from sky
        if on.amplifier_offsets and sensor.reference.any():
            raw += self.offsets(streams)
        if on.one_over_f:
            slow = abs(sensor.detector.slowaxis) == 2
            series = add.one_over_f(streams["one_over_f"], raw.shape[0 if slow else 1], on.one_over_f)
            raw += series[:, None] if slow else series
        return raw

    def offsets(self, streams: Streams) -> Float:
        output, parity = self.sensor.outputs()
        if self.readout.noutputs == 1:
            output = np.zeros_like(output)
        return add.amplifier_offsets(streams["amplifiers"], output, parity, self.effects.amplifier_offsets)


@dataclass(frozen=True)
class Interleaved(Electronics):
    """NIRSpec with reference pixels between the others; `between` is their bias, (3200, 2048), DN."""

    between: Float

    @property
    def frame_shape(self) -> tuple[int, ...]:
        return self.between.shape

    def disturb(self, raw: Float, when: When, streams: Streams) -> Float:
        return raw

    def read(self, signal: Float, pedestal: np.float32, when: When, streams: Streams) -> Float:
        frame = super().read(signal, pedestal, when, streams)
        return irs2.interleave(frame, self.sensor, self.between + pedestal, self.effects, streams["irs2"])


@dataclass(frozen=True)
class MidInfrared(Electronics):
    """MIRI: `level` is what a reset leaves, DN; `phases` are those of the interference, in turns."""

    level: Float
    phases: NDArray[np.float64]

    def respond(self, signal: Float, pedestal: np.float32) -> Float:
        """No superbias is taken away here: linearity sees the bias with the signal."""
        linear = signal + (self.sensor.bias if self.effects.bias else np.float32(0)) + pedestal
        return measure(linear, self.sensor.strength) if self.effects.nonlinearity else linear

    def disturb(self, raw: Float, when: When, streams: Streams) -> Float:
        on, (i, g, _) = self.effects, when
        if on.reset:
            raw += miri.anomalies(self.level, i, g)
        if on.last_frame and g == self.readout.ngroups - 1:
            raw += miri.last_group(fields.pixels(self.sensor.window)[0])
        # only in full frame does refpix look at the reference pixels
        if on.amplifier_offsets and self.readout.subarray == "FULL":
            raw += self.offsets(streams)
        if on.interference:
            wave = miri.interference(self.sensor, self.readout, self.phases, i, g)
            raw += np.float32(on.interference) * wave
        return raw


def reference_output(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint16]:
    """(nints, ngroups, ny / 4, nx) DN of MIRI's reference output, for groups of that shape."""
    nints, ngroups, ny, nx = shape
    level = rng.standard_normal((nints, ngroups, ny // 4, nx), np.float32)
    return add.digitize(miri.REFERENCE_OUTPUT + miri.REFERENCE_NOISE * level)
