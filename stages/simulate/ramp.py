"""Read-out: the light on a detector becomes frames, frames become groups and integrations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.simulate import effects as add
from calwebbd.stages.simulate import electronics as devices
from calwebbd.stages.simulate import fields
from calwebbd.stages.simulate.effects import Effects
from calwebbd.stages.simulate.electronics import Electronics, When, reference_output
from calwebbd.stages.simulate.readout import Readout
from calwebbd.stages.simulate.sensor import Sensor

Stream = Callable[[str], np.random.Generator]
#: Group is the first, from 0, that holds the event.
HIT = np.dtype([("integration", "i4"), ("group", "i4"), *add.EVENT.descr])
SNOWBALL = np.dtype([("integration", "i4"), ("group", "i4"), *add.BALL.descr])


@dataclass(frozen=True)
class Raw:
    """What comes down from the telescope, and what happened to it.

    groups : (nints, ngroups, ny, nx), DN
    zeroframe : (nints, ny, nx), DN, the first frame, where NIRCam averages frames
    refout : (nints, ngroups, ny / 4, nx), DN, the reference output of MIRI
    """

    groups: NDArray[np.uint16]
    zeroframe: NDArray[np.uint16] | None
    refout: NDArray[np.uint16] | None
    hits: NDArray[np.void]
    snowballs: NDArray[np.void]


def expose(rate: Float, sensor: Sensor, readout: Readout, effects: Effects, *names: str | int) -> Raw:
    """Read an exposure of every integration.

    rate : (ny, nx), e-/s; nothing reaches reference pixels
    names : with the integration and the effect they seed each stream of random numbers,
        so that switching one effect leaves the others as they are
    """
    electronics = Electronics.of(sensor, readout, effects, fields.stream(*names, "electronics"))
    shape = (readout.nints, readout.ngroups, *electronics.frame_shape)
    groups = np.empty(shape, np.uint16)
    zeroframe = np.empty((shape[0], *rate.shape), np.uint16) if readout.zeroframe else None
    hits, balls = [np.zeros(0, HIT)], [np.zeros(0, SNOWBALL)]
    for i in range(readout.nints):
        streams = {what: fields.stream(*names, i, what) for what in STREAMS}
        integration = Integration(i, rate, electronics, streams)
        for g in range(readout.ngroups):
            groups[i, g], first = integration.read_group(g)
            if g == 0 and zeroframe is not None:
                zeroframe[i] = first
        for events, table in ((integration.hits, hits), (integration.snowballs, balls)):
            for group, found in events:
                table.append(_dated(found, table[0].dtype, i, group))
    refout = reference_output(groups.shape, fields.stream(*names, "refout")) if sensor.detector.miri else None
    return Raw(groups, zeroframe, refout, np.concatenate(hits), np.concatenate(balls))


STREAMS = ("poisson", "cosmic_rays", "snowballs", "pedestal", *devices.STREAMS)


def _dated(
    events: NDArray[np.void], dtype: np.dtype[np.void], integration: int, group: int
) -> NDArray[np.void]:
    out = np.zeros(events.size, dtype)
    out["integration"], out["group"] = integration, group
    for name in events.dtype.names or ():
        out[name] = events[name]
    return out


class Integration:
    """One integration while it is being read: charge only grows, every read sees it anew."""

    def __init__(
        self, number: int, rate: Float, electronics: Electronics, streams: dict[str, np.random.Generator]
    ) -> None:
        self.number, self.electronics, self.streams = number, electronics, streams
        self.sensor, self.readout, self.effects = electronics.sensor, electronics.readout, electronics.effects
        self.rate = np.where(self.sensor.reference, np.float32(0), np.maximum(rate, 0)).astype(np.float32)
        self.charge = np.zeros(rate.shape, np.float32)
        self.pedestal = np.float32(streams["pedestal"].normal(0, self.effects.pedestal))
        self.hits: list[tuple[int, NDArray[np.void]]] = []
        self.snowballs: list[tuple[int, NDArray[np.void]]] = []

    def read_group(self, g: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Average of the group's frames, and its first frame. Groups are read in order."""
        nframes, gap = self.readout.nframes, self.readout.groupgap
        total = np.zeros(self.electronics.frame_shape, np.uint32)
        for k in range(nframes):
            # frames left out are not read, so their charge is drawn together with that of the next
            self.collect(1 + (gap if k == 0 and g > 0 else 0), g)
            frame = add.digitize(self.read(g, g * (nframes + gap) + k + 1))
            total += frame
            if k == 0:
                first = frame
        return add.digitize((total / self.readout.divisor).astype(np.float32)), first

    def collect(self, frames: int, group: int) -> None:
        """Let light, cosmic rays and snowballs in for so many frames."""
        on, seconds = self.effects, frames * self.readout.tframe
        self.charge += add.collect(self.rate, seconds, self.streams["poisson"] if on.poisson else None)
        if on.cosmic_rays:
            expected = on.cosmic_rays * seconds * self.charge.size
            hits = add.cosmic_rays(self.streams["cosmic_rays"], self.charge.shape, expected)
            hits = hits[~self.sensor.reference[hits["y"], hits["x"]]]
            self.charge = add.add_hits(self.charge, hits)
            self.hits.append((group, hits))
        if on.snowballs:
            expected = on.snowballs * frames / self.readout.total_frames
            balls = add.snowballs(self.streams["snowballs"], self.charge.shape, expected)
            self.charge = np.where(self.sensor.reference, 0, add.add_snowballs(self.charge, balls))
            self.snowballs.append((group, balls))

    def read(self, g: int, frames: int) -> Float:
        """DN of one read of group g, so many frames after the reset, before the converter."""
        on, sensor = self.effects, self.sensor
        signal = self.charge
        if on.ipc:
            signal = np.where(sensor.reference, 0, add.couple(signal))
        if on.gain:
            signal = signal / sensor.gain
        if on.dark:
            signal = signal + sensor.dark_signal(frames, self.readout.tframe, self.number)
        return self.electronics.read(signal, self.pedestal, When(self.number, g, frames), self.streams)
