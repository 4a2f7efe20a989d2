"""The record of contexts: which is in force, who waits, what is certified and what is made again.

Every method belongs in a transaction of the store whose connection it uses.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.queues.sql import statements

_SQL = statements((Path(__file__).parent / "epochs.sql").read_text())
MOST = 50  #: jobs put at a time


class Epoch(msgspec.Struct, frozen=True):
    """A context in force since `at`; redo : whether products that it changes are made again."""

    id: int
    context: str
    at: float
    cause: str
    redo: bool
    rules: str


class Change(msgspec.Struct, frozen=True):
    """What a context changes: jobs to be done again, attempts that it would not change, counts for people."""

    context: str
    rules: str = ""
    jobs: tuple[int, ...] = ()
    certified: tuple[int, ...] = ()
    summary: dict[str, Any] = {}


class Epochs:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def active(self) -> Epoch | None:
        """None before the first."""
        for row in self._all("active"):
            return _epoch(row)
        return None

    def history(self) -> list[Epoch]:
        return [_epoch(row) for row in self._all("history")]

    def before(self) -> str | None:
        """The context to go back to."""
        for row in self._all("before"):
            return str(row["context"])
        return None

    def activate(self, change: Change, cause: str, now: float, *, redo: bool) -> None:
        """The context comes into force, with all that follows from it."""
        reason = f"{change.context} is in force"
        self._do("begin", context=change.context, now=now, cause=cause, redo=redo, rules=change.rules)
        self._do("forget_redo")
        self._do("settle_proposals")
        self._do("settle_alerts", now=now)
        self._do("withdraw", context=change.context, reason=reason, now=now)
        self._do("redo_waiting", context=change.context, reason=reason)
        self.settle(change, now, redo=redo)

    def settle(self, change: Change, now: float, *, redo: bool) -> None:
        """Certify what the context would not change, and have the rest made again, or leave it."""
        activities = msgspec.json.encode(change.certified).decode()
        self._do("certify", context=change.context, activities=activities, now=now)
        if redo:
            jobs = msgspec.json.encode(change.jobs).decode()
            self._do("redo_products", jobs=jobs, reason=f"{change.context} is in force")

    def rejected(self) -> str | None:
        """The context that an operator went back from, while that holds."""
        history = self.history()[:2]
        return history[1].context if len(history) == 2 and history[0].cause == "rollback" else None

    def allow(self) -> None:
        """What the context in force changes is made again from now on."""
        self._do("allow")

    def propose(self, change: Change, now: float) -> None:
        """Let an operator decide."""
        self._do("propose", context=change.context, now=now, answer=msgspec.json.encode(change).decode())

    def proposal(self, context: str) -> Change | None:
        for row in self._all("proposal", context=context):
            return msgspec.json.decode(row["answer"], type=Change)
        return None

    def proposals(self) -> list[tuple[float, Change]]:
        """What waits, and since when."""
        return [
            (row["at"], msgspec.json.decode(row["answer"], type=Change)) for row in self._all("proposals")
        ]

    def next_redo(self, most: int = MOST) -> list[tuple[int, bool, str]]:
        """Jobs to be put again: number, whether it is as urgent as ever, and why."""
        return [(row["job"], bool(row["live"]), row["reason"]) for row in self._all("next_redo", most=most)]

    def redone(self, job: int) -> None:
        self._do("redone", job=job)

    def pending(self) -> int:
        return int(self._all("pending")[0]["n"])

    def behind(self, context: str) -> int:
        """How many attempts' products are neither of the context nor certified for it."""
        return int(self._all("behind", context=context)[0]["n"])

    def common(self, group: str, contents: Iterable[str], wanted: str) -> tuple[str | None, str]:
        """The one context of all members of a group: `wanted` if it can be; or None, and why.

        contents : SHA-256 of the members; those that others made belong to every context.
        """
        if self._all("awaited", feeds=group):
            return None, f"members are to be made again in {wanted}"
        found = [self.contexts_of(entity) for entity in contents]
        ours = [contexts for contexts in found if contexts]
        shared = set.intersection(*ours) if ours else {wanted}
        if wanted in shared:
            return wanted, ""
        if shared:
            return max(shared), ""
        others = sum(wanted not in contexts for contexts in ours)
        return None, (
            f"{others} of {len(found)} members are of other contexts than {wanted}, which would make them "
            "differently: calwebbd crds approve"
        )

    def contexts_of(self, entity: str) -> set[str]:
        """Contexts that make just this content; empty if we have not made it."""
        return {row["context"] for row in self._all("contexts_of", entity=entity)}

    def users(self, reference: str, since: float) -> list[dict[str, Any]]:
        """Attempts that used a reference since a time, each with its products."""
        found: dict[int, dict[str, Any]] = {}
        for row in self._all("users", entity=f"crds:{reference}", since=since):
            facts = {key: row[key] for key in ("attempt", "job", "pipeline", "started")}
            product = row["subject"].partition(":")[2]
            entry = found.setdefault(row["attempt"], facts | {"product": product, "files": []})
            if row["product"]:
                entry["files"].append(row["product"])
        return list(found.values())

    def made_with(self, references: Iterable[str]) -> dict[str, list[str]]:
        """Products that are current, by the references that they were made with: of these only."""
        found: dict[str, list[str]] = {}
        for row in self._all("made_with", references=msgspec.json.encode(list(references)).decode()):
            found.setdefault(row["reference"], []).append(row["product"])
        return found

    def _do(self, statement: str, **values: object) -> None:
        self._connection.execute(_SQL[statement], values)

    def _all(self, statement: str, **values: object) -> list[sqlite3.Row]:
        return self._connection.execute(_SQL[statement], values).fetchall()


def _epoch(row: sqlite3.Row) -> Epoch:
    return Epoch(**dict(row) | {"redo": bool(row["redo"])})
