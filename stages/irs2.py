"""NIRSpec's interleaved read-out (IRS2): which samples are pixels, and when each was read.

Of each line of the detector, five outputs read 640 samples each at the same time: first in
the array the reference output, then the four of the image, every other one of the five in
the opposite direction. An output reads 32 cells of 20 samples: 8 pixels, 4 reference pixels
from the edge of the detector, 8 pixels. Going there and back takes one beat of the clock
each, and starting a new line 8.
(Rauscher et al. 2017, PASP 129, 105003, arXiv:1707.09387.)

Arrays of samples are (..., sample, line): the image in detector orientation, transposed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Exposure, Header, Ramp
from calwebbd.stages.readout import SIZE, to_detector

Index = NDArray[np.intp]
OUTPUTS = 5  # the reference output first
NORMAL, INTERLEAVED = 16, 4  # pixels and reference pixels of a cell
BEFORE = NORMAL // 2  # pixels of a cell before its reference pixels
CELL = NORMAL + INTERLEAVED
BEATS = CELL + 2  # of the clock, for a cell
NEW_LINE = 8  # beats


@dataclass(frozen=True)
class Layout:
    """The samples of an exposure; a detector of another size has other numbers of cells and lines."""

    cells: int = 32  #: of each output and line
    lines: int = SIZE

    @property
    def block(self) -> int:
        """Samples of one output in a line."""
        return self.cells * CELL

    @property
    def samples(self) -> int:
        """Samples of all outputs in a line."""
        return OUTPUTS * self.block

    @property
    def slots(self) -> int:
        """Beats of the clock from one line to the next."""
        return self.cells * BEATS + NEW_LINE

    @cached_property
    def interleaved(self) -> Index:
        """Samples of a block that are reference pixels."""
        return np.flatnonzero(self._between(np.arange(self.block)))

    @cached_property
    def normal(self) -> Index:
        """Samples of a block that are pixels of the image."""
        return np.flatnonzero(~self._between(np.arange(self.block)))

    @cached_property
    def slot(self) -> Index:
        """The beat at which each sample of a block is read, in the order of reading."""
        sample = np.arange(self.block)
        place = sample % CELL
        return sample + 2 * (sample // CELL) + (place >= BEFORE) + (place >= BEFORE + INTERLEAVED)

    @cached_property
    def pixels(self) -> Index:
        """Samples of all blocks that are pixels of the image."""
        first = np.arange(1, OUTPUTS) * self.block
        return np.asarray((first[:, None] + self.normal).ravel())

    @staticmethod
    def _between(sample: Index) -> NDArray[np.bool_]:
        place = sample % CELL
        return (place >= BEFORE) & (place < BEFORE + INTERLEAVED)


FULL = Layout()


def is_interleaved(exposure: Exposure) -> bool:
    """Whether an exposure has reference pixels and the reference output beside its image.

    It has until `refpix` has used them.
    """
    return isinstance(exposure, Ramp) and exposure.between is not None


def rows_of(header: Header, layout: Layout = FULL) -> tuple[Index, Index]:
    """Rows of an interleaved array that are those of the image, from the bottom up, and the others."""
    backwards = header.integer("FASTAXIS") < 0
    rows = layout.samples - 1 - layout.pixels[::-1] if backwards else layout.pixels
    return rows, np.setdiff1d(np.arange(layout.samples), rows)


def by_sample(array: NDArray[Any], header: Header) -> NDArray[Any]:
    """View of an interleaved array, or of its image, or the rest, (..., y, x), as (..., sample, line)."""
    return to_detector(array, header).swapaxes(-1, -2)
