"""What the reference pixels of stripes show, and its removal.

Everything here is in detector orientation, (slow, fast). Stripes have reference pixels wherever their
pattern reads them, so that these are known by their flag alone, not by their place.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.kernels.crossed import subtract_crossed
from calwebbd.stages.readout import SIZE
from calwebbd.stages.steps.refpix.amplifiers import AMPLIFIERS, Mask, RefPixParams, clipped_mean

Array = NDArray[Any]


def correct_stripes(
    planes: Float, usable: Mask, first: int, params: RefPixParams, *, size: int = SIZE
) -> None:
    """Subtract, from the columns of each amplifier, the clipped mean of its reference pixels, in place.

    For odd and even columns apart, if asked for. An amplifier is left alone if one of its two
    means is missing.

    planes : (nplanes, slow, fast), DN, a view
    usable : (slow, fast), the reference pixels
    first : column of the detector that the first one is
    Source: specification detector1 §3 refpix.
    """
    step = 2 if params.odd_even_columns else 1
    columns = np.arange(usable.shape[1])
    amplifier = (columns + first) * AMPLIFIERS // size
    sets = [
        [np.flatnonzero((amplifier == k) & (columns % step == parity)) for parity in range(step)]
        for k in np.unique(amplifier)
    ]
    rows = np.zeros(usable.shape[0])

    def correct(plane: Array) -> None:
        offsets = np.zeros(usable.shape[1])
        for each in sets:
            means = [clipped_mean(plane[:, some][usable[:, some]], params.siglimit) for some in each]
            for some, mean in zip(each, means, strict=True):
                if all(m is not None for m in means):
                    offsets[some] = mean
        subtract_crossed(0, len(plane), plane, offsets, rows)

    in_threads([partial(correct, plane) for plane in planes])
