"""What really happened, saved beside the exposures.

For each uncal file ``NAME_truth.fits`` with extensions

* ELECTRONS (ny, nx): e-/s collected, flat field included; 0 on reference pixels;
* RATE (ny, nx): DN/s, what an ideal `rate` product shows;
* COSMIC_RAYS, SNOWBALLS: tables; `group` is the first, from 0, that holds the event,
  `integration` counts from 0 in the file;

``sources.ecsv`` with the sky and ``NAME_sources.ecsv`` with the sources' pixels, and
``truth.json`` with the pointing of every exposure and what was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float, Subarray
from calwebbd.stages.simulate.ramp import Raw


@dataclass(frozen=True)
class Truth:
    """The truth of one exposure, read back."""

    electrons: Float
    rate: Float
    cosmic_rays: NDArray[np.void]
    snowballs: NDArray[np.void]


def write_truth(path: Path, electrons: Float, rate: Float, raw: Raw, integrations: slice) -> None:
    """Save the truth of one file; `integrations` are those of the exposure it holds."""
    start, stop = integrations.start, integrations.stop
    hdus = fits.HDUList([fits.PrimaryHDU()])
    for name, image, unit in (("ELECTRONS", electrons, "electron/s"), ("RATE", rate, "DN/s")):
        hdu = fits.ImageHDU(image, name=name)
        hdu.header["BUNIT"] = unit
        hdus.append(hdu)
    for name, events in (("COSMIC_RAYS", raw.hits), ("SNOWBALLS", raw.snowballs)):
        inside = events[(events["integration"] >= start) & (events["integration"] < stop)]
        inside["integration"] -= start
        hdus.append(fits.BinTableHDU(inside, name=name))
    hdus.writeto(path, overwrite=True)


def read_truth(path: Path) -> Truth:
    """Read what `write_truth` saved."""
    with fits.open(path, memmap=False) as hdus:
        images = [hdus[name].data.astype(np.float32) for name in ("ELECTRONS", "RATE")]
        tables = [np.array(hdus[name].data) for name in ("COSMIC_RAYS", "SNOWBALLS")]
    return Truth(*images, *tables)


def write_sources(
    path: Path, scene: Table, x: NDArray[np.float64], y: NDArray[np.float64], window: Subarray
) -> None:
    """Save the sources inside the window, with zero-based pixels of it."""
    table = scene.copy()
    table["x"], table["y"] = x, y
    inside = (x > -0.5) & (x < window.nx - 0.5) & (y > -0.5) & (y < window.ny - 0.5)
    table[inside].write(path, overwrite=True)
