"""Groups: when a set of members is complete enough to go on.

A group knows its members by name; a member is satisfied when it has a value. A
*listed* group has its members from an authority and waits for all of them, unless it is
allowed to go on without. Any other *collects* whoever belongs to it. When it is said to be
complete it goes on after a short hold, in which an unannounced member may still join.
Otherwise nobody can prove that no more will come: it goes on, and says what it lacks, when
it has been quiet for long, or when the hard clock ends the wait of a group that is never
quiet. No clock runs while a job that feeds the group is still ours to do; then it goes on with the
time that was left. We never time out on our own backlog.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class Member:
    """facts : what was known of it on joining; failed : why it will never come. Both opaque."""

    name: str
    facts: str
    value: str | None
    failed: str | None


@dataclass(frozen=True, kw_only=True)
class Group:
    """version : how often it has fired
    complete : all expected members have joined; if not, `missing` says which
    busy : a job that feeds it is still to be done
    stood_since : its clocks have stood still since then; None while they run
    """

    name: str
    state: str
    listed: bool
    complete: bool
    missing: str
    version: int
    payload: str
    reason: str
    opened_at: float
    changed_at: float
    busy: bool
    members: tuple[Member, ...]
    stood_since: float | None = None

    @property
    def awaited(self) -> tuple[Member, ...]:
        return tuple(m for m in self.members if m.value is None and m.failed is None)

    @property
    def satisfied(self) -> tuple[Member, ...]:
        return tuple(m for m in self.members if m.value is not None)


class Partial(StrEnum):
    """When a group may go on without those that are missing."""

    QUIET = "after quiet clock"  #: or the hard one, if that ends first
    HARD = "after hard clock"
    NEVER = "never"


@dataclass(frozen=True)
class Clocks:
    """hold_s : of a complete group, since its last change
    quiet_s, hard_s : of another, since its last change and since it was opened: whichever ends first
    partial : when a group may go on without those that are missing; None: a collecting one after the
        quiet clock, a listed one never
    """

    hold_s: float
    quiet_s: float
    hard_s: float
    partial: Partial | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether a group goes on, and what of it is there.

    fire : go on now
    at : otherwise, when a clock will say so (None: no clock does); clock : that clock, in words
    stands : its clocks stand still
    """

    fire: bool
    count: str
    at: float | None = None
    clock: str = ""
    stands: bool = False

    @property
    def reason(self) -> str:
        return f"{self.count}; {self.clock}" if self.clock else self.count

    def stopped(self) -> "Verdict":
        """While our own backlog holds a member."""
        return Verdict(False, self.count, clock="others are being made, no clock runs", stands=True)


def judge(group: Group, clocks: Clocks, now: float, *, hurry: bool = False) -> Verdict:
    """Whether the group shall fire, and why or why not.

    hurry : nothing else is left to do, so the clocks are over
    """
    have = len(group.satisfied)
    waiting = [m.name for m in group.awaited]
    failed = [m.name for m in group.members if m.failed is not None]
    count = f"{have} of {len(group.members)} members are there"
    if not have:
        return Verdict(False, count)
    if group.busy:
        return Verdict(False, count).stopped()
    if group.listed:
        lacking = ", ".join(waiting + failed)
        if not lacking:
            return Verdict(True, count)
        count += f", lacks {lacking}"
        if clocks.partial in (None, Partial.NEVER):
            return Verdict(False, count)
    elif group.complete and not waiting:
        return _when(group.changed_at + clocks.hold_s, now, hurry, count, "it is held")
    else:
        count += f"; {group.missing or 'waits for ' + ', '.join(waiting)}"
        if clocks.partial is Partial.NEVER:
            return Verdict(False, f"{count}; it is never made in part")
    quiet, hard = group.changed_at + clocks.quiet_s, group.opened_at + clocks.hard_s
    if clocks.partial is Partial.HARD or hard < quiet:
        return _when(hard, now, hurry, count, "the hard clock runs")
    return _when(quiet, now, hurry, count, "the quiet clock runs")


def _when(at: float, now: float, hurry: bool, count: str, clock: str) -> Verdict:
    if hurry or now >= at:
        return Verdict(True, count)
    return Verdict(False, count, at, f"{clock} until {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}")
