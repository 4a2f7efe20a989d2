"""Topics of ``crds`` about a service: status, refresh, impact, approve, rollback, verify."""

from __future__ import annotations

import argparse
from typing import Any

from calwebbd.daemon.commands import Common, Verbs, impact
from calwebbd.daemon.commands.asking import settings, show, verb, when
from calwebbd.daemon.errors import CommandError


def add(topics: Verbs, common: Common) -> None:
    """The topics of ``crds`` which are about a service."""
    status = verb(topics, common, "status", "the service's context, what waits and what is behind")
    status.set_defaults(run=run_status)
    refresh = verb(topics, common, "refresh", "ask the server now, not only once a day")
    impact.add(topics, common, "impact")
    approve = verb(topics, common, "approve", "bring a context into force, make again what it changes")
    approve.add_argument("context", metavar="CONTEXT")
    rollback = verb(topics, common, "rollback", "back to the context that was in force before")
    for parser, run in ((refresh, run_refresh), (approve, run_approve), (rollback, run_rollback)):
        parser.add_argument("--why", default="", metavar="TEXT", help="for the records")
        parser.set_defaults(run=run)
    verify = verb(topics, common, "verify", "hash references, fetch again what is corrupt")
    verify.add_argument("references", nargs="*", metavar="NAME", help="default: all in the cache")
    verify.set_defaults(run=run_verify)


def run_status(args: argparse.Namespace) -> int:
    """From the records alone."""
    from calwebbd.daemon.contexts.epochs import Epochs
    from calwebbd.queues.store import connect

    config = settings(args)
    if not config.folders.database.exists():
        raise CommandError(f"{config.folders.database} does not exist: no service has run here")
    connection = connect(config.folders.database, readonly=True)
    try:
        epochs = Epochs(connection)
        active = epochs.active()
        moments = {
            row["name"]: float(row["value"])
            for row in connection.execute(
                "SELECT name, value FROM setting WHERE name IN ('crds refreshed', 'references verified')"
            )
        }
        alerts = connection.execute("SELECT text, first, count FROM alert WHERE gone IS NULL ORDER BY first")
        facts = {
            "context": active.context if active else None,
            "since": active.at if active else None,
            "cause": active.cause if active else None,
            "rules_sha1": active.rules if active else None,
            "reprocess": config.crds.reprocess,
            "refreshed": moments.get("crds refreshed"),
            "verified": moments.get("references verified"),
            "behind": epochs.behind(active.context) if active else 0,
            "to_be_put": epochs.pending(),
            "proposals": [{"at": at, **change.summary} for at, change in epochs.proposals()],
            "history": [{"context": e.context, "at": e.at, "cause": e.cause} for e in epochs.history()],
            "alerts": [dict(row) for row in alerts],
        }
    finally:
        connection.close()
    show(args, facts, _status)
    return 0


def run_refresh(args: argparse.Namespace) -> int:
    """A running service is asked to do it."""
    from calwebbd.daemon import channel
    from calwebbd.daemon.contexts.requests import Refresh

    show(args, channel.ask(settings(args), Refresh(why=args.why)), _said)
    return 0


def run_approve(args: argparse.Namespace) -> int:
    """The context comes into force; with that in force already, what it changes is made again."""
    import os

    from calwebbd.daemon import channel
    from calwebbd.daemon.contexts.policy import environment
    from calwebbd.daemon.contexts.requests import Approve

    config = settings(args)
    os.environ.update(environment(config))
    show(args, channel.ask(config, Approve(context=args.context, why=args.why)), _said)
    return 0


def run_rollback(args: argparse.Namespace) -> int:
    """Back, with all that follows from it."""
    from calwebbd.daemon import channel
    from calwebbd.daemon.contexts.requests import Rollback

    show(args, channel.ask(settings(args), Rollback(why=args.why)), _said)
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Hash here; 1 if something is corrupt and cannot be mended."""
    import os

    from calwebbd.daemon.contexts.policy import environment

    config = settings(args)
    os.environ.update(environment(config))
    import msgspec

    from calwebbd.daemon.contexts.epochs import Epochs
    from calwebbd.daemon.contexts.errands import Asked, verify
    from calwebbd.queues.store import connect

    answer = verify(Asked(context=config.crds.context, references=tuple(args.references)))
    damaged = [msgspec.to_builtins(each) for each in answer.damaged]
    if config.folders.database.exists():
        connection = connect(config.folders.database, readonly=True)
        try:
            for each in damaged:
                each["used_by"] = Epochs(connection).users(each["name"], each["good_at"])
        finally:
            connection.close()
    show(args, {"verified": answer.verified, "corrupt": damaged}, _verified)
    return int(any(not each["mended"] for each in damaged))


def _status(facts: dict[str, Any]) -> None:
    print(f"context    {facts['context']} since {when(facts['since'])} ({facts['cause']})")
    print(f"refreshed  {when(facts['refreshed']) or 'never'}; references verified {when(facts['verified'])}")
    print(f"behind     {facts['behind']} products; {facts['to_be_put']} jobs to be put again")
    for proposal in facts["proposals"]:
        print(f"waits      {proposal['context']}: changes {proposal['affected']} products since")
        print(f"           {when(proposal['at'])}; calwebbd crds approve {proposal['context']}")
    for alert in facts["alerts"]:
        print(f"alert      {when(alert['first'])}: {alert['text']}")


def _verified(facts: dict[str, Any]) -> None:
    print(f"{facts['verified']} references are well")
    for each in facts["corrupt"]:
        print(f"{each['reason']}; {'fetched again' if each['mended'] else 'not to be had'}")
        for user in each.get("used_by", []):
            print(f"  used by job {user['job']}: {user['product']}")


def _said(answer: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in answer.items()))
