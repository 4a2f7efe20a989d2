"""Find sources: background, convolution, segments or star finders."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.kernels import by_rows, convolution
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.tweakreg.background import background
from calwebbd.stages.steps.tweakreg.sources import FinderParams

Values = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))


@dataclass(frozen=True)
class Sources:
    """What was found, one element for each source; NaN what the finder does not measure.

    label : from 1
    x, y : centroids, pixels, 0-based
    flux, flux_err : of the segment, Jy
    area : of the segment, pixels; semimajor, semiminor : standard deviations, pixels
    orientation : of the major axis from +x, counter-clockwise, deg
    corners : least and largest x and y of the segment's box, pixel edges, (4, n)
    segments : (ny, nx), label of the source to which each pixel belongs, 0 for none; None if
        a star finder was used
    """

    label: NDArray[np.int32]
    x: Values
    y: Values
    flux: Values
    flux_err: Values
    area: Values
    semimajor: Values
    semiminor: Values
    ellipticity: Values
    orientation: Values
    corners: Values
    segments: NDArray[np.uint32] | None = None


def find_sources(
    sci: Float, err: Float, missing: Mask, jansky: np.float32, finder: str, params: FinderParams
) -> Sources:
    """The sources that rise above the background. Skips the step if there are none.

    sci, err : (ny, nx), MJy/sr
    missing : (ny, nx), True where pixels have no part in it
    jansky : flux of a pixel in Jy, of 1 MJy/sr
    finder : segmentation, iraf or dao

    Source: specification image3 §7, 1-3.
    """
    if not (np.isfinite(sci) & ~missing).any():
        raise Skip("no pixel of the mosaic has a value, a weight and an error")
    data = sci * jansky
    level, threshold = background(data, missing, params.bkg_boxsize)
    data -= level
    del level
    threshold *= np.float32(params.snr_threshold)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(No sources|non-finite|NaN|invalid value)")
        if finder == "segmentation":
            found = _segments(data, err, jansky, threshold, missing, params)
        else:
            found = _stars(data, float(np.median(threshold)), missing, finder, params)
    if found is None:
        raise Skip("no sources were found")
    return found


def convolved(data: Float, fwhm: float, missing: Mask) -> Float:
    """The image under a Gaussian; pixels that are missing or NaN are interpolated by it."""
    from astropy.convolution import Gaussian2DKernel

    if fwhm <= 0:
        return data
    weights = Gaussian2DKernel(fwhm / FWHM_PER_SIGMA).array
    complete = not missing.any() and not np.isnan(data).any()
    out = np.empty_like(data)
    total = float(weights.sum()) if complete else 0.0
    by_rows(convolution.smooth, len(data), data, missing, weights, total, out)
    return out


def several_peaks(data: Float, segments: Any, connectivity: int) -> NDArray[np.int32]:
    """Labels of the segments with more than one local maximum, ties counted: no other can be parted.

    data : (ny, nx), what the segments were found in
    segments : (ny, nx), labels; 0 for none
    """
    from scipy.ndimage import generate_binary_structure, maximum_filter

    inside = np.where(segments > 0, data, -np.inf).astype(np.float32, copy=False)
    around = generate_binary_structure(2, 2 if connectivity == 8 else 1)
    peaks = (inside == maximum_filter(inside, footprint=around, mode="nearest")) & (segments > 0)
    counts = np.bincount(segments[peaks])
    return np.flatnonzero(counts > 1).astype(np.int32)


def _segments(
    data: Float, err: Float, jansky: np.float32, threshold: Float, missing: Mask, params: FinderParams
) -> Sources | None:
    """Connected pixels above the threshold, parted where they have several peaks."""
    from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources

    smooth = convolved(data, params.kernel_fwhm, missing)
    map_ = detect_sources(smooth, threshold, params.npixels, connectivity=params.connectivity, mask=missing)
    if map_ is None:
        return None
    if params.deblend:
        labels = several_peaks(smooth, map_.data, params.connectivity)
        if labels.size:
            map_ = deblend_sources(
                smooth,
                map_,
                params.npixels,
                labels=labels,
                n_levels=params.nlevels,
                contrast=params.contrast,
                mode=params.multithresh_mode,
                connectivity=params.connectivity,
                progress_bar=False,
            )
    found = SourceCatalog(
        data,
        map_,
        convolved_data=smooth,
        error=err,
        mask=missing,
        local_bkg_width=params.localbkg_width,
        aperture_mask_method=params.apermask_method,
    )
    edges = [getattr(found, f"bbox_{side}") for side in ("xmin", "xmax", "ymin", "ymax")]
    return Sources(
        label=np.atleast_1d(found.label).astype(np.int32),
        x=np.atleast_1d(found.x_centroid),
        y=np.atleast_1d(found.y_centroid),
        flux=np.atleast_1d(found.segment_flux),
        flux_err=np.atleast_1d(found.segment_flux_err) * jansky,
        area=np.atleast_1d(found.area.value),
        semimajor=np.atleast_1d(found.semimajor_axis.value),
        semiminor=np.atleast_1d(found.semiminor_axis.value),
        ellipticity=np.atleast_1d(found.ellipticity.value),
        orientation=np.atleast_1d(found.orientation.value),
        corners=np.array([np.atleast_1d(edge) for edge in edges]) + np.array([[-0.5], [0.5]] * 2),
        segments=map_.data.astype(np.uint32),
    )


def _stars(data: Float, threshold: float, missing: Mask, finder: str, params: FinderParams) -> Sources | None:
    """Peaks that look like stars, brightest first."""
    from photutils.detection import DAOStarFinder, IRAFStarFinder

    find = (IRAFStarFinder if finder == "iraf" else DAOStarFinder)(
        threshold,
        params.kernel_fwhm,
        sigma_radius=params.sigma_radius,
        min_separation=max(2, int(params.minsep_fwhm * params.kernel_fwhm + 0.5)),
        sharpness_range=(params.sharplo, params.sharphi),
        roundness_range=(params.roundlo, params.roundhi),
        peak_max=params.peakmax,
        n_brightest=params.brightest,
    )
    stars = find(data, mask=missing)
    if stars is None:
        return None
    unknown = np.full(len(stars), np.nan)
    return Sources(
        label=np.asarray(stars["id"], np.int32),
        x=np.asarray(stars["x_centroid"]),
        y=np.asarray(stars["y_centroid"]),
        flux=np.asarray(stars["flux"], np.float64),
        flux_err=unknown,
        area=unknown,
        semimajor=unknown,
        semiminor=unknown,
        ellipticity=unknown,
        orientation=np.asarray(stars["orientation"]) if finder == "iraf" else unknown,
        corners=np.full((4, len(stars)), np.nan),
    )
