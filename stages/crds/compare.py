"""Which references two contexts choose differently, for very many exposures.

Exposures are alike for a type if they have the same matching parameters and the same dates
of the rules before them: each kind is evaluated once. Types that have the same rules in
both contexts are not evaluated at all.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from calwebbd.stages import crds
from calwebbd.stages.crds import cache, mapping
from calwebbd.stages.crds.mapping import Call
from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.header import Header

_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_WHEN = ("DATE-OBS", "TIME-OBS")
#: entries of a mapping's header by which other parameters may matter than those it matches
_OTHERS = ("rmap_relevance", "rmap_omit", "parkey_relevance", "extra_keys", "reffile_switch")
MISSING = "missing"  #: the rules have no answer


@dataclass(frozen=True)
class _Kind:
    """What matters for one type: keywords of the header, and dates at which the rules change."""

    keywords: tuple[str, ...]
    dates: tuple[str, ...] | None


@dataclass
class Comparison:
    """Of any context with `new`. Answers are kept."""

    new: str
    _known: dict[tuple[Any, ...], tuple[str | None, str | None]] = field(default_factory=dict)
    _kinds: dict[tuple[str, str, str], _Kind | None] = field(default_factory=dict)
    _rules: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def changed(
        self, header: Header, types: Iterable[str], old: str
    ) -> dict[str, tuple[str | None, str | None]]:
        """Files by type in both contexts, of those types for which they differ; None is N/A.

        Raises ReferenceMissing if the rules of a context are not in the cache, or not whole.
        """
        instrument = str(header.get("INSTRUME", "")).lower()
        found = {}
        for name in types:
            kind = self._kind(old, instrument, name)
            if kind is None:
                continue
            one, other = self._both(kind, header, name, old, instrument)
            if one != other:
                found[name] = (one, other)
        return found

    def _both(
        self, kind: _Kind, header: Header, name: str, old: str, instrument: str
    ) -> tuple[str | None, str | None]:
        values = tuple(header.get(keyword) for keyword in kind.keywords)
        key = (old, instrument, name, values, _period(kind, header))
        known = self._known.get(key)
        if known is None:
            known = _choice(header, name, old), _choice(header, name, self.new)
            self._known[key] = known
        return known

    def _kind(self, old: str, instrument: str, name: str) -> _Kind | None:
        """None where both contexts have the same rules."""
        key = (old, instrument, name)
        if key not in self._kinds:
            one, other = (self._named(context, instrument).get(name) for context in (old, self.new))
            self._kinds[key] = None if one == other else _what_matters(one, other)
        return self._kinds[key]

    def _named(self, context: str, instrument: str) -> dict[str, str]:
        """Name of the mapping, or N/A or OMIT, by type."""
        key = (context, instrument)
        if key not in self._rules:
            self._rules[key] = _rules(context, instrument)
        return self._rules[key]


def _rules(context: str, instrument: str) -> dict[str, str]:
    names = _selector(context)
    own = {key.lower(): value for key, value in names.items()}.get(instrument)
    if own is None or not own.endswith(".imap"):
        return {}
    return {kind.lower(): value for kind, value in _selector(own).items()}


def _selector(name: str) -> dict[str, str]:
    try:
        selector = mapping.read(cache.place(name)).selector
    except OSError as error:
        raise ReferenceMissing(f"{name} is not in the CRDS cache ({error.strerror})") from error
    if isinstance(selector, Call):
        raise mapping.Malformed(f"{name} is no context")
    return dict(selector)


def _what_matters(*names: str | None) -> _Kind:
    keywords: set[str] = set()
    dates: set[str] | None = set()
    for name in names:
        if name is None or not name.endswith(".rmap"):
            continue
        try:
            rules = mapping.read(cache.place(name))
        except OSError as error:
            raise ReferenceMissing(f"{name} is not in the CRDS cache ({error.strerror})") from error
        keywords |= _keywords(rules.header)
        for date in _dates(rules.selector):
            if not _DATE.fullmatch(date):
                dates = None
            elif dates is not None:
                dates.add(date)
    return _Kind(tuple(sorted(keywords - set(_WHEN))), None if dates is None else tuple(sorted(dates)))


def _keywords(header: Any) -> set[str]:
    if any(str(header.get(other) or "always").lower() not in {"always", "none"} for other in _OTHERS):
        return set(crds.PARAMETERS.values())
    names = [name for part in header["parkey"] for name in ((part,) if isinstance(part, str) else part)]
    return {crds.PARAMETERS[name] for name in names if name in crds.PARAMETERS}


def _dates(selector: Any) -> Iterator[str]:
    if isinstance(selector, Call):
        for key, value in selector.selections.items():
            if selector.name == "UseAfter":
                yield str(key)
            yield from _dates(value)


def _period(kind: _Kind, header: Header) -> Any:
    """Number of the dates before the exposure, or when it was if that says nothing."""
    when = tuple(str(header.get(keyword, "")) for keyword in _WHEN)
    stamp = f"{when[0]} {when[1][:8]}"
    if kind.dates is None or not _DATE.fullmatch(stamp):
        return when
    return bisect_right(kind.dates, stamp)


def _choice(header: Header, name: str, context: str) -> str | None:
    try:
        return crds.best_references(header, (name,), context)[name]
    except mapping.Malformed:
        raise
    except ReferenceMissing:
        return MISSING
