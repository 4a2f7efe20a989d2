"""The sources of an image: found in it, or read from the user's list."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.errors import ParameterError
from calwebbd.stages.exposure import Float, Image
from calwebbd.stages.steps.tweakreg.background import background
from calwebbd.stages.steps.tweakreg.stars import Shape, find_stars

Mask = NDArray[np.bool_]
UNUSABLE = np.uint32(flags.DO_NOT_USE | flags.NON_SCIENCE)
KRON = (2.5, 1.4, 0.0)  # kron_params None


@dataclass(frozen=True)
class FinderParams:
    """How sources are found, here and in source_catalog."""

    starfinder: Literal["dao", "iraf", "segmentation"] = "iraf"  #: how sources are found
    snr_threshold: float = 10.0  #: of a peak, in units of the scatter of the background
    kernel_fwhm: float = 2.5  #: of the Gaussian through which the image is seen, pixels
    bkg_boxsize: int = 400  #: of the mesh of the background, pixels
    minsep_fwhm: float = 0.0  #: dao, iraf: least distance of two sources, kernel_fwhm; 2 pixels at least
    sigma_radius: float = 1.5  #: dao, iraf: where the kernel ends, sigma
    sharplo: float = 0.5  #: dao, iraf: least sharpness
    sharphi: float = 2.0  #: dao, iraf: greatest sharpness
    roundlo: float = 0.0  #: dao, iraf: least roundness
    roundhi: float = 0.2  #: dao, iraf: greatest roundness
    brightest: int = 200  #: dao, iraf: how many sources to keep
    peakmax: float | None = None  #: dao, iraf: greatest pixel of a source, unit of SCI
    npixels: int = 10  #: segmentation: least number of connected pixels
    connectivity: int = 8  #: segmentation: 8 if pixels connect by corners too, 4 if by edges only
    nlevels: int = 32  #: segmentation: thresholds at which blended sources are told apart
    contrast: float = 0.001  #: segmentation: least part of the flux that makes a source of its own
    multithresh_mode: Literal["exponential", "linear", "sinh"] = "exponential"  #: segmentation: their spacing
    localbkg_width: int = 0  #: segmentation: of the annulus of a local background, pixels
    apermask_method: Literal["correct", "mask", "none"] = "correct"  #: segmentation: what neighbours become
    kron_params: tuple[float, ...] | None = None  #: segmentation: of Kron's aperture; None: 2.5, 1.4, 0
    deblend: bool = True  #: segmentation: tell blended sources apart

    def __post_init__(self) -> None:
        if self.connectivity not in (4, 8):
            raise ParameterError(f"connectivity is {self.connectivity}, not 4 or 8")


def find_sources(image: Image, params: FinderParams) -> Any:
    """An astropy table of the sources: id, x, y (0-based pixels), flux; without rows if there are none.

    Source: specification image3 §3.1.
    """
    mask: Mask = (image.dq & UNUSABLE) != 0
    if (mask | ~np.isfinite(image.sci)).all():
        return table(np.zeros(0), np.zeros(0), np.zeros(0))
    level, rms = background(image.sci, mask, params.bkg_boxsize)
    data, threshold = image.sci - level, params.snr_threshold * rms
    if params.starfinder == "segmentation":
        return _segments(image, data, threshold, mask, params)
    shape = _shape(params)
    find = find_stars if params.starfinder == "iraf" else _dao
    return table(*find(data, mask, float(np.median(threshold)), shape))


def table(x: Any, y: Any, flux: Any) -> Any:
    """Sources as tweakreg's catalogues have them, numbered from 1."""
    from astropy.table import Table

    return Table({"id": np.arange(1, len(x) + 1), "x": x, "y": y, "flux": flux})


def _shape(params: FinderParams) -> Shape:
    return Shape(
        fwhm=params.kernel_fwhm,
        radius=params.sigma_radius,
        separation=max(2, int(params.minsep_fwhm * params.kernel_fwhm + 0.5)),
        sharpness=(params.sharplo, params.sharphi),
        roundness=(params.roundlo, params.roundhi),
        brightest=params.brightest,
        peak=params.peakmax,
    )


