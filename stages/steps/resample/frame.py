"""The rectified frame onto which exposures are resampled: a tangent plane of square pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gwcs
import numpy as np
from astropy.modeling.models import AffineTransformation2D, Pix2Sky_TAN, RotateNative2Celestial, Scale
from gwcs import FITSImagingWCSTransform
from numpy.typing import NDArray

from calwebbd.stages import footprints
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Header, Image
from calwebbd.stages.steps.resample.pixelscale import local_scale, mean_scale

Box = tuple[tuple[float, float], tuple[float, float]]  # ((x1, x2), (y1, y2))
MOST = 1_000_000_000  #: pixels of a frame: 40 GB of arrays; what is larger is due to a wrong pointing
FAR = 45.0  #: deg from the middle; no plane touches the sphere as far as that


@dataclass(frozen=True)
class FrameParams:
    """The parameters of resample that choose the frame; the defaults cover all inputs."""

    output_shape: tuple[int, ...] | None = None  #: (nx, ny), pixels
    crpix: tuple[float, ...] | None = None  #: (x, y) of the reference pixel, 0-based
    crval: tuple[float, ...] | None = None  #: right ascension and declination of it, deg
    rotation: float | None = None  #: position angle of +y, deg; None for that of the first aperture
    pixel_scale_ratio: float = 1.0  #: of output to input pixels
    pixel_scale: float | None = None  #: arcsec; overrides the ratio
    output_wcs: str = ""  #: ASDF file with a gwcs under ``wcs``; overrides all others

    def __post_init__(self) -> None:
        for name in ("output_shape", "crpix", "crval"):
            value = getattr(self, name)
            if value is not None and len(value) != 2:
                raise ParameterError(f"resample.{name} has {len(value)} values, not two")
        if self.output_shape is not None and min(self.output_shape) < 1:
            raise ParameterError(f"resample.output_shape is {self.output_shape}, but must be positive")


@dataclass(frozen=True)
class Frame:
    """Where the output pixels are.

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

    Raises InputError if an image has no S_REGION, an axis of the frame is less than 2 pixels long, or
    the frame would have more than `MOST` pixels; then it names the image that is farthest off.
    Source: specification image2 §6.1.
    """
    params = params or FrameParams()
    if params.output_wcs:
        return _custom_frame(Path(params.output_wcs), images[0], params)
    first = images[0]
    polygons = [polygon for image in images for polygon in _polygons(image)]
    if params.pixel_scale is None:
        ratio = params.pixel_scale_ratio
        scale = local_scale(first.wcs, _reals(first.header, "RA_REF", "DEC_REF")) * ratio
    else:
        scale = params.pixel_scale / 3600
        ratio = scale / mean_scale(first.wcs, first.sci.shape)
    crval = np.array(middle(polygons) if params.crval is None else params.crval, np.float64)
    pc = rotation_matrix(first.header, params.rotation)
    vertices, centre = footprints.directions(np.vstack(polygons)), footprints.directions(crval)
    if np.rad2deg(np.arccos((vertices @ centre).clip(-1, 1))).max() > FAR:
        raise too_large(images, f"span more than {FAR:g} deg")
    tangent = (
        AffineTransformation2D(matrix=pc)
        | Scale(scale) & Scale(scale)
        | Pix2Sky_TAN()
        | RotateNative2Celestial(crval[0], crval[1], 180)
    )
    outline = np.hstack([tangent.inverse(*polygon.T) for polygon in polygons])
    crpix, box, shape = place(outline, np.array(tangent.inverse(*crval)), params)
    if shape[0] * shape[1] > MOST and params.output_shape is None:
        raise too_large(images, f"need a frame of {shape[1]}x{shape[0]} pixels")
    if min(shape) < 2:
        raise InputError(f"the output frame would have {shape[1]}x{shape[0]} pixels")
    transform = FITSImagingWCSTransform(Pix2Sky_TAN(), crpix=crpix, crval=crval, cdelt=[scale, scale], pc=pc)
    wcs = gwcs.WCS([(first.wcs.input_frame, transform), (first.wcs.output_frame, None)])
    wcs.bounding_box = box
    wcs.pixel_shape = shape[::-1]
    return Frame(wcs, shape, 3600 * scale, ratio)


def middle(polygons: Sequence[footprints.Polygon]) -> tuple[float, float]:
    """Direction (ra, dec), degrees, of the middle of the box around all vertices as unit vectors."""
    vectors = footprints.directions(np.vstack(polygons))
    x, y, z = (vectors.max(axis=0) + vectors.min(axis=0)) / 2
    return float(np.rad2deg(np.arctan2(y, x)) % 360), float(np.rad2deg(np.arctan2(z, np.hypot(x, y))))


def too_large(images: Sequence[Image], why: str) -> InputError:
    """The error that says which image has its footprint farthest from the middle of the others.

    Of two it is the one that is farther from its target, as each is as far from the other.
    """
    centres = np.array([footprints.directions(np.vstack(_polygons(image))).mean(axis=0) for image in images])
    if len(images) == 1:
        return InputError(f"the exposures {why}", file=images[0].file)
    middles = [np.median(np.delete(centres, n, axis=0), axis=0) for n in range(len(images))]
    from_what = "the others"
    if len(images) == 2 and all({"TARG_RA", "TARG_DEC"} <= set(image.header) for image in images):
        targets = [_reals(image.header, "TARG_RA", "TARG_DEC") for image in images]
        middles, from_what = list(footprints.directions(np.array(targets))), "its target"
    apart = np.linalg.norm(centres - middles, axis=1)
    worst = int(apart.argmax())
    angle = np.rad2deg(2 * np.arcsin(min(apart[worst] / 2, 1)))
    return InputError(
        f"the exposures {why}; this one is farthest from {from_what}, by {angle:.3g} deg",
        file=images[worst].file,
    )


def rotation_matrix(header: Header, rotation: float | None) -> NDArray[np.float64]:
    """PC matrix of axes turned like the aperture, or by `rotation` (deg), with the aperture's parity."""
    roll, yangle, parity = _reals(header, "ROLL_REF", "V3I_YANG", "VPARITY")
    angle = np.deg2rad(roll) - parity * np.deg2rad(yangle) if rotation is None else np.deg2rad(rotation)
    return np.array([[parity * np.cos(angle), np.sin(angle)], [-parity * np.sin(angle), np.cos(angle)]])


