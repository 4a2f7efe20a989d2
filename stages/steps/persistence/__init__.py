"""Flag groups for a time after saturation, when the detector gives back charge that it has trapped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, GroupDQ, Ramp
from calwebbd.stages.kernels import by_rows
from calwebbd.stages.references import References
from calwebbd.stages.step import Failed, step
from calwebbd.stages.steps.persistence.handover import read_windows, write_windows
from calwebbd.stages.stripes import window

UNIX_EPOCH = 40587.0  # MJD
DAY = 86400.0  # s

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class PersistenceParams:
    save_persistence: str | None = None  #: ASDF file for the windows still open, for the next exposure
    persistence_time: int | None = None  #: s, for which a pixel is flagged; it must be given
    dn_threshold: float | None = None  #: DN, above which a sample opens a window too
    persistence_array_file: str | None = None  #: ASDF file with the windows of the exposure before
    persistence_dnu: bool = False  #: flag DO_NOT_USE as well


def flag_windows(
    sci: Float, groupdq: GroupDQ, times: Seconds, until: Seconds, params: PersistenceParams
) -> None:
    """Flag PERSISTENCE, in place, in the groups of one integration that lie in a window of their pixel.

    sci, groupdq : (ngroups, ny, nx), DN
        The first SATURATED group opens a window, which holds that group too; so does, where
        none is open, a sample above `dn_threshold`.
    times : (ngroups,), s since 1970; the ends of the groups
    until : (ny, nx), s since 1970; the ends of the windows, 0 where there is none. Changed in place.

    A window that would have begun later than the group it is met in is forgotten: it
    came with an exposure that is not an earlier one.
    Source: specification detector1 §3 persistence.
    """
    flag = np.uint8(flags.PERSISTENCE | (flags.DO_NOT_USE if params.persistence_dnu else 0))
    lasting = params.persistence_time or 0

    def flag_rows(start: int, stop: int) -> None:
        window = until[start:stop]
        saturated = np.zeros(window.shape, np.int32)  # groups so far
        for values, bits, time in zip(sci[:, start:stop], groupdq[:, start:stop], times, strict=True):
            window[window < time] = 0.0
            saturated += bits & flags.SATURATED != 0
            window[saturated == 1] = time + lasting
            if params.dn_threshold is not None:
                window[(values > params.dn_threshold) & ~(window > 0)] = time + lasting
            window[window > time + lasting] = 0.0
            bits[window > 0] |= flag

    by_rows(flag_rows, len(until))


def group_times(ramp: Ramp) -> Iterator[Seconds]:
    """Ends of the groups of each integration, s since 1970.

    Integrations begin as INT_TIMES says, which may have rows for those of other segments, too; or one
    EFFINTTM after the other.
    """
    ngroups, group_time = ramp.sci.shape[1], ramp.header.real("TGROUP")
    starts = _int_starts(ramp)
    for i in range(len(ramp.sci)):
        if i < len(starts):
            start = _since_1970(starts[i])
        else:
            start = _since_1970(ramp.header.real("EXPSTART")) + i * ramp.header.real("EFFINTTM")
        yield np.cumsum([start] + [group_time] * ngroups)[1:]


def _int_starts(ramp: Ramp) -> list[float]:
    """When integrations of this file began, MJD, as far as INT_TIMES has them."""
    if ramp.int_times is None or not len(ramp.int_times):
        return []
    before = 0
    if "integration_number" in (ramp.int_times.dtype.names or ()):
        before = max(0, ramp.header.integer("INTSTART", 1) - int(ramp.int_times["integration_number"][0]))
    return [float(start) for start in ramp.int_times["int_start_MJD_UTC"][before:]]


def _since_1970(mjd: float) -> float:
    return (mjd - UNIX_EPOCH) * DAY


@step(keyword="S_PERSIS", params=PersistenceParams, skip=True, whole=True)
def persistence(ramp: Ramp, references: References, params: PersistenceParams) -> Ramp:
    """Flag groups for a time after saturation, when trapped charge comes back."""
    if params.persistence_time is None or params.persistence_time <= 0:
        raise Failed(
            f"persistence_time is {params.persistence_time}, but must be a positive number of seconds"
        )
    detector, until = ramp.header.text("DETECTOR"), np.zeros(ramp.sci.shape[-2:])
    whole, where, lasting = None, window(ramp), params.persistence_time
    if params.persistence_array_file:
        whole = read_windows(Path(params.persistence_array_file), detector, where, lasting, until)
    for (sci, groupdq), times in zip(ramp.integrations(), group_times(ramp), strict=True):
        flag_windows(sci, groupdq, times, until, params)
    if params.save_persistence:
        if whole is not None:
            whole[(whole < times[-1]) | (whole > times[-1] + lasting)] = 0.0
        path = Path(params.save_persistence).with_suffix(".asdf")
        write_windows(path, detector, where, lasting, until, ramp.file, whole)
    return ramp