def _dao(data: Float, mask: Mask, threshold: float, shape: Shape) -> tuple[Any, Any, Any]:
    """Stetson 1987, PASP 99, 191."""
    from photutils import use_future_column_names
    from photutils.detection import DAOStarFinder

    find = DAOStarFinder(
        threshold,
        shape.fwhm,
        sigma_radius=shape.radius,
        min_separation=shape.separation,
        sharpness_range=shape.sharpness,
        roundness_range=shape.roundness,
        n_brightest=shape.brightest,
        peak_max=shape.peak,
    )
    with warnings.catch_warnings(), use_future_column_names():
        warnings.simplefilter("ignore")  # that there are none
        found = find(data, mask=mask)
    if found is None:
        return (np.zeros(0),) * 3
    x, y, flux = (np.asarray(found[name]) for name in ("x_centroid", "y_centroid", "flux"))
    return x, y, flux


def _segments(image: Image, data: Float, threshold: Float, mask: Mask, params: FinderParams) -> Any:
    """Connected pixels above the threshold in the smoothed image, blended ones told apart."""
    from astropy.convolution import Gaussian2DKernel, convolve
    from astropy.stats import gaussian_fwhm_to_sigma
    from photutils import use_future_column_names
    from photutils.segmentation import SourceCatalog, SourceFinder

    find = SourceFinder(
        n_pixels=params.npixels,
        connectivity=params.connectivity,
        deblend=params.deblend,
        n_levels=params.nlevels,
        contrast=params.contrast,
        mode=params.multithresh_mode,
        progress_bar=False,
    )
    with warnings.catch_warnings(), use_future_column_names():
        warnings.simplefilter("ignore")  # of NaN, and that there are none
        sigma = params.kernel_fwhm * gaussian_fwhm_to_sigma
        smooth = convolve(data, Gaussian2DKernel(sigma), mask=mask) if sigma > 0 else data
        segments = find(smooth, threshold, mask=mask)
        if segments is None:
            return table(np.zeros(0), np.zeros(0), np.zeros(0))
        found = SourceCatalog(
            data,
            segments,
            convolved_data=smooth,
            error=image.err,
            mask=mask,
            local_bkg_width=params.localbkg_width,
            aperture_mask_method=params.apermask_method,
            kron_params=params.kron_params or KRON,
        )
        return table(found.x_centroid, found.y_centroid, found.segment_flux)


def within(sources: Any, box: tuple[tuple[float, float], tuple[float, float]]) -> Any:
    """The sources inside of a bounding box, in x and in y."""
    (x1, x2), (y1, y2) = box
    x, y = np.asarray(sources["x"], float), np.asarray(sources["y"], float)
    return sources[(x > x1) & (x < x2) & (y > y1) & (y < y2)]


def catalog_files(catfile: str) -> dict[str, Path | None]:
    """The user's catalogues by the name of the exposure's file, from lines of both names.

    Catalogues lie beside the list. None where a line names none: sources are found in that image.
    Raises ParameterError if the list cannot be read or a line has more than two names.
    """
    listed: dict[str, Path | None] = {}
    try:
        lines = Path(catfile).read_text().splitlines()
    except OSError as error:
        raise ParameterError(f"catfile {catfile} cannot be read: {error.strerror}") from error
    for line in lines:
        names = line.split()
        if names and not names[0].startswith("#"):
            if len(names) > 2:
                raise ParameterError(f"catfile {catfile} has a line of {len(names)} names: {line}")
            listed[names[0]] = Path(catfile).parent / names[1] if len(names) == 2 else None
    return listed


def read_sources(path: Path) -> Any:
    """The user's catalogue of an image, with its positions in columns x and y (0-based pixels).

    Raises ParameterError if it cannot be read or has no positions.
    """
    from astropy.table import Table

    try:
        sources = Table.read(path)
    except (OSError, ValueError) as error:
        raise ParameterError(f"the catalogue {path} cannot be read: {error}") from error
    for axis in "xy":
        names = [name for name in (axis, f"{axis}centroid", f"{axis}_centroid") if name in sources.colnames]
        if not names:
            raise ParameterError(f"the catalogue {path} has no column {axis} or {axis}centroid")
        if names[0] != axis:
            sources.rename_column(names[0], axis)
    return sources
