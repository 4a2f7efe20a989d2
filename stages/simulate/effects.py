"""What a detector does to light, one small function an effect, each the inverse of a step.

| effect | undone by |
|---|---|
| charge (Poisson), cosmic rays, snowballs | ramp_fit, jump |
| couple | ipc |
| to_dn | gain (jump, ramp_fit) |
| dark signal | dark_current |
| nonlinearity.measure | linearity |
| bias | superbias |
| amplifier_offsets, one_over_f, irs2.interleave | refpix, clean_flicker_noise |
| picture frame | picture_frame |
| miri.anomalies | reset, lastframe, rscd |
| miri.interference | emicorr |
| saturate | saturation |
| digitize | nothing |

Images are (ny, nx) float32. Randomness comes in as a generator; nothing is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.simulate.sensor import COUPLING

EVENT = np.dtype([("y", "i4"), ("x", "i4"), ("electrons", "f4")])
BALL = np.dtype([("y", "f4"), ("x", "f4"), ("radius", "f4")])
CORE_ELECTRONS = 2.5e5  #: in each pixel of a snowball's core: enough to saturate it
HALO_ELECTRONS, HALO_WIDTH, HALO_REACH = 4.0e3, 3.0, 18.0  #: beyond its core; widths in pixels
HEADROOM = 1.02  #: a full well stands so far above the threshold of the saturation reference


@dataclass(frozen=True)
class Effects:
    """What an exposure suffers. A switch is on or off; an amplitude of 0 is off."""

    stars: bool = True
    sky: bool = True
    flat: bool = True
    gain: bool = True
    dark: bool = True
    nonlinearity: bool = True
    saturation: bool = True
    bias: bool = True
    ipc: bool = True
    poisson: bool = True
    read_noise: bool = True
    pedestal: float = 15.0  #: DN rms, one level an integration
    amplifier_offsets: float = 4.0  #: DN rms, for every frame, output and column parity
    one_over_f: float = 1.0  #: DN rms, from line to line
    cosmic_rays: float = 1.7e-5  #: hits per pixel and second
    snowballs: float = 0.0  #: events in an integration, on the average
    picture_frame: float = 0.0  #: NIRSpec: in units of the reference
    common_noise: float = 12.0  #: NIRSpec IRS2: DN rms, of all outputs alike
    reset: bool = True  #: MIRI: what follows the reset
    last_frame: bool = True  #: MIRI: what the reset of the next row does to the last group
    interference: float = 3.0  #: MIRI: DN, amplitude at each frequency

    @classmethod
    def none(cls) -> Effects:
        return cls(**{name: type(value)(0) for name, value in vars(cls()).items()})

    @classmethod
    def only(cls, **effects: bool | float) -> Effects:
        """Nothing but these; a frame is still clipped and rounded to 16 bits."""
        return cls(**{**vars(cls.none()), **effects})

    def without(self, *names: str) -> Effects:
        """All of these but the named."""
        return Effects(**{**vars(self), **{name: type(getattr(self, name))(0) for name in names}})


def collect(rate: Float, seconds: float, rng: np.random.Generator | None) -> Float:
    """Electrons collected in that time; Poisson deviates where a generator is given."""
    expected = rate * np.float32(seconds)
    return expected if rng is None else rng.poisson(expected).astype(np.float32)


def cosmic_rays(rng: np.random.Generator, shape: tuple[int, ...], expected: float) -> NDArray[np.void]:
    """Hits as a table of (y, x, electrons): short straight tracks, log-normal in charge.

    expected : mean number of tracks
    """
    ny, nx = shape
    tracks = rng.poisson(expected)
    length = 1 + rng.exponential(2.0, tracks).astype(int)
    x, y = rng.uniform(0, nx, tracks), rng.uniform(0, ny, tracks)
    angle = rng.uniform(0, 2 * np.pi, tracks)
    charge = 10 ** rng.normal(3.1, 0.45, tracks)
    track = np.repeat(np.arange(tracks), length)
    step = np.arange(track.size) - np.repeat(np.cumsum(length) - length, length)
    hits = np.zeros(track.size, EVENT)
    hits["x"] = np.floor(x[track] + step * np.cos(angle[track]))
    hits["y"] = np.floor(y[track] + step * np.sin(angle[track]))
    hits["electrons"] = charge[track] / length[track] * rng.uniform(0.6, 1.4, track.size)
    inside = (hits["x"] >= 0) & (hits["x"] < nx) & (hits["y"] >= 0) & (hits["y"] < ny)
    return hits[inside]


def add_hits(charge: Float, hits: NDArray[np.void]) -> Float:
    """Electrons after the hits; several in one pixel add up."""
    out = charge.copy()
    np.add.at(out, (hits["y"], hits["x"]), hits["electrons"])
    return out


def snowballs(rng: np.random.Generator, shape: tuple[int, ...], expected: float) -> NDArray[np.void]:
    """Snowballs as a table of centres and core radii, pixels."""
    balls = np.zeros(rng.poisson(expected), BALL)
    for axis, side in zip(("y", "x"), shape, strict=True):
        balls[axis] = rng.uniform(0, side, balls.size)
    balls["radius"] = rng.uniform(3, 6, balls.size)
    return balls


def add_snowballs(charge: Float, balls: NDArray[np.void]) -> Float:
    """Electrons after the snowballs: a saturating core in a fading halo."""
    out = charge.copy()
    ny, nx = charge.shape
    y, x = np.arange(ny), np.arange(nx)
    for ball in balls:
        reach = ball["radius"] + HALO_REACH
        rows, columns = y[np.abs(y - ball["y"]) < reach], x[np.abs(x - ball["x"]) < reach]
        outside = np.hypot(rows[:, None] - ball["y"], columns - ball["x"]) - ball["radius"]
        halo = np.where(outside < HALO_REACH, HALO_ELECTRONS * np.exp(-outside / HALO_WIDTH), 0)
        out[np.ix_(rows, columns)] += np.where(outside < 0, CORE_ELECTRONS, halo).astype(np.float32)
    return out


def couple(charge: Float, coupling: float = COUPLING) -> Float:
    """Charge as each pixel feels it: a share of it shows in each of the four neighbours.

    Beyond the edge there is nothing, as for the kernel of the ipc step.
    """
    a = np.float32(coupling)
    out = charge * (1 - 4 * a)
    out[1:] += a * charge[:-1]
    out[:-1] += a * charge[1:]
    out[:, 1:] += a * charge[:, :-1]
    out[:, :-1] += a * charge[:, 1:]
    return out


def amplifier_offsets(
    rng: np.random.Generator, output: NDArray[np.int64], parity: NDArray[np.int64], rms: float
) -> Float:
    """DN added to the pixels: one level for every output and parity of the column (in MIRI, of the row).

    output, parity : such as `Sensor.outputs` tells, any shapes that go together
    """
    levels = rng.normal(0, rms, (4, 2))
    return np.asarray(levels[output, parity], np.float32)


def one_over_f(rng: np.random.Generator, count: int, rms: float) -> Float:
    """(count,) DN, one line after the other: noise of mean 0 whose power falls as one over the frequency."""
    frequency = np.fft.rfftfreq(count)
    spectrum = rng.normal(size=(2, frequency.size))
    spectrum[:, 1:] /= np.sqrt(frequency[1:])
    spectrum[:, 0] = 0
    series = np.fft.irfft(spectrum[0] + 1j * spectrum[1], count)
    return np.asarray(rms / series.std() * series, np.float32)


def saturate(raw: Float, threshold: Float, reference: NDArray[np.bool_]) -> Float:
    """DN, no more than the full well of the pixel; reference pixels have none."""
    return np.where(reference, raw, np.minimum(raw, threshold * np.float32(HEADROOM)))


def digitize(raw: Float) -> NDArray[np.uint16]:
    """DN as the converter gives them: whole numbers from 0 to 65 535."""
    return np.clip(np.rint(raw), 0, 65535).astype(np.uint16)
