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

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Exposure, Header, Subarray
from calwebbd.stages.readout import SIZE, to_detector
from calwebbd.stages.scratch import Cube

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
    """Whether an exposure's rows have reference pixels and the reference output between those of the image.

    They have until `refpix` takes them out.
    """
    return bool(exposure.sci.shape[-2] > SIZE)


def pixel_rows(header: Header, layout: Layout = FULL) -> Index:
    """Rows of an interleaved array that are those of the image, from the bottom up."""
    backwards = header.integer("FASTAXIS") < 0
    return layout.samples - 1 - layout.pixels[::-1] if backwards else layout.pixels


def image_of(subarray: Subarray) -> Subarray:
    """The part of an interleaved exposure's rows that is the image."""
    return replace(subarray, ny=SIZE)


def by_sample(array: NDArray[Any], header: Header) -> NDArray[Any]:
    """View of an interleaved array, (..., y, x), as (..., sample, line)."""
    return to_detector(array, header).swapaxes(-1, -2)


def without_samples(cube: Any, rows: Index) -> Any:
    """The given rows, ascending, of each plane: in the same memory, of which the rest is freed, or on disk.

    cube : (nints, ngroups, ny, nx), C-ordered, and there must be no views of it
    """
    nints, ngroups, _, nx = cube.shape
    if isinstance(cube, Cube):
        small = Cube((nints, ngroups, len(rows), nx), cube.dtype)
        for n in range(nints):
            small.write(n, cube.read(n, n + 1)[:, :, rows])
        return small
    planes = cube.reshape(nints * ngroups, -1, nx)
    front = planes.reshape(-1)[: len(planes) * len(rows) * nx].reshape(-1, len(rows), nx)
    for before, after in zip(planes, front, strict=True):
        after[:] = before[rows]
    if not cube.flags.owndata:
        return front.reshape(nints, ngroups, len(rows), nx)
    del planes, front, before, after
    cube.resize((nints, ngroups, len(rows), nx), refcheck=False)
    return cube
