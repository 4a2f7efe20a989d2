"""What some pipelines and steps give beside ramps, images and mosaics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from calwebbd.stages.exposure import Exposure, Float, PixelDQ, Table


@dataclass(eq=False)
class Dark(Exposure):
    """A dark as it was subtracted, in the form of its reference file.

    sci : (ngroups, ny, nx), DN; MIRI: (nints, ngroups, ny, nx)
    dq : (ny, nx); MIRI: (nints, 1, ny, nx)
    """

    dq: PixelDQ


@dataclass(eq=False)
class GuideStar(Exposure):
    """What the fine guidance sensor telemetred: raw groups, then count rates.

    sci : (nints, ngroups, ny, nx), DN; count rates (nplanes, ny, nx), DN/s
    dq : (ny, nx), of all planes
    err : as the count rates; None before them
    The tables of stars, pointing, centroids and windows pass through untouched.
    """

    dq: PixelDQ
    err: Float | None = None
    planned_star_table: Table | None = None
    flight_star_table: Table | None = None
    pointing_table: Table | None = None
    centroid_table: Table | None = None
    track_sub_table: Table | None = None

    @property
    def raw(self) -> bool:
        return self.sci.ndim == 4


@dataclass(eq=False)
class Plane(Exposure):
    """An image that a step made beside its result, or a reference as it used it.

    sci : (ny, nx); err, dq : as sci, if it has any
    """

    err: Float | None = None
    dq: PixelDQ | None = None


@dataclass(eq=False)
class SegmentFits(Exposure):
    """Fits of the segments of each ramp, between its jumps; 0 where there are fewer.

    sci : slopes, DN/s; sigslope, yint, sigyint, weights, var_poisson, var_rnoise : of each slope; all
        (nints, nsegments, ny, nx)
    pedestal : (nints, ny, nx), DN, signal at the beginning of the integration
    crmag : (nints, njumps, ny, nx), DN, differences at the jumps
    """

    sigslope: Float
    var_poisson: Float
    var_rnoise: Float
    yint: Float
    sigyint: Float
    weights: Float
    pedestal: Float
    crmag: Float


@dataclass(eq=False)
class Segmentation(Exposure):
    """Which source of its catalogue each pixel of a mosaic belongs to.

    sci : (ny, nx) uint32, labels; 0 for none
    wcs : the gwcs of the mosaic
    """

    sci: NDArray[Any]
    wcs: Any = None
