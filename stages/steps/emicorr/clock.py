"""When MIRI reads its pixels, and what disturbs it then: electromagnetic waves of known frequencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Float, Header, Ramp

Array = NDArray[np.float64]
TICK = 10.0e-6  # s
OUTPUTS = 4  # read at the same time: columns k, k + 4, …
ROWS = 1024  # of the detector
SKIPPED_ROW = 7  # ticks that pass at each row outside the subarray


class Wave(NamedTuple):
    """A disturbance: its frequency, Hz, and its shape over one period, DN, if that is known."""

    frequency: float
    shape: Array | None

    @property
    def period(self) -> float:
        """Ticks."""
        return (1.0 / self.frequency) / TICK


class Case(NamedTuple):
    """How a subarray is read: ticks in a row and in a frame, and the waves seen in it."""

    rowclocks: int
    frameclocks: int
    waves: tuple[Wave, ...]


#: Ticks in a row and in a frame, for waves that no reference knows.
CLOCKS = {
    "SLITLESSPRISM": (28, 15904),
    "MASKLYOT": (90, 32400),
    "SUB64": (28, 8512),
    "SUB128": (44, 11904),
    "MASK1140": (82, 23968),
    "MASK1550": (82, 23968),
    "MASK1065": (82, 23968),
    "FULL_FAST": (271, 277504),
    "FULL_SLOW": (2333, 2388992),
    "BRIGHTSKY": (162, 86528),
    "SUB256": (96, 29952),
}


def speed(header: Header) -> str:
    return "SLOW" if "SLOW" in header.text("READPATT") else "FAST"


def case_name(header: Header) -> str:
    subarray = header.text("SUBARRAY")
    return f"{subarray}_{speed(header)}" if "FULL" in subarray else subarray


def known_case(tree: Mapping[str, Any], header: Header) -> Case | None:
    """What an ``emicorr`` reference has for the exposure's subarray, read pattern and detector.

    None if it has nothing. Raises ReferenceMissing if it names a frequency that it does not have.
    """
    case = tree["subarray_cases"].get(case_name(header))
    names = case["freqs"].get(speed(header)) if case else None
    if names and speed(header) == "SLOW":
        names = names.get(header.text("DETECTOR"))
    if not names:
        return None
    unknown = set(names) - set(tree["frequencies"])
    if unknown:
        raise ReferenceMissing(f"the emicorr reference lacks the frequencies {', '.join(sorted(unknown))}")
    found = [tree["frequencies"][name] for name in names]
    waves = [Wave(f["frequency"], np.asarray(f["phase_amplitudes"], np.float64)) for f in found]
    return Case(case["rowclocks"], case["frameclocks"], tuple(waves))


def unknown_case(frequencies: Sequence[float], header: Header) -> Case | None:
    """The same for waves of which nothing is known but the frequency."""
    clocks = CLOCKS.get(case_name(header))
    return Case(*clocks, tuple(Wave(f, None) for f in frequencies)) if clocks else None


@dataclass(frozen=True)
class Clock:
    """When the pixels of an exposure are read, ticks.

    pixels : (ny, nx / 4), after the first of the group
    group : from one group to the next
    ngroups : in an integration
    pause : after an integration, for the reset
    """

    pixels: Array
    group: int
    ngroups: int
    pause: int

    @classmethod
    def of(cls, ramp: Ramp, case: Case) -> Clock:
        _, ngroups, ny, nx = ramp.sci.shape
        rows = np.arange(ny, dtype=np.float64)[:, np.newaxis] * case.rowclocks
        pixels = rows + np.arange(nx // OUTPUTS) * ramp.header.integer("NSAMPLES")
        resets = ramp.header.text("READPATT").endswith("R1")
        group = ny * case.rowclocks + (ROWS - ny) * SKIPPED_ROW
        return cls(pixels, group, ngroups, case.frameclocks if resets else 0)


def subtract_noise(group: Float, noise: Array) -> None:
    """Subtract the same noise, (ny, nx / 4), from all four outputs of one group, (ny, nx), in place."""
    group -= np.repeat(noise, OUTPUTS, axis=1)
