"""The rectified frame onto which exposures are resampled: a tangent plane of square pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calwebbd.stages.exposure import Image


@dataclass(frozen=True)
class FrameParams:
    """The parameters of resample that choose the frame; the defaults cover all inputs."""

    output_shape: tuple[int, ...] | None = None  #: (nx, ny), pixels
    crpix: tuple[float, ...] | None = None  #: (x, y) of the reference pixel, 0-based
    crval: tuple[float, ...] | None = None  #: right ascension and declination of it, deg
    rotation: float | None = None  #: position angle of +y, deg
    pixel_scale_ratio: float = 1.0  #: of output to input pixels
    pixel_scale: float | None = None  #: arcsec; overrides the ratio
    output_wcs: str = ""  #: ASDF file with a gwcs under ``wcs``; overrides all others


@dataclass(frozen=True)
class Frame:
    """
    wcs : gwcs from output pixels (0-based) to the sky
    shape : (ny, nx)
    pixel_scale : arcsec
    ratio : of output to input pixel scale
    """

    wcs: Any
    shape: tuple[int, int]
    pixel_scale: float
    ratio: float


def output_frame(images: Sequence[Image], params: FrameParams | None = None) -> Frame:
    """The frame that holds the footprints (S_REGION) of all images, turned like the first one's aperture.

    Raises InputError if an image has no S_REGION or an axis of the frame is less than 2 pixels long.
    Source: specification image2 §6.1.
    """
    raise NotImplementedError
