"""Sort long samples."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import radix


def sort(values: Float) -> None:
    """Sort a list of values, ascending, in place; no NaN."""
    if values.dtype == np.float32 and values.flags.c_contiguous:
        radix.sort(values, np.empty_like(values))
    else:
        values.sort()
