"""Products of matrices, the same to the last bit for any number of threads."""

from __future__ import annotations

from typing import Any

from calwebbd.stages.kernels import kernel

COLUMNS = 512  # at a time: they stay in the processor's nearest cache


@kernel("(i8, i8, f8[:, ::1], f8[:, ::1], f8[:, ::1])")
def multiply(start: int, stop: int, left: Any, right: Any, out: Any) -> None:
    """Rows of `out`, (n, m): those of left, (n, k), times right, (k, m); summed in the order of k."""
    terms, columns = right.shape
    for first in range(0, columns, COLUMNS):
        last = min(first + COLUMNS, columns)
        for j in range(start, stop):
            row = out[j, first:last]
            row[:] = 0.0
            for k in range(terms):
                factor, others = left[j, k], right[k, first:last]
                for i in range(last - first):
                    row[i] += factor * others[i]
