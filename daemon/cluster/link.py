"""The thread that speaks with a Dask cluster; when it loses the scheduler it looks for it again, for ever."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from distributed import Client

from calwebbd.daemon.cluster.messages import Cut, Ended, Host, Mark, Message, Order
from calwebbd.daemon.cluster.session import Agree, Session
from calwebbd.daemon.worker import Reply
from calwebbd.queues.retry import Failure

FIND_S = 10.0  #: within which the scheduler is found, or is not there
RETRY_S = 2.0  #: between tries to find it
STOP_S = 10.0


class Link:
    """scheduler : its address, or the path of its file; for the others see `Session`."""

    def __init__(self, scheduler: str, agree: Agree, folder: Path, post: Callable[[Message], None]) -> None:
        self._scheduler = scheduler
        self._agree, self._folder, self._post = agree, folder, post
        self._loop = asyncio.new_event_loop()
        self._session: Session | None = None
        self._speaking = self._loop.create_task(self._speak())
        _hush()
        self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def do(self, order: Order, to: Host) -> None:
        """Have a host carry it out; `Ended` says how it went."""
        self._loop.call_soon_threadsafe(self._do, order, to)

    def drop(self, mark: Mark) -> None:
        """Wait for its answer no more."""
        self._loop.call_soon_threadsafe(self._drop, mark)

    def stop(self) -> None:
        if self.alive:
            self._loop.call_soon_threadsafe(self._speaking.cancel)
            self._thread.join(timeout=STOP_S)

    def _do(self, order: Order, to: Host) -> None:
        if self._session is None:
            self._post(Ended(order.mark, Reply(failure=Failure.LOST, reason="the scheduler is lost")))
        else:
            self._session.do(order, to)

    def _drop(self, mark: Mark) -> None:
        if self._session is not None:
            self._session.drop(mark)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._speaking)
        self._loop.close()

    async def _speak(self) -> None:
        while True:
            try:
                reason = await self._hold(_address(self._scheduler))
            except Exception as error:  # of the network, of certificates, of a file half written
                reason = f"{type(error).__name__}: {error}"
            self._post(Cut(reason))
            await asyncio.sleep(RETRY_S)

    async def _hold(self, address: str) -> str:
        """Connect, and say why no longer."""
        client = Client(address, asynchronous=True, set_as_default=False, timeout=FIND_S)
        try:
            await client
            self._session = Session(client, self._agree, self._folder, self._post)
            return await self._session.last()
        finally:
            self._session = None
            await client.close()


def _address(scheduler: str) -> str:
    """Dask would wait for ever for a file that is not there."""
    if "://" in scheduler:
        return scheduler
    return str(json.loads(Path(scheduler).read_text())["address"])


def _hush() -> None:
    """Dask writes to stderr by itself: what matters of it we tell."""
    for name in ("distributed", "distributed.client", "tornado", "tornado.application"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.CRITICAL)
