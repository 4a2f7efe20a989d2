"""Jobs in hand: claim, start, hear, publish; and after a crash, bring to an end what was begun."""

import os
import random
import shutil
import time
from collections.abc import Callable, Sequence

from calwebbd.daemon import instance, sidecar, workspace
from calwebbd.daemon.config import Config
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.engine import Engine, Running
from calwebbd.daemon.schedule import LEASE_S
from calwebbd.daemon.work import Result, encode, result_of, work_of
from calwebbd.daemon.worker import Reply
from calwebbd.queues.job import Job, State
from calwebbd.queues.retry import Failure
from calwebbd.queues.store import Stale
from calwebbd.stages.crds.damage import Damaged

Tell = Callable[..., None]


class Workshop:
    """on_damaged : is told of corrupt references that jobs have met"""

    def __init__(
        self,
        dispatch: Dispatch,
        engine: Engine,
        config: Config,
        tell: Tell,
        on_damaged: Callable[[Sequence[Damaged]], None] = lambda damaged: None,
    ) -> None:
        self._dispatch = dispatch
        self._store = dispatch.store
        self._engine = engine
        self._config = config
        self._tell = tell
        self._on_damaged = on_damaged
        self._me = instance.identity()

    def reconfigure(self, config: Config) -> None:
        """For jobs begun from now on."""
        self._config = config
        self._store.fit(config.workers.budget_mb)

    @property
    def idle(self) -> bool:
        return not self._engine.running

    @property
    def waits(self) -> bool:
        """Whether there are jobs, and no place for any: the cluster has no host."""
        return self.idle and self._room_mb() is None and self._store.backlog() > 0

    @property
    def running(self) -> Sequence[Running]:
        return self._engine.running

    @property
    def room_mb(self) -> int:
        """What may still be written to the disk of the products, MB."""
        try:
            free = shutil.disk_usage(self._config.folders.scratch).free
        except OSError:  # it is gone: nothing may
            free = 0
        return (free >> 20) - self._config.queue.reserve_mb

    def cancel(self, job: Job, reason: str) -> bool:
        """Give a job up, even if it runs; False if it can no longer be."""
        done = self._dispatch.dropped(job, reason, time.time())
        folder = self._engine.cancel(job.id) if done else None
        if folder is not None:
            workspace.discard(folder)
        return done

    def recover(self) -> None:
        """Publish what was computed, take back what was not, remove what is left over."""
        now = time.time()
        scratch = self._config.folders.scratch
        for job in self._store.leased(State.PUBLISHING):
            self._publish(job, result_of(job.result or ""))
        for job in self._dispatch.rescue(now, lambda worker: worker == self._me or instance.alive(worker)):
            self._tell("rescued", job=job.id, pipeline=job.stage, state=job.state)
        self._store.fit(self._config.workers.budget_mb)
        workspace.sweep(scratch, keep=())

    def begin(self) -> None:
        """Start as many jobs as there is room for."""
        while (room_mb := self._room_mb()) is not None:
            held_mb = sum(running.job.mem_mb for running in self._engine.running)
            limits = {"budget_mb": held_mb + room_mb, "disk_mb": self.room_mb}
            if (most_mb := self._engine.most_mb) is not None:
                limits["most_mb"] = most_mb
            job = self._store.claim(self._me, time.time(), lease_s=LEASE_S, **limits)
            if job is None:
                if self._store.explain_disk(limits["disk_mb"]):
                    self._tell("waiting for disk", free_mb=limits["disk_mb"])
                if most_mb is not None and self._store.explain_memory(most_mb):
                    self._tell("waiting for a host", largest_mb=most_mb)
                return
            folder = workspace.folder(self._config.folders.scratch, job)
            work = work_of(job.payload)
            self._engine.start(job, work, folder, self._config.workers.timeout_seconds * job.stretch)
            facts = {"pipeline": work.pipeline, "product": work.subject, "attempt": job.attempt}
            self._tell("started", job=job.id, **facts)

    def _room_mb(self) -> int | None:
        return self._engine.room_mb(self._config.workers.processes, self._dispatch.terms.budget_mb)

    def hear(self) -> None:
        """Publish what has ended well, try again or give up what has not."""
        for running, reply in self._engine.ended():
            try:
                self._ended(running, reply)
            except Stale as error:  # it was taken for dead, and is being done by another
                self._tell("stale", job=running.job.id, reason=str(error))
            workspace.discard(running.workspace)

    def renew(self) -> None:
        """Keep our leases, take those of the dead."""
        now = time.time()
        self._store.renew(self._me, now, LEASE_S)
        for job in self._dispatch.rescue(now, instance.alive):
            self._tell("rescued", job=job.id, pipeline=job.stage, state=job.state)

    def shift(self, seconds: float) -> None:
        """The wall clock was set."""
        self._dispatch.shift(self._me, seconds, time.time())

    def abandon(self) -> None:
        """End all workers at once; their jobs are as if they had never been claimed."""
        given_back = [running.job for running in self._engine.running]
        self._engine.kill()
        for job in given_back:
            self._store.unclaim(job, now := time.time())
            self._dispatch.records.decide("service", "interrupt", job.subject, "the service was stopped", now)

    def _ended(self, running: Running, reply: Reply) -> None:
        if reply.damaged:
            self._on_damaged(reply.damaged)
        if reply.result is None:
            self._failed(running.job, reply, running.started)
            if reply.damaged and all(each.mended for each in reply.damaged):
                self._store.hasten(running.job.id, time.time())
            return
        now = time.time()
        self._store.publish(running.job, encode(reply.result), now)
        self._publish(running.job, reply.result)

    def _publish(self, job: Job, result: Result) -> None:
        """Move the products, then say so. Doing it again after a crash in between does no harm."""
        folder = workspace.folder(self._config.folders.scratch, job)
        try:
            workspace.publish(folder, result.products, self._config.folders.output)
        except workspace.Vanished as error:
            self._failed(job, Reply(failure=Failure.LOST, reason=str(error)), result.started)
            return
        except OSError as error:
            reason = f"cannot publish to {self._config.folders.output}: {os.strerror(error.errno or 0)}"
            self._failed(job, Reply(failure=Failure.DISK, reason=reason), result.started)
            return
        made = self._dispatch.published(job, result, time.time())
        workspace.discard(folder)
        seconds = result.ended - result.started
        files = [known.path.name for known in made if known.kind != sidecar.KIND]
        cost = {"seconds": round(seconds, 3), "peak_mb": round(result.peak_mb), "predicted_mb": job.mem_mb}
        product = work_of(job.payload).subject
        self._tell("finished", job=job.id, pipeline=job.stage, product=product, files=files, **cost)
        for file, reason in result.left_out.items():
            self._tell("left out", job=job.id, product=product, file=file, reason=reason)
        if result.peak_mb > job.mem_mb:
            self._tell("underestimated", job=job.id, pipeline=job.stage, product=product, **cost)

    def _failed(self, job: Job, reply: Reply, started: float) -> None:
        failure = reply.failure or Failure.ERROR
        after = self._dispatch.failed(
            job,
            failure,
            reply.reason,
            time.time(),
            detail=reply.detail,
            started=started,
            jitter=random.random(),
            peak_mb=reply.peak_mb,
        )
        facts = {"product": work_of(job.payload).subject, "failure": failure, "reason": reply.reason}
        self._tell("failed", job=job.id, pipeline=job.stage, state=after.state, **facts)
