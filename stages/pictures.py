"""Small pictures of products, as PNG files of the same name beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.fits.arrays import open_fits, read_array
from calwebbd.stages.names import TABLES

SIDE = 1024  #: pixels; larger images are averaged down to this
#: products that are drawn; of those by integration, the first
IMAGES = frozenset({"rate", "bsub", "bsubints", "cal", "calints", "crf", "i2d", "wfscmb", "segm"})
#: from dark to bright: black, violet, red, orange, pale yellow
COLOURS = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)])
NOTHING = (128, 128, 128)  #: NaN
OUTLINE, CIRCLE = (80, 160, 255), (90, 255, 120)
RADIUS = 7  #: of a circle around a source, pixels of the picture
RGB = NDArray[np.uint8]


def pictures(products: Iterable[Path]) -> list[Path]:
    """Draw those of the products that are images; returns the pictures."""
    return [picture(path) for path in products if _suffix(path) in IMAGES and path.suffix == ".fits"]


def picture(product: Path) -> Path:
    """Draw a product, north or readout up as it is stored: asinh stretch, NaN grey.

    A map of segments is drawn as outlines over its mosaic, with circles around the sources of the
    catalogue, if these lie beside it. The picture names its product, as its title. It appears whole
    or not at all.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    title = PngInfo()
    title.add_text("Title", product.name)  # two that look the same are two products
    if _suffix(product) == "segm":
        drawn = _sources(product)
    else:
        image = reduced(read_plane(product)[0])
        drawn = Image.fromarray(coloured(image)[::-1])
    target = product.with_suffix(".png")
    partial = target.with_name(f".{target.name}.partial")
    try:
        drawn.save(partial, format="png", pnginfo=title)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def read_plane(product: Path) -> tuple[Float, str]:
    """A product's picture, (ny, nx), and its unit; of a ramp, what its first integration collected."""
    with open_fits(product) as hdus:
        sci = hdus["SCI"]
        unit = str(sci.header.get("BUNIT", "DN"))
        axes = sci.header["NAXIS"]
        shown = sci.header["NAXIS3"] if axes == 4 else 1
        array = read_array(product, sci, planes=slice(0, shown) if axes > 2 else None).astype(np.float32)
    return array[-1] - array[0] if axes == 4 else array.reshape(array.shape[-2:]), unit


def reduced(image: Float) -> Float:
    """The means of blocks of pixels, so that no side is longer than `SIDE`; NaN has no part in them."""
    step = _step(image.shape)
    if step == 1:
        return image
    ny, nx = (-(-length // step) * step for length in image.shape)
    padded = np.full((ny, nx), np.nan, np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    blocks = padded.reshape(ny // step, step, nx // step, step)
    number = np.isfinite(blocks).sum(axis=(1, 3))
    total = np.where(np.isfinite(blocks), blocks, 0).sum(axis=(1, 3))
    return np.where(number > 0, total / np.maximum(number, 1), np.nan).astype(np.float32)


def limits(image: Float) -> tuple[float, float]:
    """Darkest and brightest level to show; (0, 1) if nothing is finite."""
    finite = image[np.isfinite(image)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (2.0, 99.7))
    return float(low), float(max(high, low + 1e-6))


def coloured(image: Float) -> RGB:
    """(ny, nx, 3) colours of an image."""
    low, high = limits(image)
    softening = max((high - low) / 20, 1e-12)
    shown = np.isfinite(image)
    level = np.arcsinh(np.clip(np.where(shown, image, low) - low, 0, high - low) / softening)
    level /= np.arcsinh((high - low) / softening)
    at = np.linspace(0, 1, len(COLOURS))
    rgb = np.stack([np.interp(level, at, channel) for channel in COLOURS.T], axis=-1)
    rgb[~shown] = NOTHING
    return np.asarray(np.rint(rgb), np.uint8)


def _sources(product: Path) -> Any:
    """Outlines of the segments over the mosaic, and circles around the sources."""
    from PIL import Image, ImageDraw

    labels = read_plane(product)[0]
    mosaic, step = _beside(product, "i2d"), _step(labels.shape)
    rgb = coloured(reduced(read_plane(mosaic)[0] if mosaic.exists() else labels))
    labels = labels[::step, ::step]
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    rgb[edge] = OUTLINE
    drawn = Image.fromarray(rgb[::-1])
    pen = ImageDraw.Draw(drawn)
    for x, y in _places(_beside(product, "cat")):
        column, row = x / step, len(rgb) - 1 - y / step
        pen.ellipse((column - RADIUS, row - RADIUS, column + RADIUS, row + RADIUS), outline=CIRCLE)
    return drawn


def _places(catalogue: Path) -> NDArray[np.float64]:
    """(n, 2) centroids that are known; none without a catalogue."""
    if not catalogue.exists():
        return np.zeros((0, 2))
    from astropy.table import QTable

    table = QTable.read(catalogue)
    places = np.transpose([np.asarray(table[name]) for name in ("xcentroid", "ycentroid")])
    return np.asarray(places[np.isfinite(places).all(axis=1)])


def _beside(product: Path, suffix: str) -> Path:
    ending = ".ecsv" if suffix in TABLES else ".fits"
    return product.with_name(product.stem.removesuffix(_suffix(product)) + suffix + ending)


def _suffix(product: Path) -> str:
    """Without the number that a pair of wavefront sensing has after it."""
    return product.stem.rsplit("_", 1)[-1].partition("-")[0]


def _step(shape: tuple[int, ...]) -> int:
    """Pixels along the side of a block."""
    return -(-max(shape) // SIDE)
