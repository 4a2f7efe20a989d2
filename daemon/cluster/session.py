"""One connection to the scheduler of a Dask cluster: which hosts there are, orders to them, their answers.

It lives as long as the connection, and what it knows goes with it.
"""

import asyncio
import pickle
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distributed import Client

from calwebbd.daemon.cluster import host
from calwebbd.daemon.cluster.messages import Ended, Host, Hosts, Mark, Message, Order, Terms
from calwebbd.daemon.worker import Reply
from calwebbd.queues.retry import Failure

LOOK_S = 1.0  #: between looks at the hosts
ANSWER_S = 30.0  #: within which whoever lives answers a question
AGAIN_S = 20.0  #: after which a host that was refused is asked again
MB = "MB"  #: the resource by which a worker of Dask says how much memory it has for jobs

#: what hosts must agree with, given a file which they must see and its content
Agree = Callable[[Path, str], Terms]


class Session:
    """agree : see there; folder : where jobs write."""

    def __init__(self, client: Client, agree: Agree, folder: Path, post: Callable[[Message], None]) -> None:
        self._client: Any = client  # which has no types
        self._agree, self._folder, self._post = agree, folder, post
        self._topic = f"calwebbd-{uuid.uuid4().hex}"
        self._flaws: dict[Host, str | None] = {}
        self._asked: dict[Host, float] = {}
        self._known = Hosts()
        self._tasks: dict[Host | Mark, asyncio.Task[None]] = {}

    async def last(self) -> str:
        """Look after the hosts until the scheduler is lost, or is not that which it was; which of both."""
        self._client.subscribe_topic(self._topic, lambda event: self._post(pickle.loads(event[1])))
        scheduler = None
        try:
            while self._client.status == "running":
                found = await asyncio.wait_for(self._client.scheduler.identity(n_workers=-1), ANSWER_S)
                if found["id"] != (scheduler := scheduler or found["id"]):
                    return "another scheduler has come in its place"
                self._look(found["workers"])
                await asyncio.sleep(LOOK_S)
            return "the connection was lost"
        finally:
            for task in self._tasks.values():
                task.cancel()

    def do(self, order: Order, to: Host) -> None:
        """Have a host carry it out; `Ended` says how it went."""
        self._run(order.mark, self._do(order, to))

    def drop(self, mark: Mark) -> None:
        """Wait for its answer no more."""
        if task := self._tasks.get(mark):
            task.cancel()

    def _look(self, workers: Mapping[str, Mapping[str, Any]]) -> None:
        now = time.monotonic()
        there = {_host(address, worker) for address, worker in workers.items()}
        for gone in self._flaws.keys() - there:
            del self._flaws[gone]
        for each in there:
            if each not in self._flaws or (self._flaws[each] and now > self._asked[each] + AGAIN_S):
                self._asked[each] = now
                self._flaws.setdefault(each, None)
                self._run(each, self._admit(each))
        self._tell()

    def _tell(self) -> None:
        if self._known != (known := Hosts(dict(self._flaws))):
            self._known = known
            self._post(known)

    async def _admit(self, to: Host) -> None:
        flaw = await self._flaw(to) if to.mb else "it has no memory for jobs: start it with --resources MB=…"
        if to in self._flaws:
            self._flaws[to] = flaw
            self._tell()

    async def _flaw(self, to: Host) -> str:
        token = uuid.uuid4().hex
        probe = self._folder / f"probe-{token}"
        try:
            probe.write_text(token)
            message = pickle.dumps(self._agree(probe, token))
            answers = self._client.run(host.fit, message, workers=[to.address])
            return str((await asyncio.wait_for(answers, ANSWER_S))[to.address])
        except Exception as error:
            return f"it cannot be asked: {type(error).__name__}: {error}"
        finally:
            probe.unlink(missing_ok=True)

    async def _do(self, order: Order, to: Host) -> None:
        try:
            reply = await self._client.submit(
                host.do,
                pickle.dumps(order),
                self._topic,
                key=f"{self._topic}-{order.job.id}-{order.job.fence}",
                workers=[to.address],
                allow_other_workers=False,
                resources={MB: order.job.mem_mb},
                retries=0,
                pure=False,
            )
        except Exception as error:  # a job's own troubles are answers: this is the cluster's
            reply = Reply(failure=Failure.LOST, reason=f"{to.name}: {type(error).__name__}: {error}")
        if reply.failure is Failure.LOST and self._flaws.get(to) == "":
            self._flaws[to], self._asked[to] = f"it lost a job: {reply.reason}", time.monotonic()
            self._tell()
        self._post(Ended(order.mark, reply))

    def _run(self, name: Host | Mark, task: Any) -> None:
        self._tasks[name] = asyncio.ensure_future(task)
        self._tasks[name].add_done_callback(lambda _: self._tasks.pop(name, None))


def _host(address: str, worker: Mapping[str, Any]) -> Host:
    mb = int(worker["resources"].get(MB, 0))
    return Host(address, worker["local_directory"], str(worker["name"]), worker["nthreads"], mb)
