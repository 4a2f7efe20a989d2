"""Find the sources of a mosaic and measure them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.exposure import Catalogue, Mosaic
from calwebbd.stages.products import Segmentation
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip, step
from calwebbd.stages.steps.source_catalog.apertures import Apertures, apertures_for, vega_offset
from calwebbd.stages.steps.source_catalog.detection import Sources, find_sources
from calwebbd.stages.steps.source_catalog.table import measure
from calwebbd.stages.steps.tweakreg.sources import FinderParams

__all__ = ["Apertures", "Sources", "apertures_for", "find_sources", "measure", "source_catalog"]


@dataclass(frozen=True)
class SourceCatalogParams(FinderParams):
    aperture_ee1: int = 30  #: energy that the smallest aperture encircles, percent
    aperture_ee2: int = 50  #: the middle one
    aperture_ee3: int = 70  #: the largest one, from which the total flux follows
    ci1_star_threshold: float = 2.0  #: flux ratio of the middle to the smallest aperture, and …
    ci2_star_threshold: float = 1.8  #: … of the largest to the middle one, above which a source is extended
    starfinder: Literal["dao", "iraf", "segmentation"] = "segmentation"  #: how sources are found
    snr_threshold: float = 3.0  #: of a source's pixels above the background, its rms
    bkg_boxsize: int = 1000  #: of the mesh of the background, pixels
    kernel_fwhm: float = 2.0  #: of the Gaussian through which the mosaic is seen, pixels
    npixels: int = 25  #: segmentation: least number of connected pixels
    peakmax: float | None = None  #: dao, iraf: greatest pixel of a source, Jy
    kron_params: tuple[float, ...] | None = None  #: recorded; the catalogue has no Kron fluxes

    def __post_init__(self) -> None:
        if not 0 < self.aperture_ee1 < self.aperture_ee2 < self.aperture_ee3 < 100:
            raise ParameterError(f"aperture_ee1, 2, 3 are {self.energies}, but must increase within 1-99")
        super().__post_init__()

    @property
    def energies(self) -> tuple[int, int, int]:
        return self.aperture_ee1, self.aperture_ee2, self.aperture_ee3

    @property
    def star_thresholds(self) -> tuple[float, float]:
        return self.ci1_star_threshold, self.ci2_star_threshold


NEEDED = ("apcorr", "abvegaoffset")


# optional as well: where CRDS has no entry for them the mosaic does not wait, it has no catalogue
@step(keyword="", references=NEEDED, optional=NEEDED, params=SourceCatalogParams)
def source_catalog(mosaic: Mosaic, references: References, params: SourceCatalogParams) -> Mosaic:
    """Find the sources of a mosaic and measure positions, fluxes and shapes.

    The mosaic stays as it is; the table is its byproduct ``cat``, the map of segments ``segm``.
    There is neither where the references have no row for its optical elements, where it is not
    in MJy/sr, or where no source is found. Source: specification image3 §7.
    """
    jansky = np.float32(1e6 * _solid_angle(mosaic))
    if mosaic.err is None or mosaic.wht is None:
        raise Skip("the mosaic has no errors or no weights")
    apertures = apertures_for(references["apcorr"], mosaic.header, params.energies)
    offset = vega_offset(references["abvegaoffset"], mosaic.header)
    sci, err = np.asarray(mosaic.sci), np.asarray(mosaic.err)  # they may be on disk
    missing = np.isnan(err) | (np.asarray(mosaic.wht) == 0)
    sources = find_sources(sci, err, missing, jansky, params.starfinder, params)
    table = measure(replace(mosaic, sci=sci, err=err), jansky, sources, apertures, offset, params)
    mosaic.byproducts["cat"] = Catalogue(table)
    if sources.segments is not None:
        mosaic.byproducts["segm"] = _segmentation(mosaic, sources.segments)
    return mosaic


def _solid_angle(mosaic: Mosaic) -> float:
    """Of a pixel, sr. Skips the step if fluxes cannot be had from the mosaic."""
    unit = str(mosaic.header.get("BUNIT", "")).strip()
    if unit != "MJy/sr":
        raise Skip(f"SCI is in {unit or 'no unit'}, not in MJy/sr")
    if "PIXAR_SR" not in mosaic.header:
        raise Skip("the solid angle of a pixel (PIXAR_SR) is not known")
    return mosaic.header.real("PIXAR_SR")


def _segmentation(mosaic: Mosaic, segments: Any) -> Segmentation:
    header = mosaic.header.copy()
    header.pop("BUNIT", None)
    return Segmentation(header, segments, wcs=mosaic.wcs, metadata=dict(mosaic.metadata), file=mosaic.file)
