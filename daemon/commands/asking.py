"""What all questions to the records share: their options, times, and how answers are shown."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calwebbd.daemon import places
from calwebbd.daemon.commands import Common, Verbs
from calwebbd.daemon.errors import CommandError

if TYPE_CHECKING:
    from calwebbd.daemon.ask import Ask
    from calwebbd.daemon.config import Config

_WORD = 12  #: characters; no column of a table is folded to less
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def verb(verbs: Verbs, common: Common, name: str, help: str, **more: Any) -> argparse.ArgumentParser:
    """A verb with the options of all questions."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, parents=[common], help=help, **more)
    options(parser)
    return parser


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="of the service; default: CALWEBBD_CONFIG, ./calwebbd.toml, that of the last run, or "
        f"{places.SYSTEM}",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def since(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        *("--since",), type=_moment, default=0.0, metavar="WHEN",
        help="a time as 2026-11-22T03:00 (UTC), or how long ago: 30m, 12h, 7d",
    )  # fmt: skip


def _moment(text: str) -> float:
    try:
        return moment(text)
    except ValueError as error:  # of which argparse would say no more than that it is invalid
        raise argparse.ArgumentTypeError(str(error)) from error


def moment(text: str) -> float:
    """Seconds since 1970 of a time, or of so long ago. Raises ValueError."""
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if ago:
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        reason = f"{text!r} is neither a time, as 2026-11-22T03:00, nor how long ago, as 30m, 12h or 7d"
        raise ValueError(reason) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def settings(args: argparse.Namespace) -> Config:
    """The configuration of the service that is asked about."""
    from calwebbd.daemon import configfile

    try:
        return configfile.load(places.configuration(args.config))
    except configfile.ConfigError as error:
        raise CommandError(str(error)) from error


def use_cache(args: argparse.Namespace) -> None:
    """The CRDS cache of the service, if there is one, unless the environment names another."""
    if "CRDS_PATH" in os.environ or not places.configuration(args.config).exists():
        return
    if path := settings(args).crds.path:
        os.environ["CRDS_PATH"] = str(path)


def answer(args: argparse.Namespace, question: Callable[[Ask], Any], say: Callable[[Any], None]) -> int:
    """Ask the records, and print the answer; 0 whatever it is."""
    from calwebbd.daemon import ask

    try:
        with ask.asking(settings(args).folders.database) as records:
            found = question(records)
    except ask.Unknown as error:
        raise CommandError(str(error)) from error
    show(args, found, say)
    return 0


def show(args: argparse.Namespace, found: Any, say: Callable[[Any], None]) -> None:
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        say(found)


def table(rows: Iterable[Sequence[object]], *titles: str, right: Sequence[str] = (), empty: str = "") -> None:
    """Print rows in columns; those named in `right` are numbers. `empty` is said if there are none.

    What is too wide for a terminal is folded there; elsewhere lines are as long as they need to be.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        print(empty)
        return
    cells.insert(0, list(titles))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
    if sys.stdout.isatty() and sum(widths) > room:
        _narrow(widths, room)
    for row in cells:
        folded = [_fold(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*folded, fillvalue=""):
            columns = zip(parts, titles, widths, strict=True)
            line = (part.rjust(to) if title in right else part.ljust(to) for part, title, to in columns)
            print("  ".join(line).rstrip())


def _narrow(widths: list[int], room: int) -> None:
    """Take from the widest columns until they fit, down to a word's width."""
    while sum(widths) > room and max(widths) > _WORD:
        widths[widths.index(max(widths))] -= 1


def _fold(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) if len(text) > width else [text]


def _cell(value: object) -> str:
    """Nothing that a file's name may do to a terminal."""
    text = "" if value is None else str(value)
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    )


def when(at: float | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def said(pause: Mapping[str, Any]) -> str:
    """Why a stage is paused."""
    text = f"by {'an operator' if pause['by'] == 'operator' else 'its failures'} since {when(pause['since'])}"
    text += f": {pause['reason']}" if pause["reason"] else ""
    return text + (f"; one job is tried {when(pause['probe_at'])}" if pause["probe_at"] else "")


def state(name: str, row: Mapping[str, Any]) -> str:
    return f"{name}: {row['state']}" + (f", {row['reason']}" if row.get("reason") else "")
