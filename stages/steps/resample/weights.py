"""What each input pixel counts."""

from __future__ import annotations

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Float, Header, Image

ALL_BITS = 0xFFFFFFFF


def weights(image: Image, weight_type: str, good_bits: str | int | None, rows: slice = slice(None)) -> Float:
    """(rows, nx) weights; 0 where a flag outside `good_bits` is set.

    ivm : 1 / VAR_RNOISE, 0 where that is not finite
    exptime : the exposure time, s

    Source: specification image2 §6.3.
    """
    if weight_type == "exptime":
        weight = np.full(image.sci[rows].shape, exposure_time(image.header), np.float32)
    elif image.var_rnoise.shape != image.sci.shape:
        weight = np.ones(image.sci[rows].shape, np.float32)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.float32(1) / image.var_rnoise[rows]
        weight[~np.isfinite(weight)] = 0
    good = flags.parse(good_bits)
    if good is not None:
        weight[(image.dq[rows] & np.uint32(~good & ALL_BITS)) != 0] = 0
    return weight


def exposure_time(header: Header) -> float:
    """TMEASURE, else EFFEXPTM, s. Raises InputError if EFFEXPTM is absent or not positive."""
    effective = header.real("EFFEXPTM", 0.0)
    if effective <= 0:
        raise InputError(f"EFFEXPTM is {header.get('EFFEXPTM')}, but must be positive")
    return header.real("TMEASURE", effective)
