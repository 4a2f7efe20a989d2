"""Quick-look pictures of products."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calwebbd.stages.exposure import Float
from calwebbd.stages.fits.arrays import open_fits, read_array

CAPTIONS = {
    "uncal": "raw: last group minus first",
    "rate": "count rate",
    "cal": "calibrated",
    "crf": "calibrated, outliers flagged",
    "i2d": "combined",
}
SIDE = 1024  # pixels; larger images are thinned to this


def quicklook(product: Path, picture: Path) -> Path:
    """Draw one product as a PNG: asinh stretch, NaN grey, with a scale in its own unit."""
    return montage([product], picture)


def montage(products: Sequence[Path], picture: Path) -> Path:
    """Draw products side by side as one PNG."""
    figure = Figure(figsize=(4.6 * len(products), 4.9), layout="constrained")
    for axes, product in zip(np.atleast_1d(figure.subplots(1, len(products))), products, strict=True):
        _draw(axes, product)
    figure.savefig(picture, dpi=110, metadata={"Software": "calwebbd"})
    return picture


def _draw(axes: Axes, product: Path) -> None:
    image, unit = _image(product)
    step = max(1, max(image.shape) // SIDE)
    image = image[::step, ::step]
    low, high = _limits(image)
    softening = max((high - low) / 20, 1e-12)
    colours: Any = {"cmap": "inferno", "vmin": 0, "vmax": np.arcsinh((high - low) / softening)}
    axes.set_facecolor("0.5")
    drawn = axes.imshow(
        np.arcsinh((image - low) / softening), origin="lower", interpolation="nearest", **colours
    )
    axes.set(xticks=[], yticks=[])
    suffix = product.stem.rsplit("_", 1)[-1]
    axes.set_title(f"{CAPTIONS.get(suffix, suffix)}\n{product.stem}", fontsize=7.5)
    assert axes.figure is not None
    bar = axes.figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.9, pad=0.01, label=unit)
    ticks = np.linspace(0, colours["vmax"], 5)
    bar.set_ticks(ticks.tolist(), labels=[f"{low + softening * np.sinh(t):.3g}" for t in ticks])


def _image(product: Path) -> tuple[Float, str]:
    """The picture's pixels and their unit; of a ramp, what was collected in its first integration."""
    with open_fits(product) as hdus:
        sci = hdus["SCI"]
        unit = str(sci.header.get("BUNIT", "DN"))
        axes = sci.header["NAXIS"]
        shown = sci.header["NAXIS3"] if axes == 4 else 1
        array = read_array(product, sci, planes=slice(0, shown) if axes > 2 else None).astype(np.float32)
    return array[-1] - array[0] if axes == 4 else array.reshape(array.shape[-2:]), unit


def _limits(image: Float) -> tuple[float, float]:
    """Darkest and brightest level to show; (0, 1) if nothing is finite."""
    finite = image[np.isfinite(image)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (2.0, 99.7))
    return float(low), float(max(high, low + 1e-6))
