"""Groups: when a set of members is complete enough to go on.

A group knows its members by name; a member is satisfied when it has a value. A
*listed* group has its members from an authority and waits for all of them. A
*counted* group collects whoever belongs to it: nobody can prove that no more will
come, so it waits until as many as `wanted` are there and then for the quiet clock;
if some stay away, for the hard clock. No clock runs while a job that feeds the
group is still ours to do: we never time out on our own backlog.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Member:
    """facts : what was known of it on joining; failed : why it will never come. Both opaque."""

    name: str
    facts: str
    value: str | None
    failed: str | None


@dataclass(frozen=True, kw_only=True)
class Group:
    """version : how often it has fired; wanted : members that make it complete, None if unknown."""

    name: str
    state: str
    listed: bool
    wanted: int | None
    version: int
    payload: str
    reason: str
    opened_at: float
    changed_at: float
    busy: bool
    members: tuple[Member, ...]

    @property
    def satisfied(self) -> tuple[Member, ...]:
        return tuple(m for m in self.members if m.value is not None)


@dataclass(frozen=True)
class Clocks:
    """quiet_s : since the last change; hard_s : since the group was opened."""

    quiet_s: float
    hard_s: float


@dataclass(frozen=True)
class Verdict:
    """fire : go on now; at : otherwise, when a clock will say so (None: no clock does)."""

    fire: bool
    reason: str
    at: float | None = None


def judge(group: Group, clocks: Clocks, now: float, *, hurry: bool = False) -> Verdict:
    """Whether the group shall fire, and why or why not.

    hurry : nothing else is left to do, so the clocks of a counted group are over
    """
    have = len(group.satisfied)
    waiting = [m.name for m in group.members if m.value is None and m.failed is None]
    failed = [m.name for m in group.members if m.failed is not None]
    if not have:
        return Verdict(False, "no member is there yet")
    if group.busy:
        return Verdict(False, f"{have} members are there, others are being processed")
    if group.listed:
        if not waiting and not failed:
            return Verdict(True, f"all {have} listed members are there")
        return Verdict(False, f"waits for {', '.join(waiting + failed)}")
    wanted = group.wanted or have
    known = have + len(failed)
    complete = known >= wanted and not waiting
    at = group.changed_at + clocks.quiet_s if complete else group.opened_at + clocks.hard_s
    count = f"{have} of {max(wanted, known + len(waiting))} members are there"
    if hurry or now >= at:
        return Verdict(True, count + ("" if complete else ", no more came in time"))
    clock = "quiet" if complete else "hard"
    return Verdict(False, f"{count}; the {clock} clock ends", at)
