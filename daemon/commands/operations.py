"""``failures``, ``progress``, ``latency``, ``audit`` and ``log``: of the service's work as a whole."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from calwebbd.daemon.commands import Common, Verbs
from calwebbd.daemon.commands.asking import answer, settings, since, table, verb, when
from calwebbd.daemon.errors import CommandError

if TYPE_CHECKING:
    from calwebbd.daemon.ask import Ask

LEVELS = ("debug", "info", "warning", "error")


def add(verbs: Verbs, common: Common) -> None:
    failures = verb(verbs, common, "failures", "what went wrong, by cause, and what to do about it")
    since(failures)
    failures.set_defaults(run=lambda args: answer(args, lambda ask: ask.failures(args.since), _failures))
    progress = verb(verbs, common, "progress", "how far each observation has come, and what waits")
    progress.add_argument("program", nargs="?", default="", metavar="PROGRAM", help="number; default: all")
    progress.set_defaults(run=run_progress)
    latency = verb(verbs, common, "latency", "time from a file to its products, without computing")
    since(latency)
    latency.set_defaults(run=lambda args: answer(args, lambda ask: ask.latency(args.since), _latency))
    audit = verb(verbs, common, "audit", "whether every file is accounted for; 1 if something is wanting")
    audit.add_argument("--disk", action="store_true", help="read all products and compare their checksums")
    audit.set_defaults(run=run_audit)
    log = verb(verbs, common, "log", "search the log file ([log] file in the configuration)")
    since(log)
    log.add_argument("--job", type=int, metavar="N", help="lines about this job")
    log.add_argument("--file", metavar="NAME", help="lines about a file or product, by a part of its name")
    log.add_argument("--level", choices=LEVELS, default="debug", help="at least of this level")
    log.add_argument("--grep", metavar="REGEX", help="lines whose text matches")
    log.set_defaults(run=run_log)


def run_progress(args: argparse.Namespace) -> int:
    """A table of observations, or that nothing has come of what was asked for."""
    empty = f"nothing of program {args.program} has come" if args.program else "nothing has come yet"
    return answer(args, lambda ask: ask.progress(args.program), lambda found: _progress(found, empty))


def run_audit(args: argparse.Namespace) -> int:
    """Hold the records against the folders; 1 if they do not agree."""
    wanting = False

    def question(ask: Ask) -> dict[str, Any]:
        nonlocal wanting
        found = ask.audit(settings(args), disk=args.disk)
        wanting = not found["ok"]
        return found

    return answer(args, question, _audit) or int(wanting)


def run_log(args: argparse.Namespace) -> int:
    """Print the lines that match, the oldest first; as they are with ``--json``."""
    import re

    from calwebbd.daemon.ask.logbook import search, told

    file = settings(args).log.file
    if file is None:
        raise CommandError("the configuration has no [log] file; journalctl has the log of a service")
    try:
        pattern = re.compile(args.grep) if args.grep else None
    except re.error as error:
        raise CommandError(f"--grep {args.grep!r} is not a regular expression: {error}") from error
    lines = search(file, job=args.job, name=args.file, since=args.since, level=args.level, pattern=pattern)
    for line in lines:
        print(json.dumps(line) if args.json else told(line))
    return 0


def _audit(answer: dict[str, Any]) -> None:
    print(
        f"on record  {', '.join(f'{n} {account}' for account, n in answer['accounts'].items()) or 'nothing'}"
    )
    print(f"ignored    {', '.join(f'{n} {reason}' for reason, n in answer['ignored'].items()) or 'none'}")
    for finding in answer["examples"]:
        print(f"wanting    {finding['path']}: {finding['what']}")
    print("every file is accounted for" if answer["ok"] else f"{answer['findings']} are wanting")


def _failures(answer: list[dict[str, Any]]) -> None:
    if not answer:
        print("nothing has failed")
    for row in answer:
        times = when(row["first"]) + (f" to {when(row['last'])}" if row["count"] > 1 else "")
        print(f"{row['count']} failed in {row['pipeline']}, {row['failure']}: {row['cause']}")
        print(f"    {row['open']} open; {times}")
        example = row["example"]
        print(f"    as {example['subject']}: {example['reason']}")
        print(f"    remedy: {row['remedy']}")


def _progress(answer: list[dict[str, Any]], empty: str) -> None:
    pipelines = list(dict.fromkeys(name for row in answer for name in row["pipelines"]))
    rows = [
        (
            row["program"], row["observation"], row["exposures"], row["quarantined"] or "",
            *(_counts(row["pipelines"].get(name, {})) for name in pipelines),
            "; ".join(f"{wait['association']}: {wait['reason']}" for wait in row["waits"]),
        )
        for row in answer
    ]  # fmt: skip
    titles = ("program", "observation", "exposures", "quarantined")
    table(rows, *titles, *pipelines, "waits", right=titles[2:], empty=empty)


def _counts(states: dict[str, int]) -> str:
    """Done of all, and what the rest does."""
    if not states:
        return ""
    rest = [f"{n} {state}" for state, n in states.items() if state != "done"]
    return f"{states.get('done', 0)}/{sum(states.values())}" + (f" ({', '.join(rest)})" if rest else "")


def _latency(answer: list[dict[str, Any]]) -> None:
    names = ("median", "p90", "p99", "max")
    rows = [
        (row["pipeline"], row["n"], what, *(f"{row[what][name]:.2f}" for name in names))
        for row in answer
        for what in ("wait", "compute", "publish", "overhead")
    ]
    table(rows, "pipeline", "n", "s", *names, right=["n", *names], empty="nothing was made")
