"""Keep NaN and DO_NOT_USE in step: a pixel without a value has none in any array, and is flagged."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, Image
from calwebbd.stages.scratch import Cube
from calwebbd.stages.threads import by_rows

FLAGGED = ("sci", "err", "dq", "var_poisson", "var_rnoise", "var_flat")  #: arrays that are to agree


def match_nans_and_flags(image: Image) -> NDArray[np.bool_]:
    """Make NaN and DO_NOT_USE agree in all arrays of an image, in place; return where they are.

    A pixel is invalid if it is NaN in SCI, ERR or a variance, or has DO_NOT_USE. It
    becomes NaN in all of these and gets the flag. Infinities stay. Arrays whose shape is
    not that of SCI neither count nor change.
    Source: specification dq_flags §6.
    """
    floats = [array for array in _floats(image) if array.shape == image.sci.shape]
    flagged = image.dq.shape == image.sci.shape
    invalid = np.empty(image.sci.shape, np.bool_)

    def match(start: int, stop: int) -> None:
        rows = np.s_[..., start:stop, :]
        found = np.isnan(floats[0][rows])
        for array in floats[1:]:
            found |= np.isnan(array[rows])
        if flagged:
            dq = image.dq[rows]
            found |= (dq & flags.DO_NOT_USE) != 0
            dq[found] |= np.uint32(flags.DO_NOT_USE)
        for array in floats:
            array[rows][found] = np.nan
        invalid[rows] = found

    by_rows(match, image.sci.shape[-2])
    return invalid


def blank(image: Image, invalid: NDArray[np.bool_]) -> None:
    """Give NaN to the arrays of an image that are on disk, where it is invalid: whenever they are read.

    Only its flags need be written then, and the places kept, which are few.
    """
    places = np.flatnonzero(invalid)
    for name in FLAGGED:
        array = getattr(image, name)
        if name != "dq" and isinstance(array, Cube) and array.shape == invalid.shape:
            setattr(image, name, Cube(array.shape, array.dtype, partial(_blanked, array, places)))


def _blanked(array: Cube, places: NDArray[np.intp], start: int, out: NDArray[Any]) -> None:
    values = out.reshape(-1)
    array.read(start, start + len(out), values)
    first = start * out[0].size
    here = slice(*np.searchsorted(places, (first, first + out.size)))
    values[places[here] - first] = np.nan


def _floats(image: Image) -> list[Float]:
    arrays = (image.sci, image.err, image.var_rnoise, image.var_poisson, image.var_flat)
    return [array for array in arrays if array is not None]
