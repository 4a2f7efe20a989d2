"""What MIRI does to a frame beside what all detectors do: resets show, and electronics interfere.

| effect | undone by |
|---|---|
| after a reset the level decays: the same on the average of all exposures | reset |
| and a little more after the first integration, for some groups | rscd (flags them) |
| the last group is read while rows below it are reset | lastframe (flags it) |
| electromagnetic interference, of known frequencies and unknown phase | emicorr |
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.simulate import fields
from calwebbd.stages.simulate.readout import CLOCK, Readout
from calwebbd.stages.simulate.sensor import Sensor

RESET_FRAMES: Final = 8  #: groups in the reset reference: it has decayed by then
RESET_LEVEL, RESET_DECAY = 6.0, 1.2  #: DN, groups
RESET_LATER: Final = 0.6  #: of it, after the first integration
DECAY, DECAY_FIRST, DECAY_GROUPS = 30.0, 9.0, 0.6  #: DN after a read, after the idle detector; groups
SKIP_FIRST, SKIP = 2, 4  #: groups that rscd leaves out in the first integration and in later ones
LAST_ODD, LAST_EVEN = -12.0, -4.0  #: DN, of the last group in odd and even rows
REFERENCE_OUTPUT, REFERENCE_NOISE = 10200.0, 3.0  #: DN
#: Hz. Frame times hold no whole number of their periods: such a wave would look like a slope.
FREQUENCIES: Final = {"Hz390": 390.625, "Hz218a": 218.520470, "Hz10": 10.039216}
#: Those that disturb a subarray; others have the slow one only.
DISTURBED: Final = {"SLITLESSPRISM": ("Hz390", "Hz10"), "SUB256": ("Hz218a",)}


def disturbing(subarray: str) -> tuple[str, ...]:
    """Names of the frequencies that disturb a subarray."""
    return DISTURBED.get(subarray, ("Hz10",))


def wave(phase: NDArray[Any]) -> NDArray[Any]:
    """The form of the interference; phase in turns."""
    turn = 2 * np.pi * phase
    return np.asarray(np.sin(turn) + 0.3 * np.sin(2 * turn + 0.5))


def reset_level(sensor: Sensor) -> Float:
    """(ny, nx) DN, what a reset leaves behind."""
    field = fields.smooth(sensor.window, sensor.seed, sensor.detector.name, "reset")
    return np.asarray(RESET_LEVEL * field, np.float32)


def reset_decay(integration: int, group: int) -> float:
    """The share of it that is left in a group; both count from 0."""
    return float(np.exp(-group / RESET_DECAY)) * (RESET_LATER if integration else 1.0)


def anomalies(level: Float, integration: int, group: int) -> Float:
    """(ny, nx) DN added to a group after a reset.

    level : that of `reset_level`
    """
    extra = (DECAY if integration else DECAY_FIRST) * np.exp(-group / DECAY_GROUPS)
    return np.asarray(level * np.float32(reset_decay(integration, group)) + np.float32(extra))


def last_group(y: NDArray[np.int64]) -> Float:
    """(ny, 1) DN added to the rows y of the detector in the last group of an integration."""
    return np.where(y % 2, LAST_ODD, LAST_EVEN).astype(np.float32)[:, None]


def interference(
    sensor: Sensor, readout: Readout, phases: NDArray[np.float64], integration: int, group: int
) -> Float:
    """(ny, nx) DN of unit amplitude at each frequency.

    phases : in turns, of each frequency when the exposure starts

    After an integration one frame is lost to the reset.
    """
    y, x = (np.arange(n) for n in sensor.reference.shape)
    frames = integration * (readout.ngroups + 1) + group
    clocks = y[:, None] * readout.row_clocks + x // 4 * readout.samples + frames * readout.frame_clocks
    names = disturbing(readout.subarray)
    waves = [wave(clocks * (CLOCK * FREQUENCIES[n]) + phase) for n, phase in zip(names, phases, strict=False)]
    return np.asarray(np.sum(waves, axis=0), np.float32)
