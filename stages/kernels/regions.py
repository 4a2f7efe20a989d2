"""Connected regions of flagged pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.kernels import helper, kernel


@helper
def root(parent: Any, k: int) -> int:
    """The first point of the region that point k is known to belong to."""
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@helper
def join(parent: Any, k: int, m: int) -> None:
    """Make one region of those of two points."""
    k, m = root(parent, k), root(parent, m)
    parent[max(k, m)] = min(k, m)


@kernel("(u1[:, ::1], u1[:, ::1], u1, b1)")
def label(plane: Any, before: Any, bit: int, new: bool) -> Any:
    """Pixels with the bit, as flat indices in order, the 8-connected region of each, and how many regions.

    new : leave out pixels that have the bit in `before` too
    Regions are numbered from 0 by their first pixels. Few pixels are flagged, so that
    this is some ten times faster than to label the whole plane.
    """
    ny, nx = plane.shape
    number = 0
    for y in range(ny):
        for x in range(nx):
            number += 1 if plane[y, x] & bit and not (new and before[y, x] & bit) else 0
    points = np.empty(number, np.int64)
    parent = np.arange(number)
    k = above = 0
    for y in range(ny):
        for x in range(nx):
            if not plane[y, x] & bit or (new and before[y, x] & bit):
                continue
            here = y * nx + x
            points[k] = here
            if x > 0 and k > 0 and points[k - 1] == here - 1:
                join(parent, k, k - 1)
            while above < k and points[above] < here - nx - 1:
                above += 1
            m = above
            while m < k and points[m] <= here - nx + 1:
                if points[m] // nx == y - 1:
                    join(parent, k, m)
                m += 1
            k += 1
    labels = np.empty(number, np.int64)
    regions = 0
    for k in range(number):
        first = root(parent, k)
        if first == k:
            labels[k] = regions
            regions += 1
        else:
            labels[k] = labels[first]
    return points, labels, regions
