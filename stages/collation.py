"""Superstripes put side by side: the ordinary ramp of the field that they cover in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Header, Lines, Ramp, Table
from calwebbd.stages.readout import SIZE, zero_frame
from calwebbd.stages.stripes import Pattern, Stripes, window
from calwebbd.stages.superstripes import superstripes

#: Subarrays that become as long as the detector, whatever lines were read.
WHOLE = frozenset({"SUB17STRIPE_SOSS", "SUB60STRIPE_SOSS", "SUB204STRIPE_SOSS", "SUB680STRIPE_SOSS"})
PIXEL_TIME = 1e-5  # s
LINE_END = 12  # pixels' time between lines

Reading = tuple[Lines, Lines]  # where lines are in the array, and which rows or columns they are


def collate(ramp: Ramp) -> Ramp:
    """Put the superstripes of each integration side by side: an ordinary ramp.

    Lines that were not read are NaN, their pixels REFERENCE_PIXEL; so are the lines of reference
    pixels that were read with each superstripe. Lines that a superstripe has read several times
    make as many groups. Where superstripes overlap the last one counts; of the zero frame, the
    first reading. INT_TIMES keeps a row for each integration, INT_TIMES_STRIPE those of the superstripes.
    Source: specification detector1 §3 refpix.
    """
    parts = list(superstripes(ramp))
    readings = [_readings(part) for part in parts]
    across = abs(ramp.header.integer("SLOWAXIS")) == 1
    first, size = _extent(ramp.header, readings)
    repeats = max(len(each) for each in readings)
    nints, ngroups = len(parts[0].sci), ramp.sci.shape[1]
    shape = (ramp.sci.shape[-2], size) if across else (size, ramp.sci.shape[-1])
    sci = np.full((nints, ngroups * repeats, *shape), np.nan, np.float32)
    groupdq = np.zeros(sci.shape, np.uint8)
    pixeldq = np.full(shape, flags.REFERENCE_PIXEL, np.uint32)
    zeroframe = None if zero_frame(ramp) is None else np.full((nints, *shape), np.nan, np.float32)

    def put(old: NDArray[Any], new: NDArray[Any], reading: tuple[Lines, Lines]) -> None:
        at, lines = reading
        if across:
            new[..., lines - first] = old[..., at]
        else:
            new[..., lines - first, :] = old[..., at, :]

    for part, each in zip(parts, readings, strict=True):
        for repeat, reading in enumerate(each):
            for i in range(nints):
                put(part.sci[i], sci[i, repeat::repeats], reading)
                put(part.groupdq[i], groupdq[i, repeat::repeats], reading)
        put(part.pixeldq, pixeldq, each[0])
        if zeroframe is not None and part.zeroframe is not None:
            put(part.zeroframe, zeroframe, each[0])
    header = _collated_header(ramp.header, len(parts), sci.shape, first)
    int_times, int_times_stripe = collated_times(ramp.int_times, header.integer("INTSTART"), len(parts))
    return replace(
        ramp,
        header=header,
        sci=sci,
        groupdq=groupdq,
        pixeldq=pixeldq,
        zeroframe=zeroframe,
        int_times=int_times,
        int_times_stripe=int_times_stripe,
        first=ramp.first // len(parts),
        group=None,
        read_times=read_times(ramp, repeats) if repeats > 1 else None,
    )


def _readings(part: Ramp) -> list[Reading]:
    """The first, second, … readings of a superstripe's lines, reference pixels left out."""
    stripes = window(part)
    assert isinstance(stripes, Stripes)
    order = range(len(stripes.lines))[:: 1 if part.header.integer("SLOWAXIS") > 0 else -1]
    nth = np.full(len(stripes.lines), -1)
    read: Counter[int] = Counter()
    for at in order:
        if stripes.starlit[at]:
            line = stripes.lines[at]
            nth[at] = read[line]
            read[line] += 1
    lines = np.array(stripes.lines)
    return [(np.flatnonzero(nth == n), lines[nth == n]) for n in range(nth.max() + 1)]


