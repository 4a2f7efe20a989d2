"""What operators may ask for about contexts."""

import time

from calwebbd.daemon.contexts.epochs import Change
from calwebbd.daemon.contexts.policy import activate
from calwebbd.daemon.control import Answer, Desk, Request, carry_out
from calwebbd.daemon.errors import CommandError


class Approve(Request, frozen=True):
    """Bring a context into force, and make again what it would make differently."""

    context: str

    @property
    def subject(self) -> str:
        return self.context


class Rollback(Request, frozen=True):
    """Back to the context that was in force before."""


class Refresh(Request, frozen=True):
    """Do now what is done once a day."""


@carry_out.register
def _(request: Approve, desk: Desk) -> Answer:
    from calwebbd.stages.crds import cache

    epochs, now = desk.dispatch.epochs, time.time()
    active = epochs.active()
    if active is not None and request.context == active.context:
        epochs.allow()
        desk.dispatch.behind = True
        return {"context": request.context, "jobs": epochs.behind(request.context)}
    pinned = desk.config.crds.context
    if pinned.endswith(".pmap") and pinned != request.context:
        raise CommandError(f"the configuration has crds.context = {pinned!r}; change it there")
    change = epochs.proposal(request.context)
    if change is None and request.context not in cache.contexts():
        raise CommandError(f"{request.context} is not in the CRDS cache: calwebbd crds refresh")
    activate(desk.dispatch, change or Change(request.context), "approved", now, redo=True)
    if change is None:  # what it changes is found afterwards
        return {"context": request.context, "behind": epochs.behind(request.context)}
    return {"context": request.context, "jobs": len(change.jobs), "certified": len(change.certified)}


@carry_out.register
def _(request: Rollback, desk: Desk) -> Answer:
    epochs = desk.dispatch.epochs
    active, before = epochs.active(), epochs.before()
    if active is None or before is None:
        raise CommandError("there is no context to go back to")
    pinned = desk.config.crds.context
    if pinned.endswith(".pmap"):
        raise CommandError(f"the configuration has crds.context = {pinned!r}; change it there")
    activate(desk.dispatch, Change(before), "rollback", time.time(), redo=True)
    return {"context": before, "from": active.context}


@carry_out.register
def _(request: Refresh, desk: Desk) -> Answer:
    if desk.workshop is None:
        raise CommandError("no service runs with this configuration; it refreshes when it starts")
    desk.refresh()
    return {"refresh": "begins"}
