"""Commands that change something: each is a request, carried out by the running service.

A command sends its request through a socket in the state folder (``channel.py``). A thread of
the service takes it in, and the one loop carries it out between other events, so that nothing else
ever writes to the database. Where no service runs, the command takes its place for a
moment: it holds the lock of the state folder and does the same by the same function.
Each request is one transaction with the decision that is written down: who, when, what
and why. Only the user of the service, and root, are listened to.

To add one, write a struct and its handler in a module that `MODULES` names::

    class Pause(Request, frozen=True):
        stage: str

        @property
        def subject(self) -> str:
            return self.stage

    @carry_out.register
    def _(request: Pause, desk: Desk) -> Answer:
        return {"paused": desk.store.pause(request.stage, request.why, time.time())}

and in the command ``channel.ask(config, Pause(stage="image3", why="…"))``, which returns
the handler's answer. What a handler refuses is a CommandError, in the command too.
"""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, singledispatch
from typing import Any, TypeAlias, Union

import msgspec

from calwebbd.daemon.config import Config
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.records import Records
from calwebbd.daemon.workshop import Tell, Workshop
from calwebbd.queues.store import Store

#: where requests and their handlers are
MODULES = ("calwebbd.daemon.operators", "calwebbd.daemon.contexts.requests")

Answer: TypeAlias = dict[str, Any]


class Request(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """why : the operator's reason, written down with the decision."""

    why: str = ""

    @property
    def subject(self) -> str:
        """What it concerns: a stage, a job, a program, …"""
        return ""

    @property
    def verb(self) -> str:
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Desk:
    """What a handler may use.

    workshop : the jobs in hand; None where no service runs
    reload : have the configuration read again; None where no service runs
    scan : have the watched folders scanned again; does nothing where no service runs
    refresh : have the server asked for the context; does nothing where no service runs
    """

    config: Config
    dispatch: Dispatch
    workshop: Workshop | None = None
    scan: Callable[[], None] = lambda: None
    tell: Tell = lambda event, **facts: None
    reload: Callable[[], list[str]] | None = None
    refresh: Callable[[], None] = lambda: None

    @property
    def store(self) -> Store:
        return self.dispatch.store

    @property
    def records(self) -> Records:
        return self.dispatch.records


@singledispatch
def carry_out(request: Request, desk: Desk) -> Answer:
    """Do what is asked, within a transaction. Raises CommandError with one sentence if it cannot be done."""
    raise TypeError(f"no handler for {type(request).__name__}")


def do(request: Request, desk: Desk, who: str) -> Answer:
    """Carry out a request and write down who wanted it."""
    now = time.time()
    with desk.store.transaction():
        answer = carry_out(request, desk)
        desk.records.decide(who, request.verb, request.subject, request.why, now)
    desk.tell("decided", who=who, verb=request.verb, subject=request.subject, why=request.why)
    return answer


@cache
def decoder() -> "msgspec.json.Decoder[Request]":
    """Reads any request that has a handler; from its first use on all handlers are known."""
    for module in MODULES:
        importlib.import_module(module)
    kinds = tuple(kind for kind in carry_out.registry if kind not in (object, Request))
    return msgspec.json.Decoder(Union[kinds])  # noqa: UP007 : they are only known now