def place(
    outline: NDArray[np.float64], native: NDArray[np.float64], params: FrameParams
) -> tuple[NDArray[np.float64], Box, tuple[int, int]]:
    """Where the array lies in the tangent plane: reference pixel, bounding box, (ny, nx).

    outline : (2, vertices), x and y in units of pixels
    native : (x, y) of the reference point

    The lowest vertex is at pixel 0, unless the user says where the reference pixel is.
    """
    low, high = outline.min(axis=1), outline.max(axis=1)
    shift = native - low if params.crpix is None else np.array(params.crpix, np.float64) - native
    low, high = low + shift, high + shift
    if params.output_shape is None:
        nx, ny = (int(edge + 0.5) for edge in high)
        return shift, ((-0.5, nx - 0.5), (-0.5, ny - 0.5)), (ny, nx)
    nx, ny = params.output_shape
    x, y = (
        (max(0, int(first + 0.5)) - 0.5, min(int(last + 0.5), size) - 0.5)
        for first, last, size in zip(low, high, (nx, ny), strict=True)
    )
    return shift, (x, y), (ny, nx)


def _custom_frame(path: Path, first: Image, params: FrameParams) -> Frame:
    import asdf

    if not path.exists():
        raise ParameterError(f"resample.output_wcs names {path}, which does not exist")
    with asdf.open(path, lazy_load=False, memmap=False) as file:
        tree = dict(file.tree)
    if "wcs" not in tree:
        raise ParameterError(f"resample.output_wcs {path.name} has no wcs")
    wcs = tree["wcs"]
    wcs.array_shape = shape = _custom_shape(wcs, tree, params)
    scale = tree.get("pixel_scale")
    if scale is None and tree.get("pixel_area") is not None:
        scale = np.sqrt(tree["pixel_area"])
    if scale is None:
        scale = 3600 * mean_scale(wcs, shape)
    if first.header.get("PIXAR_SR"):
        nominal = 3600 * np.rad2deg(np.sqrt(first.header.real("PIXAR_SR")))
    else:
        nominal = 3600 * mean_scale(first.wcs, first.sci.shape)
    return Frame(wcs, shape, float(scale), float(scale / nominal))


def _custom_shape(wcs: Any, tree: dict[str, Any], params: FrameParams) -> tuple[int, int]:
    """(ny, nx): of the parameter, else the gwcs, else the file, else its bounding box."""
    if params.output_shape is not None:
        ny, nx = params.output_shape[::-1]
    elif wcs.array_shape is not None:
        ny, nx = wcs.array_shape
    elif tree.get("array_shape") is not None:
        ny, nx = tree["array_shape"]
    elif tree.get("pixel_shape") is not None:
        ny, nx = tree["pixel_shape"][::-1]
    elif wcs.bounding_box is not None:
        ny, nx = (int(edges[1] + 0.5) for edges in wcs.bounding_box.bounding_box(order="C"))
    else:
        raise ParameterError("resample.output_wcs does not say its shape; give resample.output_shape")
    return int(ny), int(nx)


def _polygons(image: Image) -> list[footprints.Polygon]:
    polygons = footprints.parse(str(image.header.get("S_REGION", "")))
    if not polygons or image.wcs is None:
        raise InputError("the exposure has no S_REGION or no WCS: assign_wcs has not run", file=image.file)
    return polygons


def _reals(header: Header, *keywords: str) -> list[float]:
    missing = [key for key in keywords if header.get(key) in (None, "")]
    if missing:
        raise InputError(f"{', '.join(missing)} missing from the header")
    return [header.real(key) for key in keywords]
