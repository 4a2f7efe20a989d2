"""Reference pixels of MIRI: four columns at the left and four at the right, one for each amplifier."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.steps.refpix.amplifiers import AMPLIFIERS, Mask, Mean, RefPixParams, clipped_mean


def correct_by_columns(sci: Float, bad: Mask, params: RefPixParams) -> None:
    """Subtract from one integration how its reference pixels drift after the first group, in place.

    sci : (ngroups, ny, nx), DN, of a full frame; columns k, k + 4, … belong to amplifier k
    bad : (ny, nx), reference pixels that must not be used

    For each amplifier, and for odd and even rows apart, the clipped means of its left and
    of its right reference column are averaged. If any of them has no usable pixel, nothing
    is corrected.
    Source: specification detector1 §3 refpix.
    """
    rows = [slice(k, None, 2) for k in range(2)] if params.odd_even_rows else [slice(None)]
    columns = list(range(AMPLIFIERS)) + list(range(-AMPLIFIERS, 0))
    if any(bad[part, column].all() for part in rows for column in columns):
        return
    first = sci[0].copy()

    def correct(group: Float) -> None:
        group -= first
        for part in rows:
            for k in range(AMPLIFIERS):
                group[part, k::AMPLIFIERS] -= _drift(group[part], bad[part], k, params.siglimit)
        group += first

    in_threads([partial(correct, group) for group in sci[1:]])


def _drift(group: NDArray[Any], bad: Mask, amplifier: int, limit: float) -> Mean:
    edges = (amplifier, amplifier - AMPLIFIERS)
    left, right = (cast(Mean, clipped_mean(group[~bad[:, x], x], limit)) for x in edges)
    return np.float32(0.5 * (left + right))
