"""Move images so that their sources fall on those of a reference, in the tangent plane of the first one.

Matching, fitting and the correction of the WCS are tweakwcs'. What is decided here is whether a
fit is taken: one that is not better than the pointing it starts from is not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from calwebbd.stages.exposure import Image
from calwebbd.stages.steps.assign_wcs import corners

Array = NDArray[np.float64]
Geometry = Literal["shift", "rshift", "rscale", "general"]
CHANCE = 0.5  # of the tolerance; pairs that chance brought together have an rms of 0.7
FREE: dict[str, int] = {"shift": 2, "rshift": 3, "rscale": 4, "general": 6}  # numbers that a geometry fits
LOG = logging.getLogger("tweakwcs")  # it tells each step it takes; what matters is in the notes
LOG.addHandler(logging.NullHandler())
LOG.propagate = False
NOTHING = 1e-6  # arcsec
WORSE = "the fit is not better than the pointing"


class NotAligned(Exception):
    """Why images keep the WCS they have."""


class NotBetter(NotAligned):
    """All went well, and there was nothing by which to improve it."""


@dataclass(frozen=True)
class Fitting:
    """How sources are matched and what is fitted; the step's parameters say what each is."""

    minobj: int
    fitgeometry: Geometry
    nclip: int
    sigma: float
    searchrad: float
    use2dhist: bool
    separation: float
    tolerance: float
    xoffset: float = 0.0
    yoffset: float = 0.0
    furthest: float | None = None  #: arcsec by which no corner may move

    def check(self) -> None:
        """Raise NotAligned if two sources could match one."""
        if self.separation <= np.sqrt(2) * self.tolerance:
            raise NotAligned(
                f"the separation of sources, {self.separation}, must be more than √2 times "
                f"the tolerance of their matches, {self.tolerance}",
            )


@dataclass(frozen=True)
class Fit:
    """An accepted fit: the new WCS of each image, the number of sources it used, and their rms, arcsec."""

    wcs: tuple[Any, ...]
    matches: int
    rms: float


def group_of(images: Sequence[Image], wcs: Sequence[Any], catalogs: Sequence[Any], name: str) -> Any:
    """Images that move together, each at this WCS and with its sources, in tweakwcs' form."""
    from tweakwcs import JWSTWCSCorrector, WCSGroupCatalog, WCSImageCatalog

    members = []
    for image, at, sources in zip(images, wcs, catalogs, strict=True):
        plane = {key: image.header.real(key.upper()) for key in ("v2_ref", "v3_ref", "roll_ref")}
        members.append(WCSImageCatalog(sources, JWSTWCSCorrector(at, plane), name=image.file))
    return WCSGroupCatalog(members, name=name)


def reference_of(sources: Any, name: str) -> Any:
    """A reference of these sources, a table with RA and DEC in degrees, in tweakwcs' form."""
    from tweakwcs import RefCatalog

    return RefCatalog(sources, name=name)


def fit(group: Any, reference: Any, fitting: Fitting) -> Fit:
    """Align a group with a reference; raises NotAligned with the reason where it keeps its WCS."""
    from tweakwcs.linearfit import NotEnoughPointsError, SingularMatrixError

    before = [member.corrector.wcs for member in group]
    match = _Match(fitting)
    try:
        group.align_to_ref(
            reference,
            ref_tpwcs=_plane(group[0]),
            match=match,
            minobj=fitting.minobj,
            fitgeom=fitting.fitgeometry,
            nclip=fitting.nclip,
            sigma=(fitting.sigma, "rmse"),
        )
    except (NotEnoughPointsError, SingularMatrixError) as error:
        raise NotAligned(f"no {fitting.fitgeometry} could be fitted: {error}") from error
    if match.confused:
        raise NotAligned("several sources matched one: tolerance and separation do not suit")
    info = group[0].fit_info
    if info["status"] != "SUCCESS":
        raise NotBetter(f"{match.number} sources matched, of the {fitting.minobj} needed")
    after = tuple(member.corrector.wcs for member in group)
    try:
        _check(group, reference, fitting)
        if fitting.furthest is not None:
            _check_distance(before, after, fitting.furthest)
    except NotAligned:
        _restore(group, before)
        raise
    return Fit(after, int(np.count_nonzero(info["fitmask"])), float(info["rmse"]))


