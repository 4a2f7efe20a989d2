"""``status``, ``where``, ``lineage`` and ``quarantine`` answer from the service's records."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calwebbd.daemon import places
from calwebbd.daemon.commands import Common, Verbs
from calwebbd.daemon.errors import CommandError

if TYPE_CHECKING:
    from calwebbd.daemon.ask import Ask


def add(verbs: Verbs, common: Common) -> None:
    asking = argparse.ArgumentParser(add_help=False, parents=[common])
    asking.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="of the service; default: CALWEBBD_CONFIG, ./calwebbd.toml, that of the last run, or "
        f"{places.SYSTEM}",
    )
    asking.add_argument("--json", action="store_true", help="print JSON")

    status = verbs.add_parser("status", parents=[asking], help="what runs, what waits and why")
    status.set_defaults(run=lambda args: _answer(args, lambda ask: ask.status(), _status))
    quarantine = verbs.add_parser("quarantine", parents=[asking], help="files that cannot be used, and why")
    quarantine.set_defaults(run=lambda args: _answer(args, lambda ask: ask.quarantine(), _quarantine))
    where = verbs.add_parser("where", parents=[asking], help="what became of a file")
    where.add_argument("file", metavar="FILE", help="a path, or a name alone")
    where.set_defaults(run=lambda args: _answer(args, lambda ask: ask.where(args.file), _where))
    lineage = verbs.add_parser("lineage", parents=[asking], help="how a product came to be")
    lineage.add_argument("product", metavar="PRODUCT", help="a path, or a name alone")
    lineage.set_defaults(run=lambda args: _answer(args, lambda ask: ask.lineage(args.product), _lineage))


def _answer(args: argparse.Namespace, question: Callable[[Ask], Any], say: Callable[[Any], None]) -> int:
    from calwebbd.daemon import ask, config

    try:
        settings = config.load(places.configuration(args.config))
        with ask.asking(settings.folders.database) as records:
            answer = question(records)
    except (config.ConfigError, ask.Unknown) as error:
        raise CommandError(str(error)) from error
    if args.json:
        print(json.dumps(answer, indent=2))
    else:
        say(answer)
    return 0


def _status(answer: dict[str, Any]) -> None:
    print(f"context      {answer['context']}")
    print(f"files        {', '.join(f'{n} {kind}' for kind, n in answer['files'].items()) or 'none yet'}")
    print(f"quarantined  {answer['quarantined']}")
    for stage, states in answer["jobs"].items():
        print(f"{stage:12s} {', '.join(f'{n} {state}' for state, n in states.items())}")
    for job in answer["in_hand"]:
        print(f"now          {job['subject']} ({job['state']}, attempt {job['attempt']})")
    for job in answer["dead"]:
        print(f"dead         {job['subject']}: {job['reason']}")
    for group in answer["associations"]:
        print(f"association  {_state(group['name'], group)}")


def _quarantine(answer: list[dict[str, Any]]) -> None:
    for row in answer:
        print(f"{row['path']}: {row['reason']}")


def _where(answer: dict[str, Any]) -> None:
    print(_state(answer["file"], answer))
    for job in answer.get("jobs", []):
        print(f"  {_state(job['subject'], job)}")
    for group in answer.get("associations", []):
        print(f"  {_state(group['name'], group)}")
    for product in answer.get("products", []):
        print(f"  {product['path']}")


def _state(name: str, row: dict[str, Any]) -> str:
    return f"{name}: {row['state']}" + (f", {row['reason']}" if row.get("reason") else "")


def _lineage(answer: dict[str, Any]) -> None:
    for line in tell(answer):
        print(line)


def tell(answer: dict[str, Any], indent: str = "") -> list[str]:
    """A lineage as indented lines: each file, by what it was made, and below it of what."""
    lines = [f"{indent}{Path(answer.get('path') or answer['name']).name}"]
    made = answer.get("made_by")
    if made:
        seconds = made["ended"] - made["started"]
        lines[0] += f"  ← {made['pipeline']} {made['code']}, {made['context']}, {seconds:.1f} s"
        ran = [step["name"] for step in made["steps"] if step["status"] == "COMPLETE"]
        lines.append(f"{indent}  steps: {', '.join(ran)}")
        files = ", ".join(sorted({name for name in made["references"].values() if name != "N/A"}))
        if files:
            lines.append(f"{indent}  references: {files}")
    for source in answer.get("inputs", []):
        lines += tell(source, indent + "    ")
    return lines