def _extent(header: Header, readings: Sequence[Sequence[Reading]]) -> tuple[int, int]:
    """First row or column of the collated array, and their number."""
    if header.text("SUBARRAY") in WHOLE:
        return 0, SIZE
    lines = np.concatenate([each[0][1] for each in readings])
    return int(lines.min()), int(np.ptp(lines)) + 1


def _collated_header(header: Header, number: int, shape: tuple[int, ...], first: int) -> Header:
    """Without the pattern of stripes; integrations are counted whole."""
    out = header.copy()
    for keyword in [each for each in out if each.startswith(("MSTR_", "SSTR_"))]:
        del out[keyword]
    nints = header.integer("NINTS", shape[0] * number)
    start, end = header.integer("INTSTART", 1), header.integer("INTEND", nints)
    out["NINTS"], out["INTSTART"], out["INTEND"] = (-(-n // number) for n in (nints, start, end))
    out["NGROUPS"], out["SUBSIZE2"], out["SUBSIZE1"] = shape[1:]
    out[f"SUBSTRT{abs(header.integer('SLOWAXIS'))}"] = first + 1
    return out


def collated_times(times: Table | None, first: int, number: int) -> tuple[Table | None, Table | None]:
    """INT_TIMES of whole integrations, from the first superstripe's start to the last one's end, and
    INT_TIMES_STRIPE of their superstripes.

    first : number of the first integration; number : of superstripes in each
    """
    if times is None or not len(times):
        return times, None
    last = len(times) // number * number
    whole = times[:last:number].copy()
    whole["integration_number"] = first + np.arange(len(whole))
    for clock in ("MJD_UTC", "BJD_TDB"):
        start, middle, end = (f"int_{when}_{clock}" for when in ("start", "mid", "end"))
        whole[end] = times[end][number - 1 : last : number]
        whole[middle] = (whole[end] - whole[start]) / 2 + whole[start]
    kinds = [(name, times.dtype[name]) for name in times.dtype.names or ()]
    stripes = np.empty(len(times), [kinds[0], ("stripe_number", kinds[0][1]), *kinds[1:]])
    for name, _ in kinds:
        stripes[name] = times[name]
    stripes["integration_number"] = first + np.arange(len(times)) // number
    stripes["stripe_number"] = np.arange(len(times)) % number + 1
    return whole, stripes


def read_times(ramp: Ramp, repeats: int) -> NDArray[np.float64]:
    """When the frames of each group are read, s from the reset, if each frame reads its lines several times.

    Shape (ngroups * repeats, nframes), in the order of reading. Source: specification detector1 §3 refpix.
    """
    header, (ngroups, ny, nx) = ramp.header, ramp.sci.shape[1:]
    pattern = Pattern.of(header) or Pattern()
    rows, columns = (nx, ny) if abs(header.integer("SLOWAXIS")) == 1 else (ny, nx)
    outputs, nframes = header.integer("NOUTPUTS"), header.integer("NFRAMES")
    line = columns / outputs + LINE_END
    extra_lines, extra = {1: (2 if columns >= 9 else 3, 0), 4: (1, 1)}.get(outputs, (3, 0))
    once = pattern.reads1 + pattern.reads2
    frame = (line * (rows + extra_lines) + extra) * PIXEL_TIME
    reset = (line * (once + extra_lines) + extra) * PIXEL_TIME
    within = reset + line * once * PIXEL_TIME * np.arange(repeats)
    group = within[-1] + frame * (nframes - 1 + header.integer("GROUPGAP"))
    times: NDArray[np.float64] = (
        group * np.arange(ngroups)[:, None, None] + within[:, None] + frame * np.arange(nframes)
    )
    return times.reshape(ngroups * repeats, nframes)
