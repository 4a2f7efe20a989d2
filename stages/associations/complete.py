"""Tell from headers whether all exposures of a group have come.

The headers give plans, not deliveries: NEXPOSUR exposures in the visit, NUMDTHPT points
of the dither pattern, EXSEGTOT segments of an exposure. A planned exposure that never was
taken keeps a group open until the caller's clock ends the wait, and no header tells of
visits yet to come. NEXPOSUR of a visit with parallels is taken to count each instrument's
exposures alone: if it counts all, the dither pattern decides.

Which detectors were read out is in no header either: a detector seen in any exposure of
the group is expected in all of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from calwebbd.stages.header import Header, integer, text
from calwebbd.stages.names import ExposureName, exposure_name


@dataclass(frozen=True)
class Completeness:
    complete: bool
    reason: str
    missing: tuple[str, ...] = ()  #: each in the words of file names


def completeness(headers: Sequence[Header], observation: Iterable[Header] = ()) -> Completeness:
    """Compare the members of a group with what their headers announce.

    Parameters
    ----------
    headers : one for each member, in any order
    observation : of other exposures known from the same observation
        They count as exposures of their visit when NEXPOSUR spans several filters.

    Returns
    -------
    complete : every exposure seen has all segments and detectors, the dither pattern and
        the visit numbers have no gap, and each visit either has its NEXPOSUR exposures or
        fills a dither pattern of more than one point in every activity.
    """
    if not headers:
        return Completeness(False, "the group has no member")
    gaps = (*_segments(headers), *_detectors(headers), *_dithers(headers), *_visits(headers))
    if gaps:
        return Completeness(False, f"waits for {gaps[0]}" + (" and others" if len(gaps) > 1 else ""), gaps)
    short = tuple(_short_visits(headers, observation))
    if short:
        return Completeness(False, f"waits for {short[0]}", short)
    return Completeness(True, f"all {len(headers)} planned members have come")


def _segments(headers: Sequence[Header]) -> list[str]:
    """Every detector's exposure has the segments 1 … EXSEGTOT."""
    seen = defaultdict(set)
    total: dict[tuple[str, str], int] = defaultdict(lambda: 1)
    for header in headers:
        name = exposure_name(header, "")
        file = name.group_id, name.detector
        seen[file].add(integer(header, "EXSEGNUM") or 1)
        total[file] = max(total[file], integer(header, "EXSEGTOT") or 1)
    return [
        f"{group}-seg{number:03d}_{detector}"
        for (group, detector), numbers in sorted(seen.items())
        for number in _gaps(numbers, total[group, detector])
    ]


def _detectors(headers: Sequence[Header]) -> list[str]:
    """Every exposure has all detectors that any has."""
    seen = defaultdict(set)
    for header in headers:
        name = exposure_name(header, "")
        seen[name.group_id].add(name.detector)
    detectors = set(chain.from_iterable(seen.values()))
    return [f"{group}_{lost}" for group in sorted(seen) for lost in sorted(detectors - seen[group])]


def _dithers(headers: Sequence[Header]) -> list[str]:
    """All visits together fill the dither pattern: a wide one is split over several."""
    total = max(integer(header, "NUMDTHPT") or 1 for header in headers)
    points = {integer(header, "PATT_NUM") or 1 for header in headers}
    return [f"dither position {number} of {total}" for number in _gaps(points, total)]


def _visits(headers: Sequence[Header]) -> list[str]:
    """Visits are numbered from 001 without gap."""
    names = [exposure_name(header, "") for header in headers]
    numbers = {int(name.visit) for name in names if name.visit.isdecimal()}
    first = f"visit jw{names[0].program}{names[0].observation}"
    return [f"{first}{number:03d}" for number in _gaps(numbers, max(numbers, default=0))]


def _short_visits(headers: Sequence[Header], observation: Iterable[Header]) -> list[str]:
    """Visits with fewer exposures than NEXPOSUR, no dither pattern showing that this group has its own."""
    exposures = defaultdict(set)
    for header in chain(headers, observation):
        name = exposure_name(header, "")
        exposures[_visit(name, header)].add(name.group_id)
    planned: dict[tuple[str, ...], int] = {}
    for header in headers:
        visit = _visit(exposure_name(header, ""), header)
        planned[visit] = max(planned.get(visit, 0), integer(header, "NEXPOSUR") or 0)
    return [
        _shortage(visit, len(exposures[visit]), count)
        for visit, count in sorted(planned.items())
        if (len(exposures[visit]) < count or count == 0) and not _patterns_filled(headers, visit)
    ]


def _shortage(visit: tuple[str, ...], seen: int, planned: int) -> str:
    name = "visit jw" + "".join(visit[:3])
    if planned == 0:
        return f"{name}, which does not announce its exposures (NEXPOSUR)"
    return f"{planned - seen} of {planned} exposures of {name}"


def _patterns_filled(headers: Sequence[Header], visit: tuple[str, ...]) -> bool:
    """Whether every activity of the visit has all points of its dither pattern, more than one."""
    points = defaultdict(set)
    total: dict[tuple[str, str], int] = defaultdict(int)
    for header in headers:
        name = exposure_name(header, "")
        if _visit(name, header) == visit:
            activity = name.group, name.activity
            points[activity].add(integer(header, "PATT_NUM") or 1)
            total[activity] = max(total[activity], integer(header, "NUMDTHPT") or 1)
    return all(total[activity] > 1 and not _gaps(points[activity], total[activity]) for activity in points)


def _visit(name: ExposureName, header: Header) -> tuple[str, ...]:
    """The exposures that NEXPOSUR counts together."""
    return name.program, name.observation, name.visit, name.seq, text(header, "INSTRUME")


def _gaps(seen: set[int], total: int) -> list[int]:
    return [number for number in range(1, total + 1) if number not in seen]
