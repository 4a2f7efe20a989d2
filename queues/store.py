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
from collections.abc import Callable, Iterable
from dataclasses import fields

from calwebbd.queues.database import Row, connect
from calwebbd.queues.gatherings import Gatherings
from calwebbd.queues.holds import Holds
from calwebbd.queues.job import Job, NewJob, State
from calwebbd.queues.retry import LONGEST_S, Failure, after
from calwebbd.queues.stages import Stages

__all__ = ["Stale", "Store", "connect"]

UNLIMITED = 1 << 40


class Stale(Exception):
    """The job is no longer the caller's: another claim has raised its fence."""


class Store(Stages, Gatherings, Holds):
    """Jobs, the stages they are for, and groups that wait for them."""

    def put(self, job: NewJob, now: float) -> bool:
        """Add a job; False if its key is known. Older READY jobs for its subject are superseded."""
        with self.transaction():
            boosts = self._all("boost", share=job.share)
            boost = boosts[0]["boost"] if boosts else 0
            place = {"share": job.share, "boost": boost, "priority": job.priority}
            turn = self._all("next_turn", subject=job.subject, **place)[0]["turn"]
            row = self._one("put", now=now, turn=turn, **_values(job) | place)
            if row is None:
                return False
            self._do("give_turn", turn=turn, **place)
            self._do("supersede", subject=job.subject, id=row["id"], now=now)
            self._do("know_stage", stage=job.stage)
            return True

    def claim(
        self,
        worker: str,
        now: float,
        *,
        lease_s: float,
        budget_mb: int,
        disk_mb: int = UNLIMITED,
        most_mb: int = UNLIMITED,
    ) -> Job | None:
        """The most urgent job that fits beside the running ones, now the worker's; None if none does.

        disk_mb : room for what all running jobs write; most_mb : memory for any one, at its best
        """
        with self.transaction():
            self._do("wake", now=now)
            self._do("probe", now=now)
            limits = {"budget_mb": budget_mb, "disk_mb": disk_mb, "most_mb": most_mb}
            row = self._one("claim", worker=worker, now=now, lease_s=lease_s, **limits)
            if row is None:
                return None
            self._do("serve", boost=row["boost"], priority=row["priority"], turn=row["turn"])
            return _job(row)

    def explain_disk(self, disk_mb: int) -> bool:
        """Have jobs that wait for room on the disk say so; whether there were any which did not yet."""
        reason = f"waits for room on the disk, {max(disk_mb, 0)} MB may be used"
        with self.transaction():
            return self._do("explain_disk", reason=reason, disk_mb=disk_mb) > 0

    def explain_memory(self, most_mb: int) -> bool:
        """Have jobs that are too large for all there is say so; whether there were any which did not yet."""
        reason = f"waits for a host with more memory, the largest has {most_mb} MB"
        with self.transaction():
            return self._do("explain_memory", reason=reason, most_mb=most_mb) > 0

    def fit(self, budget_mb: int) -> None:
        """Have jobs for which there was more memory make do with what there is now, each alone."""
        with self.transaction():
            self._do("fit", budget_mb=budget_mb)

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
        self,
        job: Job,
        failure: Failure,
        reason: str,
        now: float,
        *,
        jitter: float,
        budget_mb: int,
        peak_mb: float | None = None,
    ) -> Job:
        """Try again later, or never: as retry.py says. Returns the job as it now is. Raises Stale."""
        then = after(job, failure, reason, jitter=jitter, budget_mb=budget_mb, peak_mb=peak_mb)
        told = {"failure": failure, "reason": then.reason, "tries": then.tries, "peak_mb": peak_mb}
        with self.transaction():
            if then.delay is None:
                self._mine("bury", job, now=now, **told)
            else:
                asked = {"mem_mb": then.mem_mb, "rung": then.rung, "stretch": then.stretch}
                self._mine("give_back", job, now=now, not_before=now + then.delay, **asked, **told)
            return self.get(job.id)

    def unfinished(self, subjects: Iterable[str]) -> bool:
        """Whether a job for any of these subjects is still to be done."""
        return self._one("unfinished", subjects=json.dumps(list(subjects))) is not None

    def ready_for(self, subject: str) -> list[Job]:
        """READY jobs that make this."""
        return [_job(row) for row in self._all("ready_for", subject=subject)]

    def withdraw(self, job_id: int, reason: str, now: float) -> bool:
        """A READY job need not be done, for its product will be made otherwise; False if it is not READY."""
        with self.transaction():
            return self._do("withdraw", id=job_id, reason=reason, now=now) == 1

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
        """Bring a DEAD or DROPPED job back; False if it is neither, or a newer one makes the same."""
        with self.transaction():
            return self._do("revive", id=job_id, now=now) == 1

    def hasten(self, job_id: int, now: float) -> bool:
        """Try a job now that was to be tried again later; False if it was not."""
        with self.transaction():
            return self._do("hasten", id=job_id, now=now) == 1

    def drop(self, job_id: int, reason: str, now: float) -> bool:
        """Give up a READY, RUNNING or DEAD job; False if it is none of these."""
        with self.transaction():
            return self._do("drop", id=job_id, reason=reason, now=now) == 1

    def boost(self, share: str, boost: int, now: float) -> None:
        """Put all jobs of a share, those in line and those to come, before others; 0 is usual."""
        with self.transaction():
            self._do("set_boost", share=share, boost=boost)
            self._do("move_share", share=share, boost=boost)
            self._do("turns_of", share=share)

    def shift(self, worker: str, seconds: float, now: float) -> None:
        """The wall clock was set forward by so much, or back, and says `now`: all still waits as long.

        What has begun to wait since then waits longer if it was set forward, but no longer than any may.
        """
        with self.transaction():
            self._do("shift_jobs", seconds=seconds, now=now, longest_s=LONGEST_S)
            self._do("shift_leases", worker=worker, seconds=seconds)
            self._do("shift_probes", seconds=seconds, now=now)
            self.postpone(seconds, now)

    def get(self, job_id: int) -> Job:
        row = self._one("get", id=job_id)
        if row is None:
            raise KeyError(job_id)
        return _job(row)

    def newest(self, subject: str) -> Job | None:
        """The last job for a subject that no newer one has superseded."""
        row = self._one("newest", subject=subject)
        return _job(row) if row else None

    def by_key(self, key: str) -> Job | None:
        row = self._one("by_key", key=key)
        return _job(row) if row else None

    def dead(self) -> list[Job]:
        return [_job(row) for row in self._all("dead")]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many jobs are in which state, by stage."""
        table: dict[str, dict[str, int]] = {}
        for row in self._all("counts"):
            table.setdefault(row["stage"], {})[row["state"]] = row["n"]
        return table

    def backlog(self) -> int:
        """How many jobs wait for nothing but a worker."""
        return int(self._all("backlog")[0]["n"])

    def next_due(self, now: float) -> float | None:
        """When to claim again if nothing else happens: a job, or the probe of a stage, becomes due."""
        at = self._all("next_due", now=now)[0]["at"]
        return None if at is None else float(at)

    def _mine(self, statement: str, job: Job, **values: object) -> None:
        if self._do(statement, id=job.id, fence=job.fence, **values) != 1:
            raise Stale(f"job {job.id} is no longer held under fence {job.fence}")


def _lost(job: Job, now: float, alive: Callable[[str], bool]) -> bool:
    return job.lease_until is None or now > job.lease_until or job.worker is None or not alive(job.worker)


def _values(job: NewJob) -> dict[str, object]:
    return {field.name: getattr(job, field.name) for field in fields(NewJob)}


def _job(row: Row) -> Job:
    return Job(**dict(row) | {"state": State(row["state"])})
