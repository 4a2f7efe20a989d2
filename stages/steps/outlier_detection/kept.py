"""What outlier_detection compares, kept for those who want to look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calwebbd.stages import scratch
from calwebbd.stages.exposure import Exposure, Image, Mosaic
from calwebbd.stages.steps.resample import Drizzled, Frame
from calwebbd.stages.steps.resample.canvas import Region
from calwebbd.stages.steps.resample.metadata import frame_keywords, remove_detector


@dataclass(frozen=True)
class Kept:
    """Images of the sky by group (``outlier_i2d``), their median, and what each image should see (``blot``).

    on_disk : they are too much for memory
    """

    on_disk: bool = False
    outlier_i2d: list[Exposure] = field(default_factory=list)
    median: list[Exposure] = field(default_factory=list)
    blot: list[Exposure] = field(default_factory=list)

    def drizzled(self, first: Image, frame: Frame, part: Region, drizzled: Drizzled, fill: float) -> None:
        """The images of one group, whose name is that of the first."""
        sci, wht = np.full(frame.shape, fill, np.float32), np.zeros(frame.shape, np.float32)
        sci[part], wht[part] = drizzled.sci, drizzled.wht
        self.outlier_i2d.append(_on_frame(self._named(first, sci, frame.wcs, wht), frame))

    def compared(self, first: Image, median: Any, frame: Frame | None) -> None:
        """The median, in a frame, or of the detector's own pixels."""
        kept = self._named(first, np.array(median), frame.wcs if frame else first.wcs)
        self.median.append(_on_frame(kept, frame) if frame else kept)

    def blotted(self, image: Image, own: Any) -> None:
        self.blot.append(self._named(image, own, image.wcs))

    def products(self) -> dict[str, Sequence[Exposure]]:
        """All of them, by suffix."""
        made = {"outlier_i2d": self.outlier_i2d, "median": self.median, "blot": self.blot}
        return {suffix: some for suffix, some in made.items() if some}

    def _named(self, image: Image, sci: Any, wcs: Any, wht: Any = None) -> Mosaic:
        if self.on_disk:
            sci, wht = scratch.put(sci), None if wht is None else scratch.put(wht)
        return Mosaic(image.header.copy(), sci, wht=wht, wcs=wcs, file=image.file)


def _on_frame(kept: Mosaic, frame: Frame) -> Mosaic:
    """With the keywords of a frame; the sky has been taken from the images."""
    keywords = frame_keywords(frame, kept.header)
    remove_detector(kept.header)
    kept.header.update(keywords)
    for name in ("BKGLEVEL", "BKGSUB"):
        kept.header.pop(name, None)
    return kept
