"""The service's side of its workers: each job is a process of its own, born of a warm fork server.

The fork server has imported the calibration but has run no parallel kernel (a process
forked after that would abort), so a worker begins within milliseconds. It dies with the
fork server, and that with the service, so that none outlives it; a job that takes too
long is killed with all its children.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from calwebbd.daemon import memory, worker
from calwebbd.daemon.config import Config
from calwebbd.daemon.contexts.policy import environment
from calwebbd.daemon.engine import Running
from calwebbd.daemon.work import Work
from calwebbd.daemon.worker import Progress, Reply, Setting
from calwebbd.queues.job import Job
from calwebbd.queues.retry import Failure
from calwebbd.stages.memory import BUDGET

CALIBRATE = "calwebbd.daemon.calibrate:calibrate"


@dataclass(eq=False, kw_only=True)
class Worker(Running):
    """A job in a process.

    deadline : by the monotonic clock
    birth : the thread which starts the process
    """

    process: BaseProcess
    channel: Connection
    deadline: float
    birth: "Future[None]" = field(default_factory=Future)
    killings: int = field(default_factory=memory.killings)  #: by the kernel, when it began


class Runner:
    """Starts workers and hears how they end: the engine of one machine. Use from one thread."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.running: list[Worker] = []
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="start")
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([worker.__name__, setting.function.partition(":")[0]])
        os.environ.update(setting.environment)  # numba reads it once, in the fork server
        forkserver.ensure_running()  # its imports take seconds, in which no job need wait yet

    def room_mb(self, processes: int, budget_mb: int) -> int | None:
        """What is left of the budget, if there is a process left."""
        if len(self.running) >= processes:
            return None
        return budget_mb - sum(running.job.mem_mb for running in self.running)

    @property
    def most_mb(self) -> None:
        """The whole budget: see `Store.fit`."""

    def start(self, job: Job, work: Work, folder: Path, timeout_s: float) -> Worker:
        """Begin a job in its workspace. Its process is started by a thread: the fork server may be busy."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=worker.main, args=(theirs, self.setting, job.id, job.attempt, work, folder), daemon=True
        )
        running = Worker(
            job=job,
            work=work,
            workspace=folder,
            limit=timeout_s,
            process=process,
            channel=ours,
            deadline=time.monotonic() + timeout_s,
        )
        running.birth = self._starter.submit(_start, process, theirs)
        self.running.append(running)
        return running

    def stuck(self) -> bool:
        """Whether a process should long have begun, or been ended."""
        now = time.monotonic()
        return any(not r.birth.done() or now > r.deadline + 60.0 for r in self.running)

    def wait_on(self) -> list[Connection]:
        """What becomes readable when a worker ends, well or not."""
        return [running.channel for running in self.running]

    def ended(self) -> list[tuple[Worker, Reply]]:
        """Workers which have ended since last asked, and those which had to be ended."""
        found = [(running, reply) for running in self.running if (reply := _heard(running)) is not None]
        for running, _ in found:
            self.running.remove(running)
            _reap(running)
        return found

    def cancel(self, job: int) -> Path | None:
        """End the worker of a job; its workspace, or None if it has none."""
        for running in self.running:
            if running.job.id == job:
                self.end(running)
                return running.workspace
        return None

    def end(self, running: Worker) -> None:
        """One worker, at once."""
        _end(running)
        self.running.remove(running)

    def kill(self) -> None:
        """End all workers at once; their jobs go back to the queue by other means."""
        for running in self.running:
            _end(running)
        self.running.clear()

    def told(self) -> dict[str, Any]:
        """Nothing that its jobs do not tell."""
        return {}


@contextmanager
def _no_main() -> Iterator[None]:
    """Hide the program that was started: every worker would import it again before its job."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start(process: BaseProcess, channel: Connection) -> None:
    try:
        with _no_main():
            process.start()
        # multiprocessing looks after all children whenever it starts one, here beside the main
        # thread, which does the same: only one of the two would see how a process ended.
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
    finally:
        channel.close()


def _heard(running: Worker) -> Reply | None:
    if not running.birth.done():
        return None
    if error := running.birth.exception():
        reason = f"its process cannot be started: {type(error).__name__}: {error}"
        return Reply(failure=Failure.LOST, reason=reason)
    running.pid = running.process.pid
    if running.pid is not None:
        running.peak_mb = memory.peak_mb(running.pid) or running.peak_mb
    while running.channel.poll():
        try:
            message: Reply | Progress = running.channel.recv()
        except (EOFError, ConnectionResetError):
            running.process.join()
            return _killed(running)
        if isinstance(message, Reply):
            return message
        running.step = message.step
    if time.monotonic() > running.deadline:
        _kill(running.process)
        reason = f"took longer than its time limit, {running.limit:.0f} s"
        return Reply(failure=Failure.TIMEOUT, reason=reason, peak_mb=running.peak_mb)
    return None


_UNKNOWN = 255  #: what multiprocessing says of a child of a fork server that is no more


def _killed(running: Worker) -> Reply:
    """The pipe was closed without a reply."""
    code = running.process.exitcode
    if code == _UNKNOWN:
        reason = "the server that had forked its process died"
        return Reply(failure=Failure.LOST, reason=reason, peak_mb=running.peak_mb)
    if code is None or code >= 0:
        reason = f"its process ended with exit code {code} and no reply"
        return Reply(failure=Failure.ERROR, reason=reason, peak_mb=running.peak_mb)
    if -code == signal.SIGKILL and memory.killings() > running.killings:
        reason = "the kernel killed its process, for the machine was out of memory"
        return Reply(failure=Failure.MEMORY, reason=reason, peak_mb=running.peak_mb)
    reason = f"its process was killed by {signal.Signals(-code).name}"
    return Reply(failure=Failure.KILLED, reason=reason, peak_mb=running.peak_mb)


def _kill(process: BaseProcess) -> None:
    """The worker leads a process group of its own, once it has come so far."""
    if process.pid is None or process.exitcode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _end(running: Worker) -> None:
    if running.birth.exception() is None:
        _kill(running.process)
    _reap(running)


def _reap(running: Worker) -> None:
    if running.birth.exception() is not None:
        running.channel.close()
        return
    running.process.join(timeout=5.0)
    if running.process.exitcode is None:  # it has replied, but does not end
        _kill(running.process)
        running.process.join()
    running.process.close()
    running.channel.close()


def surroundings(config: Config) -> dict[str, str]:
    """Environment variables of whatever calibrates."""
    threads = str(config.workers.threads)
    names = (
        "CALWEBBD_THREADS",
        "NUMBA_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    )
    budget = {BUDGET: str(config.workers.mosaic_mb)}
    return dict.fromkeys(names, threads) | budget | environment(config)
