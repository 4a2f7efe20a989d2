"""What an interleaved exposure holds beside its image: left in its file, and read by group and rows.

It is a third of NIRSpec's IRS2 read-out (`irs2`), of which nothing but the correction of the
image needs anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.scratch import Cube, plane

Rows = NDArray[np.intp]
Read = Callable[[int, Rows], NDArray[Any]]
EVERY = slice(None)


@dataclass(eq=False)
class Between:
    """Rows of an interleaved exposure that are not of its image. Groups count through its integrations.

    image, rows : which rows of the whole array are of the image, and which these are, ascending
    pixeldq : (len(rows), nx) uint32
    flagged : (len(rows), nx) uint8, flags that all groups have beside those of the file
    read : a group's samples in some rows of the whole array, float32, in an array of their own, DN
    read_flags : the same of GROUPDQ, uint8; None if the file has none
    changes : what steps did to the samples, in place: functions of samples and of which of `rows` they are
    first : how many groups of the file come before these
    """

    image: Rows
    rows: Rows
    pixeldq: NDArray[np.uint32]
    flagged: NDArray[np.uint8]
    read: Read
    read_flags: Read | None = None
    changes: list[Callable[[NDArray[np.float32], slice], None]] = field(default_factory=list)
    first: int = 0

    def sci(self, group: int, which: slice = EVERY) -> NDArray[np.float32]:
        """Samples of one group as steps have left them, (of `rows[which]`, nx), DN."""
        samples = self.read(self.first + group, self.rows[which])
        for change in self.changes:
            change(samples, which)
        return samples

    def groupdq(self, group: int) -> NDArray[np.uint8]:
        """Flags of one group, (len(rows), nx)."""
        if self.read_flags is None:
            return self.flagged
        return np.asarray(self.read_flags(self.first + group, self.rows) | self.flagged)

    def part(self, first: int) -> Between:
        """The same from a group on, with flags and changes of its own."""
        return replace(
            self,
            pixeldq=self.pixeldq.copy(),
            flagged=self.flagged.copy(),
            changes=list(self.changes),
            first=self.first + first,
        )

    def become(self, samples: Cube) -> None:
        """Have these samples from now on; samples : (groups, len(rows), nx), DN."""
        begin = self.first
        self.read = lambda group, rows: plane(samples, group - begin)[np.searchsorted(self.rows, rows)]
        self.changes = []

    def split(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """An array of the whole, (..., ny, nx), as what is of the image and what is not."""
        return array.take(self.image, -2), array.take(self.rows, -2)

    def merge(self, image: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
        """`split` undone."""
        whole = np.empty((*image.shape[:-2], len(self.image) + len(self.rows), image.shape[-1]), image.dtype)
        whole[..., self.image, :], whole[..., self.rows, :] = image, others
        return whole

    def frames(self, cube: Any, others: Callable[[int], NDArray[Any]]) -> Cube:
        """All groups as a whole, (nints * ngroups, ny, nx), made when they are read.

        cube : (nints, ngroups, ny, nx), the image; others : what is beside it in a group
        """
        nints, ngroups, ny, nx = cube.shape
        integration = lru_cache(1)(lambda n: plane(cube, n))

        def made(start: int, out: NDArray[Any]) -> None:
            for n, whole in enumerate(out, start):
                whole[self.image] = integration(n // ngroups)[n % ngroups]
                whole[self.rows] = others(n)

        return Cube((nints * ngroups, ny + len(self.rows), nx), cube.dtype, made)
