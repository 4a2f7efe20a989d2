"""Align groups of images with one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calwebbd.stages.steps.tweakreg.fitting import Fit, Fitting, NotAligned, NotBetter, fit, reference_of


@dataclass
class Relative:
    """What became of the groups, by name: all but the reference have a fit, or a reason for having none."""

    reference: str
    fits: dict[str, Fit] = field(default_factory=dict)
    reasons: dict[str, NotAligned] = field(default_factory=dict)


def align(groups: Mapping[str, Any], fitting: Fitting, *, in_order: bool, expand: bool) -> Relative:
    """Align groups with the first one, or with one after the other of those that overlap most.

    groups : by name, in tweakwcs' form
    in_order : keep their order, even if the reference is expanded
    expand : add what a group has beyond the reference to it, for those that follow

    Groups without sources are left out. If no group matches the first one, that is left where it is
    and the others are aligned among themselves: its pointing may be wrong, or its sources too few.
    Raises NotAligned if there are not two groups with sources.
    Source: specification image3 §3.3.
    """
    fitting.check()
    names = [name for name, group in groups.items() if len(group.catalog)]
    empty = {name: NotBetter("no sources were found") for name in groups if name not in names}
    if len(names) < 2:
        raise NotAligned(f"sources were found in {len(names)} of {len(groups)} exposures, two are needed")
    if expand and not in_order and len(names) > 2:
        names = _by_overlap(names, groups)
    result = _align(names, groups, fitting, choose=expand and not in_order, expand=expand)
    if not result.fits and len(names) > 2:
        others = _align(names[1:], groups, fitting, choose=expand and not in_order, expand=expand)
        if others.fits:
            reason = NotBetter(f"nothing matched it; the others were aligned with {others.reference}")
            result = Relative(others.reference, others.fits, {names[0]: reason, **others.reasons})
    result.reasons.update(empty)
    return result


def _align(
    names: list[str], groups: Mapping[str, Any], fitting: Fitting, *, choose: bool, expand: bool
) -> Relative:
    first, *rest = names
    result = Relative(first)
    reference = reference_of(groups[first].catalog, first)
    chosen = 0  # the order has put the second where it belongs
    while rest:
        name = rest.pop(chosen)
        group = groups[name]
        apart = expand and _overlap(reference, group) == 0
        try:
            result.fits[name] = fit(group, reference, fitting)
        except NotAligned as reason:
            result.reasons[name] = reason
        if expand and (name in result.fits or apart) and "matched_ref_id" in group.catalog.colnames:
            reference.expand_catalog(group.get_unmatched_cat())
        if choose and rest:
            chosen = int(np.argmax([_overlap(reference, groups[other]) for other in rest]))
    return result


def _by_overlap(names: list[str], groups: Mapping[str, Any]) -> list[str]:
    """The two that overlap most come first, and of these the one that overlaps more with all."""
    from tweakwcs.imalign import overlap_matrix

    areas = overlap_matrix([groups[name] for name in names])
    one, other = np.unravel_index(int(areas.argmax()), areas.shape)
    if areas[one].sum() < areas[other].sum():
        one, other = other, one
    first = [names[one], names[other]]
    return first + [name for name in names if name not in first]


def _overlap(reference: Any, group: Any) -> float:
    """Area in common, sr; 0 where the library cannot tell."""
    from spherical_geometry.polygon import MalformedPolygonError

    try:
        return float(abs(reference.intersection(group).area()))
    except MalformedPolygonError:
        return 0.0