def _plane(member: Any) -> Any:
    """The tangent plane of an image as it is now; tweakwcs itself would copy the image's whole WCS for it."""
    return type(member.corrector)(member.corrector.wcs, member.corrector.ref_angles)


class _Match:
    """tweakwcs' matching; it says how many it found, and finds none where it is confused."""

    def __init__(self, fitting: Fitting) -> None:
        from tweakwcs import XYXYMatch

        names = ("searchrad", "separation", "use2dhist", "tolerance", "xoffset", "yoffset")
        self.match = XYXYMatch(**{name: getattr(fitting, name) for name in names})
        self.number, self.confused = 0, False

    def __call__(self, *catalogs: Any, **plane: Any) -> tuple[Any, Any]:
        from tweakwcs import MatchSourceConfusionError

        try:
            found: tuple[Any, Any] = self.match(*catalogs, **plane)
        except MatchSourceConfusionError:
            self.confused = True
            return np.zeros(0, int), np.zeros(0, int)
        self.number = len(found[0])
        return found


def _check(group: Any, reference: Any, fitting: Fitting) -> None:
    """Raise NotAligned if the fit is as bad as one of chance pairs, or not better than none.

    Better is, over all sources of the group, the rms distance from the nearest source of the
    reference, where distances beyond the clipping limit of the fit count as that limit:
    sources without counterpart say nothing, and those that find theirs say much.
    """
    info = group[0].fit_info
    if info["rmse"] > chance(int(np.count_nonzero(info["fitmask"])), fitting.fitgeometry) * fitting.tolerance:
        raise NotBetter(f"{WORSE}: its rms of {info['rmse']:.2f} arcsec is that of chance pairs")
    positions, nearest = _positions(group), KDTree(_positions(reference))
    limit = max(fitting.sigma * info["rmse"], NOTHING)

    def rms(at: Array) -> float:
        return 1000 * float(np.sqrt(np.mean(np.minimum(nearest.query(at)[0], limit) ** 2)))

    before, after = rms(positions), rms(positions @ info["matrix"].T + info["shift"])
    if after >= before:
        raise NotBetter(f"{WORSE}: rms {after:.1f} mas with it, {before:.1f} mas without")


def chance(pairs: int, geometry: Geometry) -> float:
    """The rms, in units of the tolerance, above which a fit is one of chance pairs.

    Of few pairs any fit makes less: the coordinates' variance loses the share of numbers that are fitted.
    """
    left = 1 - FREE[geometry] / (2 * pairs)
    return CHANCE * float(np.sqrt(left)) if left > 0 else CHANCE


def _restore(group: Any, wcs: Sequence[Any]) -> None:
    for member, at in zip(group, wcs, strict=True):
        member.corrector = type(member.corrector)(at, member.corrector.ref_angles)
    group.recalc_catalog_radec()


def _positions(of: Any) -> Array:
    """(n, 2) arcsec in the plane, of the sources that have a place in it."""
    places = np.column_stack([np.asarray(of.catalog["TPx"]), np.asarray(of.catalog["TPy"])])
    placed: Array = places[np.isfinite(places).all(axis=1)]
    return placed


def _check_distance(before: Sequence[Any], after: Sequence[Any], furthest: float) -> None:
    """Raise NotAligned if a corner moved as far as that, arcsec: pairs were wrong, or too close together."""
    pairs = zip(before, after, strict=True)
    moved = max(float(separation(corners(old), corners(new)).max()) for old, new in pairs)
    if moved >= furthest:
        raise NotAligned(f"the fit moves a corner by {moved:.1f} of {furthest:.1f} arcsec allowed")


def separation(one: Array, other: Array) -> Array:
    """Arcsec between sky positions (n, 2), degrees; of a few degrees at most."""
    ra, dec = np.deg2rad(one - other).T
    ra = (ra + np.pi) % (2 * np.pi) - np.pi
    across = 2 * np.sin(ra / 2) * np.sqrt(np.cos(np.deg2rad(one[:, 1])) * np.cos(np.deg2rad(other[:, 1])))
    return np.asarray(np.rad2deg(np.hypot(across, 2 * np.sin(dec / 2))) * 3600)
