"""Compare an image with a model of it, and say which pixels stand out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, Image
from calwebbd.stages.kernels import bilinear, by_rows, outliers
from calwebbd.stages.masking import match_nans_and_flags
from calwebbd.stages.scratch import Cube
from calwebbd.stages.steps.resample.pixmap import PixelMap, extents, reached

Mask = NDArray[np.bool_]


def blot(median: Any, points: PixelMap) -> Float:
    """What an image would be if it saw the median: that, sampled at its pixels.

    median : (ny, nx), an array or a cube
    points : where in the median the pixels of the image lie

    NaN outside the median, and next to NaN in it.
    """
    ny, nx = median.shape
    out = np.empty(points.shape, np.float32)
    window, x, y = median, 0, 0
    if isinstance(median, Cube):
        rows, columns = reached(extents(points), 2, (slice(0, ny), slice(0, nx)))
        window, x, y = median.read_window(rows, columns), columns.start, rows.start

    def sample(start: int, stop: int) -> None:
        places = points.rows(start, stop)
        bilinear.sample(0, len(places), window, x, y, nx, ny, places, out[start:stop])

    by_rows(sample, len(out))
    return out


def outliers_of_model(
    sci: Float, err: Float, model: Float, sky: float, snr: Sequence[float], scale: Sequence[float]
) -> Mask:
    """Pixels that differ from the model by more than the noise and the model's slope allow.

    sci, err, model : (ny, nx); the model has no sky, sci does
    snr, scale : of the two limits, scale x slope + snr x err: an outlier is beyond the second,
        and it or one of its eight neighbours is beyond the first

    NaN in sci or model is no outlier. Source: specification image3 §5.
    """
    out = np.empty(sci.shape, np.bool_)
    limits = np.array(scale, np.float32), np.array(snr, np.float32)
    by_rows(outliers.flag, len(out), sci, err, model, np.float32(sky), *limits, out)
    return out


def outliers_of_noise(sci: Float, err: Float, model: Float, snr: float) -> Mask:
    """Pixels that differ from a model on their own grid by more than `snr` times the noise."""
    mask: Mask = np.abs(sci - model) > np.float32(snr) * np.nan_to_num(err)
    return mask


def mark(image: Image, mask: Mask) -> Mask:
    """Flag the pixels OUTLIER and DO_NOT_USE, and make them NaN, in place; return all that are invalid."""
    image.dq[mask] |= np.uint32(flags.OUTLIER | flags.DO_NOT_USE)
    image.notes["outlier_detection"] = {"share": np.count_nonzero(mask) / mask.size}
    return match_nans_and_flags(image)
