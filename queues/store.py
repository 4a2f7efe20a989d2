"""The durable queue: the one writing SQLite connection.

How it works. One process holds the store and one thread uses it. Every change is a
transaction on disk before the caller goes on (WAL, synchronous=FULL). `transaction`
nests: whoever opens it first commits, so the daemon's own records and the jobs that
follow share the transaction which ends a job. `claim` counts the attempt, raises the
fence and grants a lease; later changes name the fence and raise `Stale` when the job
has meanwhile been given to another. A job is computed, then PUBLISHING with its result
written down, then DONE: a crash between any two of these is mended by reading the row.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calwebbd.queues.groups import Group, Member
from calwebbd.queues.job import Job, NewJob, State
from calwebbd.queues.migrate import migrate, migrations
from calwebbd.queues.retry import Failure, delay, memory
from calwebbd.queues.sql import statements

_HERE = Path(__file__).parent
MIGRATIONS = _HERE / "migrations"
_SQL = statements((_HERE / "queries.sql").read_text())

Row = Mapping[str, Any]


class Stale(Exception):
    """The job is no longer the caller's: another claim has raised its fence."""


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open the database; readers never block the writer, nor can they change anything."""
    mode = "ro" if readonly else "rwc"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10.0)
    connection.isolation_level = None  # transactions are ours, not the module's
    connection.row_factory = sqlite3.Row
    if not readonly:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    return connection


class Store:
    """Jobs and groups in one database; `others` are folders with the migrations of whoever shares it.

    Raises Unfit if the database is of a newer version.
    """

    def __init__(self, path: Path, others: Iterable[Path] = ()) -> None:
        self.connection = connect(path)
        self._depth = 0
        try:
            migrate(self.connection, path, migrations(MIGRATIONS, *others))
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another transaction, part of it."""
        if self._depth == 0:
            self.connection.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self.connection.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self.connection.execute("COMMIT")

    def put(self, job: NewJob, now: float) -> bool:
        """Add a job; False if its key is known. Older READY jobs for its subject are superseded."""
        with self.transaction():
            row = self._one("put", now=now, **_values(job))
            if row is None:
                return False
            self._do("supersede", subject=job.subject, id=row["id"], now=now)
            return True

    def claim(self, worker: str, now: float, *, lease_s: float, budget_mb: int) -> Job | None:
        """The most urgent job that fits beside the running ones, now the worker's; None if none does."""
        with self.transaction():
            row = self._one("claim", worker=worker, now=now, lease_s=lease_s, budget_mb=budget_mb)
            return _job(row) if row else None

    def reject(self, budget_mb: int, now: float) -> list[Job]:
        """Bury jobs that no budget will ever admit."""
        with self.transaction():
            return [_job(row) for row in self._all("reject", budget_mb=budget_mb, now=now)]

    def renew(self, worker: str, now: float, lease_s: float) -> None:
        """Lengthen the leases of all jobs of a worker."""
        with self.transaction():
            self._do("renew", worker=worker, now=now, lease_s=lease_s)

    def publish(self, job: Job, result: str, now: float) -> None:
        """Computed; `result` says what is to be published. Raises Stale."""
        with self.transaction():
            self._mine("publish", job, result=result, now=now)

    def finish(self, job: Job, now: float) -> None:
        """Published: done. Raises Stale."""
        with self.transaction():
            self._mine("finish", job, now=now)

    def unclaim(self, job: Job, now: float) -> None:
        """Give back a job that was never begun, as if it had not been claimed. Raises Stale."""
        with self.transaction():
            self._mine("unclaim", job, now=now)

    def fail(
        self, job: Job, failure: Failure, reason: str, now: float, *, jitter: float, budget_mb: int
    ) -> Job:
        """Try again later, or never: as retry.py says. Returns the job as it now is. Raises Stale."""
        wait = delay(failure, job.attempt, jitter)
        with self.transaction():
            if wait is None:
                self._mine("bury", job, reason=reason, now=now)
            else:
                mem_mb = memory(failure, job.mem_mb, budget_mb)
                self._mine("give_back", job, reason=reason, now=now, not_before=now + wait, mem_mb=mem_mb)
            return self.get(job.id)

    def leased(self, state: State) -> list[Job]:
        """All jobs in hand that are RUNNING, or that are PUBLISHING."""
        return [job for job in map(_job, self._all("leased")) if job.state is state]

    def lost(self, now: float, alive: Callable[[str], bool]) -> list[Job]:
        """RUNNING jobs whose lease has lapsed or whose worker is dead."""
        return [job for job in self.leased(State.RUNNING) if _lost(job, now, alive)]

    def rescue(self, now: float, alive: Callable[[str], bool], *, budget_mb: int) -> list[Job]:
        """Take those back."""
        with self.transaction():
            lost = self.lost(now, alive)
            why = "its supervisor died"
            return [self.fail(j, Failure.LOST, why, now, jitter=0.0, budget_mb=budget_mb) for j in lost]

    def revive(self, job_id: int, now: float) -> bool:
        """Bring a DEAD job back; False if it is not dead."""
        with self.transaction():
            return self._do("revive", id=job_id, now=now) == 1

    def get(self, job_id: int) -> Job:
        row = self._one("get", id=job_id)
        if row is None:
            raise KeyError(job_id)
        return _job(row)

    def by_key(self, key: str) -> Job | None:
        row = self._one("by_key", key=key)
        return _job(row) if row else None

    def counts(self) -> dict[str, dict[str, int]]:
        """How many jobs are in which state, by stage."""
        table: dict[str, dict[str, int]] = {}
        for row in self._all("counts"):
            table.setdefault(row["stage"], {})[row["state"]] = row["n"]
        return table

    def next_due(self) -> float | None:
        """The earliest `not_before` of a READY job."""
        row = self.connection.execute(_SQL["next_due"]).fetchone()
        return None if row[0] is None else float(row[0])

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

    def join_group(self, group: str, member: str, facts: str, now: float) -> None:
        """A member of a collecting group, not yet satisfied; a list admits nobody else."""
        with self.transaction():
            found = self.group(group)
            if found.listed:
                return
            self._do("join_group", gathering=group, name=member, facts=facts)
            if all(m.name != member for m in found.members):
                self._do("touch_group", name=group, now=now)

    def assess(self, group: str, complete: bool, missing: str) -> None:
        """Note whether all expected members have joined, and in words which have not."""
        with self.transaction():
            self._do("assess", name=group, complete=int(complete), missing=missing)

    def satisfy(self, group: str, member: str, value: str, now: float) -> bool:
        """Give the member its value; False if it had just this one. A fired group opens again."""
        with self.transaction():
            changed = self._do("satisfy", gathering=group, name=member, value=value) == 1
            if changed:
                self._do("touch_group", name=group, now=now)
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

    def group(self, name: str) -> Group:
        row = self._one("group", name=name)
        if row is None:
            raise KeyError(name)
        return self._group(row)

    def ordinal(self, group: str, prefix: str) -> int:
        """The place of a group, from 1, among all whose names begin with `prefix`: always the same."""
        return int(self._all("ordinal", name=group, prefix=prefix)[0]["n"])

    def open_groups(self) -> list[Group]:
        return [self._group(row) for row in self._all("open_groups")]

    def awaiting(self, member: str) -> list[str]:
        """Names of the groups which know a member of this name."""
        return [row["gathering"] for row in self._all("awaiting", name=member)]

    def _group(self, row: Row) -> Group:
        members = tuple(_member(m) for m in self._all("members", name=row["name"]))
        values = dict(row) | {
            "listed": bool(row["listed"]),
            "complete": bool(row["complete"]),
            "busy": bool(row["busy"]),
        }
        return Group(**values, members=members)

    def _mine(self, statement: str, job: Job, **values: object) -> None:
        if self._do(statement, id=job.id, fence=job.fence, **values) != 1:
            raise Stale(f"job {job.id} is no longer held under fence {job.fence}")

    def _do(self, statement: str, **values: object) -> int:
        return self.connection.execute(_SQL[statement], values).rowcount

    def _all(self, statement: str, **values: object) -> list[Row]:
        return self.connection.execute(_SQL[statement], values).fetchall()

    def _one(self, statement: str, **values: object) -> Row | None:
        rows = self._all(statement, **values)
        return rows[0] if rows else None


def _lost(job: Job, now: float, alive: Callable[[str], bool]) -> bool:
    return job.lease_until is None or now > job.lease_until or job.worker is None or not alive(job.worker)


def _values(job: NewJob) -> dict[str, object]:
    names = ("key", "stage", "subject", "feeds", "priority", "mem_mb", "payload", "reason")
    return {name: getattr(job, name) for name in names}


def _job(row: Row) -> Job:
    return Job(**dict(row) | {"state": State(row["state"])})


def _member(row: Row) -> Member:
    return Member(name=row["name"], facts=row["facts"], value=row["value"], failed=row["failed"])
