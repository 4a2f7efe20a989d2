"""What becomes of a refreshed context: as the configuration says, and the same for service and commands."""

import os
from dataclasses import replace

from calwebbd.daemon.config import Config
from calwebbd.daemon.contexts.epochs import Change
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.stages.crds.cache import SERVERLESS


def activate(dispatch: Dispatch, change: Change, cause: str, now: float, *, redo: bool) -> None:
    """Bring a context into force: jobs put from now on carry it. All of it, or nothing."""
    with dispatch.store.transaction():
        dispatch.epochs.activate(change, cause, now, redo=redo)
        dispatch.records.set("context", change.context, now)
        if cause in {"refresh", "configured"}:  # of others there is a record already
            dispatch.records.decide("service", "activate", change.context, cause, now)
    dispatch.terms = replace(dispatch.terms, context=change.context)
    dispatch.behind = True


def receive(dispatch: Dispatch, policy: str, change: Change, now: float) -> str:
    """A context has been fetched, verified and compared: `settled`, `proposed` or `activated`.

    settled : it is the one in force; products that it would make just so are certified
    proposed : it would change products, and an operator is to decide; or was gone back from
    """
    active, epochs = dispatch.epochs.active(), dispatch.epochs
    if active is not None and change.context == active.context:
        with dispatch.store.transaction():
            epochs.settle(change, now, redo=active.redo)
        return "settled"
    if (policy == "ask" and change.jobs) or change.context == epochs.rejected():
        with dispatch.store.transaction():
            epochs.propose(change, now)
        return "proposed"
    activate(dispatch, change, "refresh", now, redo=policy != "never")
    return "activated"


def server_of(config: Config) -> str | None:
    """Where what is missing may be had; None if there is no server."""
    url = config.crds.server if config.crds.server is not None else os.environ.get("CRDS_SERVER_URL", "")
    return None if not url or "serverless" in url or "server-less" in url else url


def environment(config: Config) -> dict[str, str]:
    """What the configuration says to all that ask CRDS: variables of jobs and errands."""
    crds = config.crds
    found = {"CALWEBBD_BAD_FILES": " ".join(crds.bad_files)} if crds.bad_files else {}
    if crds.path:
        found["CRDS_PATH"] = str(crds.path)
    if crds.server is not None:
        found["CRDS_SERVER_URL"] = crds.server or SERVERLESS  # the crds package warns of an empty one
    return found


def sentence(change: Change, what: str) -> str:
    """What a context changes, for people."""
    counts = change.summary
    stages = ", ".join(f"{n} from stage {stage}" for stage, n in counts.get("by_stage", {}).items())
    kinds = sorted({kind for kinds in counts.get("types", {}).values() for kind in kinds})
    affected = f"{stages} ({', '.join(kinds)})" if stages else "nothing"
    return f"Context {change.context} {what}; it affects {affected}; {len(change.certified)} unaffected"
