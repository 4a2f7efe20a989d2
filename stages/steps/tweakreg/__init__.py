"""Align images with one another, and with a catalogue of the sky, by their sources."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Catalogue, Image
from calwebbd.stages.groups import groups
from calwebbd.stages.references import References
from calwebbd.stages.step import Failed, Skip, step
from calwebbd.stages.steps.assign_wcs import corners, describe
from calwebbd.stages.steps.assign_wcs.sip import SipParams
from calwebbd.stages.steps.tweakreg import absolute, relative
from calwebbd.stages.steps.tweakreg.fitting import (
    Fit,
    Fitting,
    Geometry,
    NotAligned,
    NotBetter,
    fit,
    group_of,
    reference_of,
)
from calwebbd.stages.steps.tweakreg.sources import (
    FinderParams,
    catalog_files,
    find_sources,
    read_sources,
    within,
)


@dataclass(frozen=True)
class TweakRegParams(SipParams, FinderParams):
    save_catalogs: bool = False  #: write the sources of each image as ``…_cat.ecsv``
    use_custom_catalogs: bool = False  #: take the sources from the user's catalogues
    catalog_format: Literal["ecsv"] = "ecsv"  #: of the catalogues that are written
    catfile: str = ""  #: text file of the names of exposures and of their catalogues, which lie beside it
    enforce_user_order: bool = False  #: with expand_refcat: align in the order of the association
    expand_refcat: bool = False  #: match with the sources of all images aligned before, not of the first only
    minobj: int = 15  #: matches that are needed
    fitgeometry: Geometry = "rshift"  #: shift; and rotation (rshift), and scale (rscale); or any linear map
    nclip: int = 3  #: rounds in which outliers are left out of the fit
    sigma: float = 3.0  #: residual of an outlier, rms of the fit
    searchrad: float = 2.0  #: arcsec within which the shift is searched
    use2dhist: bool = True  #: search the shift in the histogram of all differences
    separation: float = 1.0  #: of two sources of an image that may be matched, at least, arcsec
    tolerance: float = 0.7  #: of a match once the shift is found, arcsec
    xoffset: float = 0.0  #: shift if it is not searched, arcsec in the tangent plane
    yoffset: float = 0.0  #: shift if it is not searched, arcsec in the tangent plane
    abs_refcat: str = ""  #: file of a catalogue, or GAIAREFCAT, GAIADR3…: tiles of it on disk; "" for none
    save_abs_catalog: bool = False  #: write the part of the catalogue that was used
    abs_minobj: int = 15  #: as minobj, with the catalogue
    abs_fitgeometry: Geometry = "rshift"  #: as fitgeometry, with the catalogue
    abs_nclip: int = 3  #: as nclip, with the catalogue
    abs_sigma: float = 3.0  #: as sigma, with the catalogue
    abs_searchrad: float = 6.0  #: as searchrad, with the catalogue
    abs_use2dhist: bool = True  #: as use2dhist, with the catalogue; no shift otherwise
    abs_separation: float = 1.0  #: as separation, with the catalogue
    abs_tolerance: float = 0.7  #: as tolerance, with the catalogue


@dataclass
class Aligned:
    """What became of one image; its WCS is None as long as it keeps the one it had."""

    wcs: Any = None
    sources: int = 0
    matches: int = 0
    rms: float = float("nan")
    reference: str = ""
    said: list[str] = field(default_factory=list)

    def moved(self, wcs: Any, by: Fit, reference: str) -> None:
        self.wcs, self.matches, self.rms, self.reference = wcs, by.matches, by.rms, reference
        self.said.append(f"aligned with {reference}")


@step(keyword="S_TWKREG", params=TweakRegParams)
def tweakreg(images: list[Image], references: References, params: TweakRegParams) -> list[Image]:
    """Correct the WCS of each image such that its sources agree with those of the others and of the sky.

    All images of one exposure move together. With a catalogue, all images then move together to it.
    Images that match too little, or that a fit does not improve, keep their WCS. What became of an
    image is in its notes["tweakreg"]: sources, matches, reference, outcome, dx and dy (mas, of its
    centre, in right ascension and declination), rotation (degrees, from north through east), rms (mas).

    Source: specification image3 §3.
    """
    wanted, grouped = params.abs_refcat.strip(), groups(images)
    if len(grouped) == 1 and not wanted and not params.save_catalogs:
        raise Skip("there is one exposure, and nothing to align it with")
    for image in images:
        if image.wcs is None or image.by_integration:
            raise InputError("tweakreg needs a calibrated image with a WCS", file=image.file)
    catalogs = _catalogs(images, params)
    aligned = [Aligned(sources=len(catalog)) for catalog in catalogs]
    failures = [_relative(images, grouped, catalogs, aligned, params)]
    if wanted:
        failures.append(_absolute(images, catalogs, aligned, params))
    for image, outcome in zip(images, aligned, strict=True):
        image.notes["tweakreg"] = _notes(image, outcome)
        if outcome.wcs is not None:
            image.wcs = outcome.wcs
            describe(image, params)
    if all(failures):
        raise Failed("; ".join(failure for failure in failures if failure))
    return images


def _catalogs(images: Sequence[Image], params: TweakRegParams) -> list[Any]:
    """The sources of each image, one after the other in memory."""
    listed: Mapping[str, Path | None] = {}
    if params.use_custom_catalogs and params.catfile.strip():
        listed = catalog_files(params.catfile.strip())
    catalogs = []
    for image in images:
        name = Path(image.file).name
        own = listed.get(name)
        if params.use_custom_catalogs and name not in listed and image.header.get("TCATFILE"):
            own = Path(str(image.header["TCATFILE"]))
        if own is not None:
            image.header["TCATFILE"] = str(own)
            catalog = read_sources(own)
        else:
            with image.in_memory(only=("sci", "err", "dq")) as loaded:
                catalog = find_sources(loaded, params)
        catalog = within(catalog, image.wcs.bounding_box.bounding_box(order="F"))
        if own is None and params.save_catalogs:
            written = f"{Path(name).stem}_cat.{params.catalog_format}"
            image.byproducts[written] = Catalogue(catalog)
            image.header["TCATFILE"] = written
        catalogs.append(catalog)
    return catalogs


def _relative(
    images: Sequence[Image],
    grouped: Mapping[str, Sequence[int]],
    catalogs: Sequence[Any],
    aligned: Sequence[Aligned],
    params: TweakRegParams,
) -> str:
    """Align the exposures with one another; why that came to nothing, if it did."""
    if len(grouped) < 2:
        return "there is one exposure"
    fitting = _relative_fitting(params)
    teams = {name: _team(images, catalogs, aligned, members, name) for name, members in grouped.items()}
    expand = params.expand_refcat or bool(params.abs_refcat.strip())
    try:
        result = relative.align(teams, fitting, in_order=params.enforce_user_order, expand=expand)
    except NotAligned as reason:
        for outcome in aligned:
            outcome.said.append(str(reason))
        return str(reason)
    for name, members in grouped.items():
        for number, index in enumerate(members):
            if name in result.fits:
                by = result.fits[name]
                aligned[index].moved(by.wcs[number], by, result.reference)
            else:
                aligned[index].said.append(str(result.reasons.get(name, "the reference of the others")))
    failed = [reason for reason in result.reasons.values() if not isinstance(reason, NotBetter)]
    return "" if result.fits or not failed else str(failed[0])


def _absolute(
    images: Sequence[Image], catalogs: Sequence[Any], aligned: Sequence[Aligned], params: TweakRegParams
) -> str:
    """Align all images, as they now are, with the catalogue; why that came to nothing, if it did."""
    name = params.abs_refcat.strip()
    everything = range(len(images))
    team = _team(images, catalogs, aligned, everything, name)
    fitting = _absolute_fitting(params)
    try:
        fitting.check()
        outlines = [corners(member.corrector.wcs) for member in team]
        known = absolute.reference_catalog(name, outlines, images[0].header.text("DATE-OBS"))
        if params.save_abs_catalog:
            images[0].byproducts[f"fit_{Path(name).stem.lower()}_ref.ecsv"] = Catalogue(known)
        if len(known) < fitting.minobj:
            raise NotAligned(f"{name} has {len(known)} of the {fitting.minobj} sources needed")
        if not len(team.catalog):
            raise NotAligned("no sources were found")
        by = fit(team, reference_of(known, name), fitting)
    except NotAligned as reason:
        for outcome in aligned:
            outcome.said.append(f"not aligned with {name}: {reason}")
        warnings.warn(f"tweakreg: images are not aligned with {name}: {reason}", stacklevel=2)
        return "" if isinstance(reason, NotBetter) else str(reason)
    for outcome, wcs in zip(aligned, by.wcs, strict=True):
        wcs.name = f"FIT-LVL3-{name}"
        outcome.moved(wcs, by, name)
    return ""


def _team(
    images: Sequence[Image],
    catalogs: Sequence[Any],
    aligned: Sequence[Aligned],
    members: Sequence[int],
    name: str,
) -> Any:
    """Images that move together, each where it has come so far."""
    wcs = [images[i].wcs if aligned[i].wcs is None else aligned[i].wcs for i in members]
    return group_of([images[i] for i in members], wcs, [catalogs[i] for i in members], name)


def _relative_fitting(params: TweakRegParams) -> Fitting:
    names = [each.name for each in fields(Fitting) if each.name != "furthest"]
    first = params.searchrad if params.use2dhist else max(abs(params.xoffset), abs(params.yoffset))
    return Fitting(**{name: getattr(params, name) for name in names}, furthest=2 * (first + params.tolerance))


def _absolute_fitting(params: TweakRegParams) -> Fitting:
    names = [each.name for each in fields(Fitting) if hasattr(params, f"abs_{each.name}")]
    return Fitting(**{name: getattr(params, f"abs_{name}") for name in names})


def _notes(image: Image, outcome: Aligned) -> dict[str, Any]:
    """For the table of members; before the image gets its new WCS."""
    notes: dict[str, Any] = {"sources": outcome.sources, "outcome": "; ".join(outcome.said)}
    if outcome.wcs is not None:
        dx, dy, rotation = _displacement(image.wcs, outcome.wcs)
        notes |= {"matches": outcome.matches, "reference": outcome.reference, "rms": 1000 * outcome.rms}
        notes |= {"dx": dx, "dy": dy, "rotation": rotation}
    return notes


def _displacement(old: Any, new: Any) -> tuple[float, float, float]:
    """Of the middle of an image, mas in right ascension and declination; and its turn, degrees."""
    before, after = (corners(wcs) for wcs in (old, new))
    cos = np.cos(np.deg2rad(before[:, 1].mean()))

    def plane(positions: Any) -> Any:
        ra, dec = (positions - before[0]).T
        return np.stack([((ra + 180) % 360 - 180) * cos, dec]) * 3.6e6

    (ra0, dec0), (ra1, dec1) = plane(before), plane(after)
    angles = [np.arctan2(ra[2] - ra[0], dec[2] - dec[0]) for ra, dec in ((ra0, dec0), (ra1, dec1))]
    turn = (angles[1] - angles[0] + np.pi) % (2 * np.pi) - np.pi
    return float((ra1 - ra0).mean()), float((dec1 - dec0).mean()), float(np.rad2deg(turn))
