"""Moments of a sample between two limits."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.kernels import kernel


@kernel("(f4[::1], f4, f4)")
def between(values, low, high):  # type: ignore[no-untyped-def]
    """Number, mean, standard deviation (N - 1), least and greatest of the values from `low` to `high`.

    Single precision, summed in double. NaN never counts. Where the first value lies
    beyond a limit, that limit stands for the extreme on its side: this is what STScI's
    imagestats does, and the bins of a mode begin there.
    """
    least = max(low, values[0])
    greatest = min(high, values[0])
    count = 0
    total = 0.0
    for value in values:
        if low <= value <= high:
            least = min(least, value)
            greatest = max(greatest, value)
            count += 1
            total += value
    mean = np.float32(total / count)
    squares = 0.0
    for value in values:
        if least <= value <= greatest:
            squares += (value - mean) * (value - mean)
    return count, mean, np.float32(np.sqrt(squares / (count - 1))), least, greatest
