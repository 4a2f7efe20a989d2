"""The samples of an interleaved exposure, image and reference pixels together, one output at a time."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.between import Between
from calwebbd.stages.exposure import Float, Header
from calwebbd.stages.irs2 import OUTPUTS, Layout, by_sample


class Samples:
    """One integration. A block is what one output reads in one group, (sample, line), DN.

    sci : (ngroups, ny, nx), the image; between : what is beside it; first : its first group there
    beside : (ngroups, len(between.rows), nx), for what is beside it in blocks that are put back; or None
    """

    def __init__(
        self,
        sci: Float,
        between: Between,
        first: int,
        header: Header,
        layout: Layout,
        beside: Float | None = None,
    ) -> None:
        self.ngroups = len(sci)
        self._image = by_sample(sci, header)
        self._kept = beside
        self._between, self._first, self._header, self._layout = between, first, header, layout
        self._backwards = header.integer("FASTAXIS") < 0

    def block(self, group: int, output: int) -> Float:
        """A block, in an array of its own."""
        beside = by_sample(self._between.sci(self._first + group, self._beside(output)), self._header)
        if output == 0:
            return beside
        layout = self._layout
        block = np.empty((layout.block, layout.lines), np.float32)
        block[layout.normal], block[layout.interleaved] = self._image[group, self._pixels(output)], beside
        return block

    def put(self, group: int, output: int, block: Float) -> None:
        """Make a block's pixels those of the image."""
        if output:
            self._image[group, self._pixels(output)] = block[self._layout.normal]
        if self._kept is not None:
            kept = by_sample(self._kept[group, self._beside(output)], self._header)
            kept[:] = block[self._layout.interleaved] if output else block

    def reference_pixels(self, group: int) -> Float:
        """Those of all outputs, and the samples that the reference output reads meanwhile: (sample, line)."""
        found = [
            by_sample(self._between.sci(self._first + group, self._beside(output)), self._header)
            for output in range(OUTPUTS)
        ]
        return np.concatenate([found[0][self._layout.interleaved], *found[1:]])

    def _pixels(self, output: int) -> slice:
        size = len(self._layout.normal)
        return slice((output - 1) * size, output * size)

    def _beside(self, output: int) -> slice:
        """Which rows beside the image are of an output."""
        block, size = self._layout.block, len(self._layout.interleaved)
        start, stop = (block + (output - 1) * size, block + output * size) if output else (0, block)
        if self._backwards:
            every = len(self._between.rows)
            return slice(every - stop, every - start)
        return slice(start, stop)
