"""Stripes: lines of a detector that were read in several pieces, by the pattern in the header.

Along the slow axis, a stripe exposure begins at SUBSTRT1 or 2 with the MSTR_RD1 lines of
reference pixels, passes over MSTR_SK1, and reads MSTR_RD2; it goes on until its array is full.
The array of NIRCam's DHS holds the stripes of four spectra, between lines of reference pixels.
A superstripe exposure has not even one integration of its whole field at a time: integrations of
SSTR_NST superstripes, each SSTR_STP lines after the one before, take turns.

Lines are counted along the slow axis, from zero; on the detector in the order of read-out if not
said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Exposure, Header, Lines, Ramp, Subarray
from calwebbd.stages.readout import SIZE

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pattern:
    """Which lines are read, and which passed over.

    reads1, skips1 : lines of reference pixels to begin with, and lines passed over after them
    reads2, skips2 : lines of a stripe, and lines passed over between stripes
    repeat : the read-out returns to its first line, and reads reads1, before each stripe
    interleave : having returned, it passes over the stripes read so far, instead of reading the
        first one again
    step, number : lines from each superstripe to the next, and how many there are; 0 if none
    """

    reads1: int = 0
    skips1: int = 0
    reads2: int = 0
    skips2: int = 0
    repeat: bool = False
    interleave: bool = False
    step: int = 0
    number: int = 0

    @classmethod
    def of(cls, header: Header) -> Pattern | None:
        """From the MSTR_ and SSTR_ keywords; None if the exposure is not of stripes."""
        if "MSTR_RD1" not in header:
            return None
        return cls(
            reads1=header.integer("MSTR_RD1"),
            skips1=header.integer("MSTR_SK1", 0),
            reads2=header.integer("MSTR_RD2", 0),
            skips2=header.integer("MSTR_SK2", 0),
            repeat=header.integer("MSTR_RPT", 0) > 0,
            interleave=header.integer("MSTR_ILV", 0) > 0,
            step=header.integer("SSTR_STP", 0),
            number=header.integer("SSTR_NST", 0),
        )

    def replay(self, length: int, superstripe: int = 0) -> tuple[Lines, Mask]:
        """The lines of an array of this length, counted from the first; which of them are of stripes.

        Raises InputError if no number of stripes has this length.
        Source: specification detector1 §2 Reference matching.
        """
        lines: list[int] = []
        starlit: list[bool] = []
        for reference, stripe in self._stripes(superstripe):
            lines += [*reference, *stripe]
            starlit += [False] * len(reference) + [True] * len(stripe)
            if len(lines) >= length or not stripe:
                break
        if len(lines) != length:
            raise InputError(f"its stripes ({self}) do not make an array of {length} lines")
        return np.array(lines), np.array(starlit)

    def _stripes(self, superstripe: int) -> Iterator[tuple[range, range]]:
        """The lines of reference pixels and the lines of each stripe, on and on."""
        size = self.reads2 or self.step
        reference = range(self.reads1)
        head = self.reads1 + self.skips1 + self.step * superstripe
        while True:
            yield reference, range(head, head + size)
            if not self.repeat:
                reference = range(0)
            if self.interleave or not self.repeat:
                head += size + self.skips2


@dataclass(frozen=True)
class Stripes(Subarray):
    """The part of a detector that an array of stripes holds, in the science frame.

    across : True if the slow axis runs along rows, so that lines are columns
    lines : the detector row, or column, of each row, or column, of the array
    starlit : False for lines of reference pixels that the pattern reads beside its stripes
    single : False for a superstripe, one of several
    """

    across: bool
    lines: tuple[int, ...]
    starlit: tuple[bool, ...]
    single: bool

    @property
    def rows(self) -> Lines:
        return super().rows if self.across else np.array(self.lines)

    @property
    def columns(self) -> Lines:
        return np.array(self.lines) if self.across else super().columns

    def matches(self, reference: Subarray) -> bool:
        """References with the corner and size of a superstripe need not be of this one."""
        return self.single and super().matches(reference)


class Uncollated(Subarray):
    """What superstripes that take turns have in common: no rows and columns to cut a reference to."""

    def matches(self, reference: Subarray) -> bool:
        return False

    @property
    def rows(self) -> Lines:
        raise InputError("its superstripes have not been put side by side, which refpix does")

    columns = rows


def window(exposure: Exposure) -> Subarray:
    """The part of the detector that an exposure's array holds: a subarray, or stripes of it.

    The rows of an interleaved exposure are all that it has: more than those of its image.

    Raises InputError if the pattern in the header does not make the array, or leaves the detector.
    """
    header, sub = exposure.header, exposure.subarray
    pattern = Pattern.of(header)
    if isinstance(exposure, Ramp) and exposure.between:
        return replace(sub, ny=sub.ny + len(exposure.between.rows))
    if pattern is None:
        return sub
    if isinstance(exposure, Ramp) and exposure.by_superstripe:
        return Uncollated(sub.x, sub.y, sub.nx, sub.ny)
    superstripe = exposure.superstripe if isinstance(exposure, Ramp) else 0
    slow = header.integer("SLOWAXIS")
    across = abs(slow) == 1
    start, length = (sub.x, sub.nx) if across else (sub.y, sub.ny)
    lines, starlit = pattern.replay(length, superstripe)
    lines = lines + _first_line(start, slow, header.text("SUBARRAY"))
    if lines.min() < 0 or lines.max() >= SIZE:
        raise InputError(
            f"its stripes ({pattern}) reach lines {lines.min()} to {lines.max()} of the detector"
        )
    if slow < 0:
        lines, starlit = SIZE - 1 - lines[::-1], starlit[::-1]
    return Stripes(
        sub.x, sub.y, sub.nx, sub.ny, across, tuple(lines), tuple(starlit), single=not pattern.number
    )


def _first_line(start: int, slow: int, name: str) -> int:
    """The first line that is read; `start` is its zero-based row or column in the science frame.

    Exposures with stripes of the dispersed Hartmann sensor, and early ones read backwards, may
    have their corner at 0 where the read-out began at its own first line.
    """
    if "DHS" in name or (slow < 0 and start == 0):
        return 0
    return start if slow > 0 else SIZE - 1 - start
