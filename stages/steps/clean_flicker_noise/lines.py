"""Noise that is one value for each line of the detector."""

from __future__ import annotations

import numpy as np

from calwebbd.stages.exposure import Float
from calwebbd.stages.steps.clean_flicker_noise.clipping import Mask

CHANNEL = 512  # pixels of a line that one amplifier reads, in a full frame


def line_medians(image: Float, mask: Mask, axis: int, *, by_channel: bool = False) -> Float:
    """Median of each line under the mask; 0 for a line without pixels there.

    image, mask : (ny, nx)
    axis : along which lines run, 1 for rows
    by_channel : a median for every 512 pixels of a line

    Returns an array that broadcasts with the image: (ny, 1), (1, nx) or (ny, nx).
    """
    masked = np.where(mask, image, np.float32(np.inf))
    lines = masked if axis == 1 else np.ascontiguousarray(masked.T)
    used = mask if axis == 1 else mask.T
    channels = lines.shape[1] // CHANNEL if by_channel and lines.shape[1] % CHANNEL == 0 else 1
    lines = lines.reshape(len(lines), channels, -1)
    count = np.count_nonzero(used.reshape(lines.shape), axis=-1)[..., None]
    lines.sort(axis=-1)
    low = np.take_along_axis(lines, np.maximum(count - 1, 0) // 2, -1)
    high = np.take_along_axis(lines, np.minimum(count // 2, lines.shape[-1] - 1), -1)
    with np.errstate(invalid="ignore"):  # infinite where there are none
        medians = np.where(count % 2 == 1, low, (low + high) / np.float32(2))
    medians = np.where(count > 0, medians, np.float32(0))[..., 0]
    stripes = np.repeat(medians, CHANNEL, axis=1) if channels > 1 else medians
    return stripes if axis == 1 else stripes.T
