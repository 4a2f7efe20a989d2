"""Random maps of a detector, the same pixel for pixel whatever part of it is asked for.

White noise draws every row of the detector from its own counter-based stream, so
that a subarray cut from the full frame equals the subarray made alone.
"""

from __future__ import annotations

import zlib

import numpy as np

from calwebbd.stages.exposure import Float, Subarray
from calwebbd.stages.simulate.detectors import SIDE, Detector

ROW = 1 << 192  #: distance between the counters of two rows


def keys(*names: str | int) -> list[int]:
    """Names as integers, equal in every process (`hash` is not)."""
    return [name if isinstance(name, int) else zlib.crc32(name.encode()) for name in names]


def stream(*names: str | int) -> np.random.Generator:
    """A generator of its own for each tuple of names and numbers."""
    return np.random.default_rng(keys(*names))


def _rows(window: Subarray, names: tuple[str | int, ...]) -> list[np.random.Generator]:
    key = np.random.SeedSequence(keys(*names)).generate_state(2, np.uint64)
    rows = range(window.y, window.y + window.ny)
    return [np.random.Generator(np.random.Philox(key=key, counter=row * ROW)) for row in rows]


def normal(window: Subarray, *names: str | int) -> Float:
    """(ny, nx) standard normal deviates."""
    columns = slice(window.x, window.x + window.nx)
    return np.stack([rng.standard_normal(SIDE, np.float32)[columns] for rng in _rows(window, names)])


def uniform(window: Subarray, *names: str | int) -> Float:
    """(ny, nx) deviates uniform in 0 ≤ u < 1."""
    columns = slice(window.x, window.x + window.nx)
    return np.stack([rng.random(SIDE, np.float32)[columns] for rng in _rows(window, names)])


def smooth(window: Subarray, *names: str | int, waves: int = 6) -> Float:
    """(ny, nx) sum of long plane waves, rms about 1 over the detector."""
    rng = stream(*names)
    kx, ky = rng.uniform(-2.5, 2.5, (2, waves)) * 2 * np.pi / SIDE
    phase = rng.uniform(0, 2 * np.pi, waves)
    y, x = pixels(window)
    field = np.zeros((window.ny, window.nx), np.float32)
    for i in range(waves):
        # cos(a + b) by outer products: the detector has four million pixels but 2048 lines
        a, b = kx[i] * x + phase[i], ky[i] * y
        field += np.outer(np.cos(b), np.cos(a)).astype(np.float32)
        field -= np.outer(np.sin(b), np.sin(a)).astype(np.float32)
    return field * np.float32(np.sqrt(2 / waves))


def pixels(window: Subarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column numbers of the window on the full detector, one-dimensional."""
    return np.arange(window.y, window.y + window.ny), np.arange(window.x, window.x + window.nx)


def reference_pixels(window: Subarray, detector: Detector) -> np.ndarray:
    """(ny, nx) True on the insensitive border of the detector."""
    y, x = pixels(window)
    (height, width), (lines, columns) = detector.shape, detector.border
    above_or_below = (y < lines) | (y >= height - lines)
    beside = (x < columns) | (x >= width - columns)
    return np.asarray(above_or_below[:, None] | beside[None, :])
