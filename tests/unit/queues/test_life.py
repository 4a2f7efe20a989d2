"""Whatever happens to jobs in whatever order: what must always hold."""

from pathlib import Path

import in_memory
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from calwebbd.queues.job import Job, NewJob, State
from calwebbd.queues.retry import Failure
from calwebbd.queues.stages import ALL, Breaker
from calwebbd.queues.store import Stale, Store

BUDGET_MB = 1000
DISK_MB = 100


class Life(RuleBasedStateMachine):
    claims = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self._folder = in_memory.folder()
        self.store = Store(Path(self._folder.name) / "queue.db")
        self.now = 0.0
        self.done: set[str] = set()

    def teardown(self) -> None:
        self.store.close()
        self._folder.cleanup()

    @rule(
        key=st.integers(0, 30),
        subject=st.integers(0, 5),
        stage=st.sampled_from(["one", "two"]),
        share=st.sampled_from("abc"),
        priority=st.integers(1, 3),
        mem_mb=st.integers(0, BUDGET_MB),
        disk_mb=st.integers(0, DISK_MB),
    )
    def put(self, key: int, subject: int, **values: object) -> None:
        new = NewJob(key=str(key), subject=str(subject), payload="", **values)
        before = self.store.by_key(str(key))
        assert self.store.put(new, self.now) is (before is None)

    @rule(target=claims, worker=st.sampled_from(["v", "w"]))
    def claim(self, worker: str) -> Job | None:
        waiting = [job for job in self.jobs() if job.state is State.READY and job.not_before <= self.now]
        paused = {row["name"] for row in self.store.paused()}
        limits = {"lease_s": 10.0, "budget_mb": BUDGET_MB, "disk_mb": DISK_MB}
        job = self.store.claim(worker, self.now, **limits)
        if job is not None:
            assert job.id in {one.id for one in waiting}
            assert (job.attempt, job.fence) > (0, 0)
            assert ALL not in paused
            row = [one for one in self.store.paused() if one["name"] == job.stage]
            assert not row or (row[0]["paused"] == "breaker" and row[0]["probe_at"] <= self.now)
        return job

    @rule(job=claims)
    def publish(self, job: Job | None) -> None:
        if job is not None and self.still(job, State.RUNNING):
            self.store.publish(job, "{}", self.now)

    @rule(job=claims)
    def finish(self, job: Job | None) -> None:
        """Only the holder may, and only once."""
        if job is None:
            return
        try:
            self.store.finish(job, self.now)
        except Stale:
            assert not self.still(job, State.PUBLISHING)
        else:
            assert job.key not in self.done
            self.done.add(job.key)
            self.store.relax(job.stage, self.now)

    @rule(job=claims, failure=st.sampled_from(Failure))
    def fail(self, job: Job | None, failure: Failure) -> None:
        if job is None:
            return
        breaker = Breaker(failures=2, probe_s=5.0)
        try:
            found = self.store.fail(job, failure, "why", self.now, jitter=0.0, budget_mb=BUDGET_MB)
        except Stale:
            return
        assert found.mem_mb >= job.mem_mb
        self.store.strain(job.stage, job.subject, failure, "why", self.now, breaker)

    @rule(seconds=st.floats(0.0, 2000.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def rescue(self) -> None:
        self.store.rescue(self.now, lambda worker: worker == "w", budget_mb=BUDGET_MB)

    @rule(key=st.integers(0, 30))
    def revive(self, key: int) -> None:
        job = self.store.by_key(str(key))
        if job is not None and self.store.revive(job.id, self.now):
            assert job.state in (State.DEAD, State.DROPPED)

    @rule(key=st.integers(0, 30))
    def drop(self, key: int) -> None:
        job = self.store.by_key(str(key))
        if job is not None and self.store.drop(job.id, "not wanted", self.now):
            assert job.state in (State.READY, State.RUNNING, State.DEAD)

    @rule(stage=st.sampled_from(["one", "two", ALL]), go=st.booleans())
    def pause(self, stage: str, go: bool) -> None:
        if go:
            self.store.resume(stage, self.now)
        else:
            self.store.pause(stage, "", self.now)

    @rule(share=st.sampled_from("abc"), boost=st.integers(-1, 1))
    def boost(self, share: str, boost: int) -> None:
        self.store.boost(share, boost, self.now)

    @invariant()
    def what_runs_fits(self) -> None:
        running = [job for job in self.jobs() if job.state is State.RUNNING]
        assert sum(job.mem_mb for job in running) <= BUDGET_MB
        assert sum(job.disk_mb for job in running) <= DISK_MB

    @invariant()
    def one_at_a_time_makes_a_subject(self) -> None:
        held = [job.subject for job in self.jobs() if job.worker is not None]
        assert len(held) == len(set(held))

    @invariant()
    def what_is_done_stays_done(self) -> None:
        states = {job.key: job.state for job in self.jobs()}
        assert {key for key, state in states.items() if state is State.DONE} == self.done

    def jobs(self) -> list[Job]:
        rows = self.store.connection.execute("SELECT id FROM job").fetchall()
        return [self.store.get(row["id"]) for row in rows]

    def still(self, job: Job, state: State) -> bool:
        found = self.store.get(job.id)
        return found.state is state and found.fence == job.fence


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
