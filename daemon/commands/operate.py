"""What operators do: pause, drain, retry, cancel, priorities, replay, backups.

Verbs that change something go through the running service (see ``daemon/control.py``).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calwebbd.daemon.commands import Common, Verbs
from calwebbd.daemon.commands.asking import answer, settings, show, table, verb, when
from calwebbd.daemon.errors import CommandError

if TYPE_CHECKING:
    from calwebbd.daemon.control import Request


def add(verbs: Verbs, common: Common) -> None:
    _add_stages(verbs, common)
    _add_letters(verbs, common)
    cancel = _deed(verbs, common, "cancel", "give up a job that waits or runs")
    cancel.add_argument("job", type=int, metavar="JOB", help="number of the job")
    cancel.set_defaults(run=lambda args: _ask(args, "Cancel", _cancelled, job=args.job))
    retry = _deed(verbs, common, "retry", "try again what did not go well with a file")
    retry.add_argument("file", metavar="FILE", help="a path, or a name alone")
    retry.set_defaults(run=lambda args: _ask(args, "Retry", _retried, file=args.file))
    priority = _deed(verbs, common, "priority", "put the jobs of a program before others, or behind")
    priority.add_argument("program", metavar="PROGRAM")
    priority.add_argument("boost", type=int, metavar="N", help="0 is usual; what is greater comes first")
    priority.set_defaults(
        run=lambda args: _ask(args, "Priority", _prioritized, program=args.program, boost=args.boost)
    )
    release = _deed(verbs, common, "release", "make a product without what it waits for")
    release.add_argument(
        "association",
        metavar="ASN",
        help="as `status` names it, or its product; or an exposure that waits for its predecessor",
    )
    release.set_defaults(run=lambda args: _ask(args, "Release", _released, association=args.association))
    replay = verb(verbs, common, "replay", "make a product again as it was made, and compare")
    replay.add_argument("product", metavar="PRODUCT", help="a path, or a name alone")
    replay.add_argument("--output-dir", type=Path, metavar="DIR", help="keep what is made there")
    replay.set_defaults(run=run_replay)
    backup = verb(
        verbs, common, "backup", "copy the database, beside the running service, and check the copy"
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="must not exist yet")
    backup.set_defaults(run=run_backup)
    restore = verb(verbs, common, "restore", "put a copy in the place of the database; no service may run")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.set_defaults(run=run_restore)


def _add_stages(verbs: Verbs, common: Common) -> None:
    pause = _deed(verbs, common, "pause", "begin no job of a stage; those that run end")
    resume = _deed(verbs, common, "resume", "go on with a stage")
    for parser in (pause, resume):
        parser.add_argument("stage", metavar="STAGE", help="a pipeline as detector1, or all")
    pause.set_defaults(run=lambda args: _ask(args, "Pause", _paused, stage=_stage(args)))
    resume.set_defaults(run=lambda args: _ask(args, "Resume", _resumed, stage=_stage(args)))
    drain = _deed(verbs, common, "drain", "pause all stages, and wait until nothing runs")
    drain.add_argument("--timeout", type=float, metavar="SECONDS", help="wait no longer; default: for ever")
    drain.set_defaults(run=run_drain)


def _add_letters(verbs: Verbs, common: Common) -> None:
    letters = verbs.add_parser("dlq", help="dead letters: jobs that need a person")
    what = letters.add_subparsers(metavar="WHAT", required=True)
    list_ = verb(what, common, "list", "each with its reason")
    list_.set_defaults(run=lambda args: answer(args, lambda ask: ask.letters(), _letters))
    one = verb(what, common, "show", "one with all its attempts and tracebacks")
    one.add_argument("job", type=int, metavar="ID")
    one.set_defaults(run=lambda args: answer(args, lambda ask: ask.letter(args.job), _letter))
    retry = _deed(what, common, "retry", "try them again, from the beginning")
    retry.add_argument("jobs", type=int, nargs="*", metavar="ID")
    retry.add_argument("--all", action="store_true", help="all of them")
    retry.add_argument("--reason", metavar="GLOB", help="those whose reason matches, as '*paper*'")
    retry.set_defaults(run=run_retry)
    drop = _deed(what, common, "drop", "give them up: they are listed no longer")
    drop.add_argument("jobs", type=int, nargs="+", metavar="ID")
    drop.set_defaults(run=lambda args: _ask(args, "Drop", _dropped, jobs=tuple(args.jobs)))


def _deed(verbs: Verbs, common: Common, name: str, help: str) -> argparse.ArgumentParser:
    parser = verb(verbs, common, name, help)
    parser.add_argument(
        "--why", default="", metavar="TEXT", help="your reason, written down with the decision"
    )
    return parser


def _stage(args: argparse.Namespace) -> str:
    return "*" if args.stage == "all" else str(args.stage)


def _ask(args: argparse.Namespace, name: str, say: Callable[[Any], None], **fields: Any) -> int:
    """Have a request carried out, and print what came of it."""
    from calwebbd.daemon import operators

    request = getattr(operators, name)(why=args.why, **fields)
    show(args, _done(args, request), say)
    return 0


def _done(args: argparse.Namespace, request: Request) -> dict[str, Any]:
    from calwebbd.daemon import channel

    return channel.ask(settings(args), request)


def run_drain(args: argparse.Namespace) -> int:
    """0 when nothing runs, 1 if something still does when the time is over."""
    from calwebbd.daemon import ask, operators

    _done(args, operators.Pause(stage="*", why=args.why or "drain"))
    began = time.monotonic()
    database = settings(args).folders.database
    while True:
        with ask.asking(database) as records:
            running = records.status()["in_hand"]
        over = args.timeout is not None and time.monotonic() - began > args.timeout
        if not running or over:
            break
        time.sleep(0.5)
    show(args, {"running": running}, lambda found: print(_drained(found["running"])))
    return 1 if running else 0


def run_retry(args: argparse.Namespace) -> int:
    chosen = (bool(args.jobs), args.all, args.reason is not None)
    if sum(chosen) != 1:
        raise CommandError("say which: numbers of jobs, --all, or --reason GLOB")
    return _ask(args, "Revive", _retried, jobs=tuple(args.jobs), reason=args.reason or "*")


def run_replay(args: argparse.Namespace) -> int:
    """0 if the product is the same, 1 if it is not."""
    import os
    import tempfile

    from calwebbd.daemon import ask, operators
    from calwebbd.daemon.replay import replay
    from calwebbd.daemon.runner import CALIBRATE, surroundings

    config = settings(args)
    os.environ.update(surroundings(config))
    with tempfile.TemporaryDirectory(prefix="calwebbd-replay-") as scratch:
        folder = args.output_dir or Path(scratch) / "replay"
        try:
            with ask.asking(config.folders.database) as records:
                found = replay(records, args.product, folder, CALIBRATE, lambda step, state: None)
        except ask.Unknown as error:
            raise CommandError(str(error)) from error
    _done(args, operators.Note(what="replay", about=found["product"], why=found["verdict"]))
    show(args, found, _replayed)
    return 0 if found["verdict"] in ("identical", "same data") else 1


def run_backup(args: argparse.Namespace) -> int:
    from calwebbd.daemon import backup, operators

    found = backup.backup(settings(args).folders.database, args.file.absolute())
    _done(args, operators.Note(what="backup", about=found["backup"]))
    show(args, found, lambda answer: print(f"{answer['backup']}: {answer['bytes']} bytes, checked"))
    return 0


def run_restore(args: argparse.Namespace) -> int:
    from calwebbd.daemon import backup, operators

    found = backup.restore(settings(args).folders.database, args.file.absolute())
    _done(args, operators.Note(what="restore", about=found["restored"], why=f"kept: {found['kept']}"))
    show(
        args,
        found,
        lambda answer: print(f"{answer['database']} restored; before: {answer['kept'] or 'none'}"),
    )
    return 0


def _paused(answer: dict[str, Any]) -> None:
    print(f"{'all stages are' if answer['paused'] == '*' else answer['paused'] + ' is'} paused")


def _resumed(answer: dict[str, Any]) -> None:
    names = ["all stages" if name == "*" else name for name in answer["resumed"]]
    print(f"goes on: {', '.join(names)}" if names else "nothing was paused")


def _drained(running: list[dict[str, Any]]) -> str:
    if not running:
        return "nothing runs; `calwebbd resume all` goes on"
    return "still running: " + ", ".join(f"{job['subject']} (job {job['id']})" for job in running)


def _cancelled(answer: dict[str, Any]) -> None:
    print(f"job {answer['cancelled']} ({answer['subject']}) is given up; it was {answer['was']}")


def _retried(answer: dict[str, Any]) -> None:
    print(f"tried again: {', '.join(f'job {job}' for job in answer['retried']) or 'no job'}")
    for path in answer.get("looked_at_again", []):
        print(f"looked at again: {path}")


def _prioritized(answer: dict[str, Any]) -> None:
    print(f"program {answer['program']} has priority {answer['priority']:+d}")


def _released(answer: dict[str, Any]) -> None:
    print(f"{answer['released']}: {answer['reason']}")


def _dropped(answer: dict[str, Any]) -> None:
    print(f"given up: {', '.join(f'job {job}' for job in answer['dropped'])}")


def _replayed(answer: dict[str, Any]) -> None:
    print(f"{answer['product']}: {answer['verdict']}")
    if answer["code"] != answer["code_now"]:
        print(f"  made by version {answer['code']}, made again by {answer['code_now']}")
    for file in answer["files"]:
        print(f"  {Path(file['product']).name}: {file['verdict']}")
        for line in file["differences"]:
            print(f"    {line}")


def _letters(answer: list[dict[str, Any]]) -> None:
    rows = [
        (row["id"], row["subject"], row["failure"], row["attempt"], when(row["since"]), row["reason"])
        for row in answer
    ]
    table(rows, "job", "product", "failure", "attempts", "since", "reason", empty="there are none")


def _letter(answer: dict[str, Any]) -> None:
    print(f"job {answer['id']}, {answer['subject']}: {answer['state']} since {when(answer['since'])}")
    print(f"  {answer['reason']}")
    memory = f"predicted {answer['predicted_mb']} MB, last asked for {answer['mem_mb']} MB"
    peak = "" if answer["peak_mb"] is None else f", used at least {answer['peak_mb']:.0f} MB"
    print(f"  {memory} (rung {answer['rung']}){peak}; time limit x{answer['stretch']}")
    for path in answer["inputs"]:
        print(f"  of {path}")
    for row in answer["attempts"]:
        how = f"{row['failure'] or row['outcome']}: {row['reason']}"
        print(f"attempt {row['attempt']}, {when(row['ended'])}, {how}")
        for line in row["detail"].splitlines():
            print(f"    {line}")
