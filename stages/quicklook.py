"""Pictures of products with captions and scales, for the demo and for pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calwebbd.stages.pictures import limits, read_plane, reduced

CAPTIONS = {
    "uncal": "raw: last group minus first",
    "rate": "count rate",
    "cal": "calibrated",
    "crf": "calibrated, outliers flagged",
    "i2d": "combined",
}


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
    image, unit = read_plane(product)
    image = reduced(image)
    low, high = limits(image)
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
