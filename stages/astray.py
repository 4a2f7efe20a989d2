"""Exposures whose pointing cannot be right, by those taken with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from calwebbd.stages import footprints
from calwebbd.stages.exposure import Image
from calwebbd.stages.groups import groups
from calwebbd.stages.members import LeftOut

SLACK = 5.0  #: arcsec by which offsets of dithers may miss the distance of their exposures
FAR = 3600.0  #: arcsec beyond which an exposure of another visit does not belong to the others

Exposures = list[list[Image]]  #: the images of each


def astray(images: Sequence[Image]) -> list[LeftOut]:
    """Those that lie where no other exposure of their visit does, while all others of it hang together.

    Exposures hang together if circles around their footprints meet, or by way of others. There must be
    more that do than that do not, and an exposure is kept if the offsets of the dithers account for its
    distance. Of sparse mosaics and of visits of one or two exposures nothing can be said; of several
    visits together, only those are left out that are very far off.
    """
    exposures = [[images[index] for index in indices] for indices in groups(images).values()]
    visits: dict[tuple[str, ...], list[list[Image]]] = {}
    for exposure in exposures:
        visit = tuple(exposure[0].header.text(key) for key in ("PROGRAM", "OBSERVTN", "VISIT"))
        visits.setdefault(visit, []).append(exposure)
    reasons: dict[str, str] = {}
    sets = [(0.0, "of its visit", each) for each in visits.values()]
    for least, whom, some in [*sets, (FAR, "of the set", exposures)]:
        for exposure, apart in _alone(some, least):
            for image in exposure:
                place = f"{_words(apart)} from the other exposures {whom}"
                reasons.setdefault(Path(image.file).name, f"its pointing is wrong: it lies {place}")
    return [LeftOut(file, reason) for file, reason in reasons.items()]


def _alone(exposures: Exposures, least: float) -> Iterator[tuple[list[Image], float]]:
    """Exposures that are alone, by more than so many arcsec, and how far from the others, arcsec."""
    centres, radii, owner = _circles(exposures)
    if len(exposures) < 3 or len(set(owner.tolist())) < len(exposures):
        return
    one, other = np.nonzero(cdist(centres, centres) < radii[:, None] + radii)
    meeting = coo_array((np.ones(len(one)), (owner[one], owner[other])), shape=(len(exposures),) * 2)
    _, part = connected_components(meeting, directed=False)
    (largest, most), *rest = Counter(part.tolist()).most_common()
    if most <= len(exposures) / 2 or any(size > 1 for _, size in rest):
        return
    together = np.flatnonzero(part == largest)
    middle = centres[np.isin(owner, together)].mean(axis=0)
    offsets = np.array([_offset(exposure[0]) for exposure in exposures])
    for n in np.flatnonzero(part != largest).tolist():
        apart = float(np.rad2deg(np.linalg.norm(centres[owner == n].mean(axis=0) - middle)) * 3600)
        planned = np.hypot(*(offsets[together] - offsets[n]).T).max()
        if apart > max(least, planned + SLACK):
            yield exposures[n], apart


def _circles(exposures: Exposures) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Around footprints (S_REGION): centres (n, 3), unit vectors; radii, of the chord; whose they are."""
    centres, radii, owner = [], [], []
    for n, exposure in enumerate(exposures):
        for image in exposure:
            for polygon in footprints.parse(str(image.header.get("S_REGION", ""))):
                corners = footprints.directions(polygon)
                centres.append(corners.mean(axis=0))
                radii.append(np.linalg.norm(corners - centres[-1], axis=1).max())
                owner.append(n)
    return np.array(centres).reshape(-1, 3), np.array(radii), np.array(owner, np.int64)


def _offset(image: Image) -> tuple[float, float]:
    """Of the dither, arcsec."""
    return image.header.real("XOFFSET", 0.0), image.header.real("YOFFSET", 0.0)


def _words(arcsec: float) -> str:
    return f"{arcsec:.0f} arcsec" if arcsec < 600 else f"{arcsec / 3600:.3g} deg"
