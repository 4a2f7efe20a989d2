"""The exposures of each detector in the order of time, as the records have them.

Every method belongs in a transaction of the store whose connection it uses.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.queues.sql import statements
from calwebbd.stages.header import integer, text
from calwebbd.stages.names import parse, split_suffix

_SQL = statements((Path(__file__).parent / "timeline.sql").read_text())
UNIX_EPOCH = 40587.0  # MJD
DAY = 86400.0  # s


class Link(msgspec.Struct, frozen=True):
    """An exposure among those of its detector. Times are seconds since 1970.

    segment : of an exposure in several files
    reach : an exposure that ended before this has no part in it
    since : when it came, or was to be made again; look_at : when a clock of its ends, None if none runs
    waits_for : its predecessor, while it waits for that
    handed : the file it has handed on, as JSON; empty if there was nothing to be handed on, None if that
        is not known
    """

    exposure: str
    detector: str
    start: float
    segment: int
    ended: float
    reach: float
    since: float
    look_at: float | None = None
    waits_for: str = ""
    handed: str | None = None


def link_of(exposure: str, header: Mapping[str, Any], look_back_s: float, now: float) -> Link | None:
    """None where the header does not say of which detector and time it is."""
    detector = f"{text(header, 'INSTRUME')} {text(header, 'DETECTOR')}".upper()
    start = _time(header, "EXPSTART") or _date(header)
    if start is None or not text(header, "DETECTOR"):
        return None
    ended = max(start, _time(header, "EXPEND") or start)
    segment = integer(header, "EXSEGNUM") or 0
    return Link(exposure, detector, start, segment, ended, start - look_back_s, now)


def _time(header: Mapping[str, Any], keyword: str) -> float | None:
    value = header.get(keyword)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > UNIX_EPOCH:
        return None
    return (value - UNIX_EPOCH) * DAY


def _date(header: Mapping[str, Any]) -> float | None:
    try:
        at = datetime.fromisoformat(f"{text(header, 'DATE-OBS')}T{text(header, 'TIME-OBS')}")
    except ValueError:
        return None
    return at.replace(tzinfo=UTC).timestamp()


class Timeline:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def enter(self, link: Link) -> Link | None:
        """The exposure has come. Returns where it was before, if it is known."""
        before = self.link(link.exposure)
        values = {name: getattr(link, name) for name in ("exposure", "detector", "start", "segment", "ended")}
        self._do("enter", **values, reach=link.reach, now=link.since)
        return before

    def link(self, exposure: str) -> Link | None:
        return next(self._links("link", exposure=exposure), None)

    def before(self, link: Link) -> Iterator[Link]:
        """The nearest first, as far as they may have a part in it."""
        return takewhile(lambda earlier: earlier.ended >= link.reach, self._walk("before", link))

    def after(self, link: Link) -> Iterator[Link]:
        """Those in which it may have a part, the nearest first."""
        return takewhile(lambda later: later.reach <= link.ended, self._walk("after", link))

    def announced(self, link: Link, earlier: Link | None) -> str:
        """An exposure of the same visit and detector that is to come yet, between the two; or ``""``."""
        name = parse(f"{link.exposure}_uncal.fits")
        if name is None:
            return ""
        visit = f"jw{name.program}{name.observation}{name.visit}_"
        low = earlier.exposure + "`" if earlier and earlier.exposure.startswith(visit) else visit
        for row in self._all("announced", low=low, high=link.exposure):
            file = f"{split_suffix(row['name'])[0]}_uncal.fits"
            found = parse(file)
            if found and found.detector == name.detector and not self._all("seen", name=file):
                return found.root
        return ""

    def wait(self, exposure: str, waits_for: str, look_at: float | None) -> None:
        self._do("wait", exposure=exposure, waits_for=waits_for, look_at=look_at)

    def restart(self, exposure: str, now: float) -> None:
        self._do("restart", exposure=exposure, now=now)

    def hand_on(self, exposure: str, handed: str | None) -> None:
        self._do("hand_on", exposure=exposure, handed=handed)

    def due(self, now: float) -> list[Link]:
        """Those whose clock has ended, in the order of time."""
        return list(self._links("due", now=now))

    def waiting(self) -> list[Link]:
        """All whose jobs are held, in the order of time."""
        return list(self._links("waiting"))

    def postpone(self, seconds: float, now: float) -> None:
        """The clocks stood still so long; those which began meanwhile begin now."""
        self._do("postpone", seconds=seconds, now=now)

    def _walk(self, statement: str, link: Link) -> Iterator[Link]:
        """Step by step, for what is found may be changed meanwhile."""
        at: Link | None = link
        while at is not None:
            place = {name: getattr(at, name) for name in ("detector", "start", "segment", "exposure")}
            at = next(self._links(statement, **place), None)
            if at is not None:
                yield at

    def _links(self, statement: str, **values: object) -> Iterator[Link]:
        for row in self._all(statement, **values):
            yield Link(**dict(row))

    def _do(self, statement: str, **values: object) -> None:
        self._connection.execute(_SQL[statement], values)

    def _all(self, statement: str, **values: object) -> list[sqlite3.Row]:
        return self._connection.execute(_SQL[statement], values).fetchall()
