"""Contents of small references of stage 1: random ones, and ones that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from random_exposures import IRS2, some_flags

Content = Callable[[Generator, int, int], Any]  # of a reference for so many rows and columns


def image(low: float, high: float, *, dq: bool = True, bad: float = 0.03, **keywords: Any) -> Content:
    """Values between two, with NaN and flags here and there."""

    def make(random: Generator, ny: int, nx: int) -> dict[str, Any]:
        values = random.uniform(low, high, (ny, nx))
        values[random.random((ny, nx)) < bad] = np.nan
        return {"sci": values, "dq": some_flags(random, (ny, nx), np.uint32) if dq else 0, **keywords}

    return make


def same(value: Any, **keywords: Any) -> Content:
    """One value for all pixels, in planes if there are several."""
    each = np.asarray(value)[..., None, None]
    return lambda random, ny, nx: {"sci": np.broadcast_to(each, (*np.shape(value), ny, nx)), **keywords}


def flat(noise: float) -> Content:
    def make(random: Generator, ny: int, nx: int) -> dict[str, Any]:
        return {"sci": random.normal(1, noise, (ny, nx)), "err": random.normal(noise, noise, (ny, nx))}

    return make


def known_bad(random: Generator, ny: int, nx: int) -> dict[str, Any]:
    return {"dq": some_flags(random, (ny, nx), np.uint32)}


def kernel(centre: float, side: float) -> Content:
    """Interpixel capacitance."""
    return lambda random, ny, nx: {"sci": [[0, side, 0], [side, centre, side], [0, side, 0]]}


def cubes(*shape: int, **keywords: Any) -> Content:
    """Planes of noise, with NaN here and there."""

    def make(random: Generator, ny: int, nx: int) -> dict[str, Any]:
        values = random.normal(0, 5, (*shape, ny, nx))
        values[..., random.random((ny, nx)) < 0.03] = np.nan
        dq = some_flags(random, (ny, nx), np.uint32)
        return {"sci": values, "dq": dq, **keywords}

    return make


def polynomials(*names: str, curved: float = 1.0) -> Content:
    """Coefficients close to the identity, or just that."""

    def make(random: Generator, ny: int, nx: int) -> dict[str, Any]:
        noise = curved * random.normal(0, 1, (4, ny, nx)) * np.reshape([1, 1e-2, 1e-7, 1e-12], (4, 1, 1))
        noise[1] += 1
        noise[1, random.random((ny, nx)) < 0.03 * curved] = np.nan
        dq = some_flags(random, (ny, nx), np.uint32) if curved else 0
        return {**dict.fromkeys(names, noise), "dq": dq}

    return make


def skips(first: int, later: int) -> Content:
    columns = [("subarray", "S17"), ("readpatt", "S12"), ("group_skip1", "i4"), ("group_skip", "i4")]
    return lambda random, ny, nx: np.array([("SUB256", "FASTR1", first, later)], columns)


def waves(amplitude: float) -> Content:
    wave = amplitude * np.sin(2 * np.pi * (np.arange(500) + 0.5) / 500)
    case = {"rowclocks": 96, "frameclocks": 29952, "freqs": {"FAST": ["Hz218"]}}
    return lambda random, ny, nx: {
        "frequencies": {"Hz218": {"frequency": 218.52, "phase_amplitudes": wave}},
        "subarray_cases": {"SUB256": case},
    }


def weights(size: float) -> Content:
    """Of the interleaved reference pixels, at all frequencies."""
    length = 2 * IRS2.slots * IRS2.lines
    columns = [(f"{kind}_{k}", "f4") for kind in ("alpha", "beta") for k in range(4)]

    def make(random: Generator, ny: int, nx: int) -> np.ndarray:
        table = np.zeros(length, columns)
        for name, _ in columns:
            table[name] = random.normal(0, size, length)
        return table

    return make
