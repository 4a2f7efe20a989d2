"""What a worker of Dask does for the service: jobs in processes of their own, as on the service's machine.

It has the same runner, so that limits, memory and ends are the same. A job is a coroutine of the worker's
loop, which alone uses the runner. It takes the folder of its attempt before it begins, so that no attempt is
made twice, whatever Dask does; when the folder is gone nobody wants it any more, and its process is ended.
"""

import asyncio
import multiprocessing
import os
import pickle
import socket
import time

from distributed import get_worker

from calwebbd.daemon import workspace
from calwebbd.daemon.cluster.messages import Order, Terms, Told
from calwebbd.daemon.runner import Runner, Worker
from calwebbd.daemon.work import work_of
from calwebbd.daemon.worker import Reply, Setting
from calwebbd.queues.retry import Failure
from calwebbd.stages import plugins

POLL_S = 0.05
LOOK_S = 1.0  #: how often a job looks whether it is still wanted, and tells of itself


class Bench:
    """Where the jobs of this process are done."""

    def __init__(self, setting: Setting) -> None:
        self.runner = Runner(setting)
        self._ended: dict[Worker, Reply] = {}

    async def do(self, order: Order, topic: str) -> Reply:
        """Carry out an order; every end is an answer."""
        runner, job = self.runner, order.job
        runner.setting = order.setting
        running = runner.start(job, work_of(job.payload), order.folder, order.limit)
        try:
            return await self._reply(running, order, topic)
        finally:
            if running in runner.running:  # it is not wanted any more, or the worker of Dask ends
                runner.end(running)
            if not workspace.is_taken(order.folder):
                workspace.discard(order.folder)

    async def _reply(self, running: Worker, order: Order, topic: str) -> Reply:
        looked, step = 0.0, ""
        while running not in self._ended:
            await asyncio.sleep(POLL_S)
            self._ended.update(self.runner.ended())
            if time.monotonic() < looked + LOOK_S and running.step == step:
                continue
            looked, step = time.monotonic(), running.step
            if not workspace.is_taken(order.folder):
                return Reply(failure=Failure.LOST, reason="it is given up")
            told = Told(order.mark, step, running.pid, running.peak_mb)
            get_worker().log_event(topic, pickle.dumps(told))
        return self._ended.pop(running)


_bench: Bench | None = None


async def fit(message: bytes) -> str:
    """Why this process cannot do the service's jobs, in a sentence; empty if it can."""
    global _bench
    terms: Terms = pickle.loads(message)
    if flaw := await asyncio.to_thread(_flaw, terms):  # disks may be slow, and Dask must hear that we live
        return flaw
    if _bench is None:
        _bench = Bench(terms.setting)
    if _bench.runner.setting.environment != terms.setting.environment:
        return "it was set up by a service of another configuration: start it again"
    return ""


async def do(message: bytes, topic: str) -> Reply:
    """Carry out an order, if nobody has begun to; tell of it to those who listen to a topic."""
    order: Order = pickle.loads(message)
    if _bench is None:
        return Reply(failure=Failure.LOST, reason=f"{socket.gethostname()} was started anew")
    if not workspace.take(order.folder):
        reason = f"{socket.gethostname()} is not the first to have it, or it is given up"
        return Reply(failure=Failure.LOST, reason=reason)
    return await _bench.do(order, topic)


def _flaw(terms: Terms) -> str:
    if multiprocessing.current_process().daemon:
        return "its process may not start others: start it with --no-nanny"
    if terms.code != (code := plugins.code()):
        return f"it has version {code}, the service has {terms.code}"
    folder = terms.probe.parent
    try:
        token = terms.probe.read_text()
    except OSError as error:
        return f"it does not see {folder} as the service does ({error.strerror})"
    if token != terms.token:
        return f"its {folder} is not the service's"
    if not os.access(folder, os.W_OK):
        return f"it may not write to {folder}"
    missing = [str(needed) for needed in terms.folders if not needed.is_dir()]
    return f"it does not see {', '.join(missing)}" if missing else ""
