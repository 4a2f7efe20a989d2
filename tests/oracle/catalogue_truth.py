"""Compare catalogues with the stars that the simulator put into the sky.

    calwebbd demo --dir night && python tests/oracle/catalogue_truth.py night/products night/truth

For each mosaic: how many stars that stand alone were found, and of those how far off total fluxes and
places are, beside what the photons allow (flux error; FWHM / 2.35 / signal-to-noise on each axis).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable, Table
from numpy.typing import NDArray

ALONE = 20  #: pixels to the next star
EDGE = 15  #: pixels that all must see, around a star
NEAR = 2.0  #: pixels between a star and what was found of it
BRIGHT = 20.0  #: signal-to-noise above which biases are counted

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """Stars that stand alone, and what the catalogue has of them.

    flux : ratio to the truth; pull : difference over its error; signal : over noise
    offset : (2, n) pixels; limit : (n,) that of photons
    """

    injected: int
    flux: Values
    pull: Values
    signal: Values
    offset: Values
    limit: Values

    def lines(self) -> Iterator[str]:
        bright = self.signal > BRIGHT
        yield f"{self.injected} stars alone, {len(self.flux)} found, {bright.sum()} of S/N > {BRIGHT:.0f}"
        ratio = self.flux[bright]
        yield f"flux / truth: median {np.median(ratio):.4f}, scatter {spread(ratio):.4f}"
        yield f"flux pull: median {np.median(self.pull):+.2f}, width {spread(self.pull):.2f}"
        inner = self.offset - np.median(self.offset[:, bright], axis=1, keepdims=True)
        for name, values in zip("xy", inner, strict=True):
            measured, photons = spread(values[bright]), np.median(self.limit[bright])
            pull = spread(values / self.limit)
            yield f"{name}: scatter {measured:.4f} px, photons {photons:.4f} px; width of pulls {pull:.2f}"


def spread(values: Values) -> float:
    """Half of the range that holds the central 68 %."""
    low, high = np.percentile(values, (16, 84))
    return float(high - low) / 2


def compare(catalogue: Path, stars: Any) -> Found:
    """What a catalogue has of the stars of the simulator's list."""
    table = QTable.read(catalogue)
    with fits.open(catalogue.with_name(catalogue.name.replace("_cat.ecsv", "_i2d.fits"))) as hdus:
        header, seen = hdus["SCI"].header, hdus["WHT"].data > 0
        channel = hdus[0].header["CHANNEL"]
        scale = np.sqrt(header["PIXAR_A2"])
    magnitude = np.asarray(stars["abmag"] + (stars["colour"] if channel == "LONG" else 0))
    sky = SkyCoord(stars["ra"], stars["dec"], unit="deg")
    alone = sky.match_to_catalog_sky(sky, nthneighbor=2)[1].arcsec > ALONE * scale
    places = _pixels(header, sky)
    alone &= (np.asarray(stars["radius"]) == 0) & _within(seen, places)
    index, apart, _ = sky.match_to_catalog_sky(table["sky_centroid"])
    found = alone & (apart.arcsec < NEAR * scale)
    rows = table[index[found]]
    true = 10 ** (-0.4 * (magnitude[found] - 8.9))
    flux, error = (rows[f"aper_total_flux{end}"].to_value(u.Jy) for end in ("", "_err"))
    offset = np.array([rows["xcentroid"], rows["ycentroid"]]) - places[:, found]
    sigma = np.median(rows["semimajor_sigma"].value)
    limit = sigma / (flux / error)
    return Found(int(alone.sum()), flux / true, (flux - true) / error, flux / error, offset, limit)


def _pixels(header: Any, sky: Any) -> Values:
    """(2, n), 0-based, by the tangent plane of the header."""
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # dates
        return np.array(WCS(header).world_to_pixel(sky))


def _within(seen: NDArray[np.bool_], places: Values) -> NDArray[np.bool_]:
    """Whether all pixels around a place have been seen."""
    from scipy.ndimage import minimum_filter

    inner = minimum_filter(seen, 2 * EDGE + 1, mode="constant")
    column, row = np.rint(places).astype(int)
    inside = (column >= 0) & (column < seen.shape[1]) & (row >= 0) & (row < seen.shape[0])
    inside[inside] = inner[row[inside], column[inside]]
    return inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("products", type=Path)
    parser.add_argument("truth", type=Path)
    arguments = parser.parse_args()
    stars = Table.read(arguments.truth / "sources.ecsv")
    for catalogue in sorted(arguments.products.glob("*_cat.ecsv")):
        print(catalogue.name, *compare(catalogue, stars).lines(), sep="\n  ")


if __name__ == "__main__":
    main()
