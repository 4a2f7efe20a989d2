"""What images are drizzled on: the arrays of a frame, on disk where they are too large for memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import memory, scratch
from calwebbd.stages.kernels import by_rows
from calwebbd.stages.steps.resample.variance import VARIANCES, VarianceSum, total_error

Region = tuple[slice, slice]  # rows and columns of a frame
SUMS = [f"{part}_{name}" for name in VARIANCES for part in ("weighted", "weight")]


@dataclass(frozen=True)
class Window:
    """Part of a canvas, to be changed in place.

    x, y : its first pixel; shape : (ny, nx)
    arrays : by name: sci, wht, con of one image's plane, dq, err
    sums : of the variances
    """

    x: int
    y: int
    arrays: dict[str, NDArray[Any]]
    sums: dict[str, VarianceSum]

    @property
    def shape(self) -> tuple[int, int]:
        ny, nx = self.arrays["sci"].shape
        return ny, nx


@dataclass(frozen=True)
class Canvas:
    """Arrays by name, of a frame or a region of it: arrays in memory, or cubes.

    shape : (ny, nx) of the frame
    rows, columns : the region
    once : each window is for one image, the only one: its variances need no sums that last
    """

    shape: tuple[int, int]
    rows: slice
    columns: slice
    on_disk: bool
    once: bool
    ratio: float
    arrays: dict[str, Any]

    @classmethod
    def empty(
        cls,
        shape: tuple[int, int],
        region: Region | None = None,
        *,
        images: int,
        ratio: float,
        variances: bool,
        context: bool,
        dq: bool,
    ) -> Canvas:
        """Zeros: for so many images, with what is asked for beside sci and wht; region None for all.

        ratio : of output to input pixel scale
        """
        rows, columns = region or (slice(0, shape[0]), slice(0, shape[1]))
        kinds: dict[str, Any] = dict.fromkeys(("sci", "wht"), np.float32)
        kinds |= dict.fromkeys(("err", *SUMS) if variances else (), np.float32)
        kinds |= {"dq": np.uint32} if dq else {}
        kinds |= {"con": np.int32} if context else {}
        planes = {"con": (-(-images // 32),)}
        size = rows.stop - rows.start, columns.stop - columns.start
        shapes = {name: (*planes.get(name, ()), *size) for name in kinds}
        on_disk = sum(4 * prod(each) for each in shapes.values()) > memory.budget()
        once = images == 1 and not on_disk
        needed = [name for name in kinds if not (once and name.startswith("weight_"))]
        arrays = {name: scratch.zeros(shapes[name], kinds[name], on_disk=on_disk) for name in needed}
        return cls(shape, rows, columns, on_disk, once, ratio, arrays)

    @contextmanager
    def window(self, rows: slice, columns: slice, *, finish: bool = False) -> Iterator[Window]:
        """Rows and, of a canvas on disk, columns of the frame, in all arrays.

        finish : for what is done once, at the end, otherwise for adding an image
        """
        unused = {"con"} if finish else {"err"}
        arrays = {name: array for name, array in self.arrays.items() if name not in unused}
        columns = columns if self.on_disk else self.columns
        with scratch.window(arrays, _from(rows, self.rows), _from(columns, self.columns)) as found:
            sums = {name: self._sum(found, name) for name in VARIANCES if f"weighted_{name}" in found}
            yield Window(columns.start, rows.start, found, sums)
            if self.once and not finish:
                for each in sums.values():
                    each.result(self.ratio)

    def _sum(self, found: dict[str, NDArray[Any]], name: str) -> VarianceSum:
        weighted = found[f"weighted_{name}"]
        return VarianceSum(weighted, np.zeros_like(weighted) if self.once else found[f"weight_{name}"])

    def finish(self, fill: float) -> dict[str, Any]:
        """The arrays of the product: the fill value where there is no weight, variances and ERR."""

        def finish_rows(start: int, stop: int) -> None:
            rows = slice(self.rows.start + start, self.rows.start + stop)
            with self.window(rows, self.columns, finish=True) as window:
                arrays = window.arrays
                nothing = arrays["wht"] == 0
                arrays["sci"][nothing] = fill
                for sums in window.sums.values():
                    if self.once:
                        sums.weighted[nothing] = np.nan
                    else:
                        sums.result(self.ratio)
                if window.sums:
                    arrays["err"][:] = total_error([sums.weighted for sums in window.sums.values()])

        by_rows(finish_rows, self.rows.stop - self.rows.start)
        return {name.removeprefix("weighted_"): array for name, array in self.arrays.items()}


def _from(part: slice, whole: slice) -> slice:
    """Where the part is, counted from the beginning of the whole."""
    return slice(part.start - whole.start, part.stop - whole.start)
