"""Groups in the database: who belongs to them, who has come, and that they fire once."""

import json
from collections.abc import Iterable

from calwebbd.queues.database import Database, Row
from calwebbd.queues.groups import Group, Member


class Gatherings(Database):
    def open_group(self, name: str, payload: str, now: float) -> None:
        """A collecting group; nothing happens if there is a group of this name."""
        with self.transaction():
            self._do("open_group", name=name, payload=payload, listed=0, now=now)

    def list_group(self, name: str, payload: str, members: Iterable[str], now: float) -> None:
        """A group with just these members; it replaces a collecting one, or an older list."""
        names = sorted(set(members))
        with self.transaction():
            self._do("open_group", name=name, payload=payload, listed=1, now=now)
            self._do("unlist", name=name, members=json.dumps(names))
            for member in names:
                self._do("join_group", gathering=name, name=member, facts="")

    def disband(self, pattern: str, reason: str, now: float) -> None:
        """Collecting groups whose name matches, with ``*`` and ``?``, go on no more."""
        with self.transaction():
            self._do("disband_members", pattern=pattern)
            self._do("disband", pattern=pattern, reason=reason, now=now)

    def join_group(self, group: str, member: str, facts: str, now: float) -> None:
        """A member of a collecting group, not yet satisfied; a list admits nobody else."""
        with self.transaction():
            found = self.group(group)
            if found.listed:
                return
            self._do("join_group", gathering=group, name=member, facts=facts)
            if all(m.name != member for m in found.members):
                self._do("touch_group", name=group, now=now, first=0)

    def assess(self, group: str, complete: bool, missing: str) -> None:
        """Note whether all expected members have joined, and in words which have not."""
        with self.transaction():
            self._do("assess", name=group, complete=int(complete), missing=missing)

    def satisfy(self, group: str, member: str, value: str, now: float) -> bool:
        """Give the member its value; False if it had just this one. A fired group opens again."""
        with self.transaction():
            first = not self.group(group).satisfied
            changed = self._do("satisfy", gathering=group, name=member, value=value) == 1
            if changed:
                self._do("touch_group", name=group, now=now, first=int(first))
            return changed

    def give_up(self, group: str, member: str, reason: str) -> None:
        """The member will not come."""
        with self.transaction():
            self._do("give_up", gathering=group, name=member, reason=reason)

    def fire(self, group: str, reason: str, now: float) -> bool:
        """The group goes on; False if it has already. Its version grows by one."""
        with self.transaction():
            return self._do("fire", name=group, reason=reason, now=now) == 1

    def explain(self, group: str, reason: str) -> None:
        """Note why the group waits."""
        with self.transaction():
            self._do("explain", name=group, reason=reason)

    def postpone(self, seconds: float, now: float) -> None:
        """The clocks of open groups stood still so long; those which began meanwhile begin now."""
        with self.transaction():
            self._do("postpone", seconds=seconds, now=now)

    def stand(self, group: str, now: float) -> None:
        """Its clocks stand still from now on, if they do not already."""
        with self.transaction():
            self._do("stand", name=group, now=now)

    def go_on(self, group: str, now: float) -> None:
        """Its clocks go on with the time that was left; those which began meanwhile begin now."""
        with self.transaction():
            self._do("go_on", name=group, now=now)

    def group(self, name: str) -> Group:
        row = self._one("group", name=name)
        if row is None:
            raise KeyError(name)
        return self._group(row)

    def ordinal(self, group: str, prefix: str) -> int:
        """The place of a group, from 1, among all whose names begin with `prefix`: always the same."""
        return int(self._all("ordinal", name=group, prefix=prefix)[0]["n"])

    def open_groups(self, but: Iterable[str] = ()) -> list[Group]:
        """Those that may fire; not those of these kinds, by which names begin."""
        return [self._group(row) for row in self._all("open_groups", but=json.dumps(sorted(but)))]

    def awaiting(self, member: str) -> list[str]:
        """Names of the groups which know a member of this name."""
        return [row["gathering"] for row in self._all("awaiting", name=member)]

    def awaited(self, prefix: str) -> list[tuple[str, str]]:
        """Groups, and their members without a value whose names begin so."""
        rows = self._all("awaited", prefix=prefix, beyond=prefix[:-1] + chr(ord(prefix[-1]) + 1))
        return [(row["gathering"], row["name"]) for row in rows]

    def is_open(self, name: str) -> Group | None:
        """The group of this name, unless it has fired or there is none."""
        row = self._one("group", name=name)
        return self._group(row) if row is not None and row["state"] == "open" else None

    def _group(self, row: Row) -> Group:
        members = tuple(_member(m) for m in self._all("members", name=row["name"]))
        values = dict(row) | {
            "listed": bool(row["listed"]),
            "complete": bool(row["complete"]),
            "busy": bool(row["busy"]),
        }
        return Group(**values, members=members)


def _member(row: Row) -> Member:
    return Member(name=row["name"], facts=row["facts"], value=row["value"], failed=row["failed"])
