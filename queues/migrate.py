"""Numbered scripts bring a database up to date: all or nothing, and after a backup.

The number of the last script that was applied is the database's `user_version`. Whoever
shares the database has scripts of its own, ``NNNN-what.sql`` in a folder; all folders
together are one sequence. A script is never changed once it has been released. Foreign
keys are not enforced while scripts run, so that a table can be made anew under its name;
views, which would stand in the way of that, are dropped: whoever has some makes them after it.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


class Unfit(Exception):
    """The database cannot be used as it is; the message is one sentence."""


@dataclass(frozen=True, order=True)
class Migration:
    number: int
    script: Path


def migrations(*folders: Path) -> tuple[Migration, ...]:
    """The scripts of all folders, in order. Raises ValueError if two have one number."""
    found = sorted(Migration(int(path.name[:4]), path) for folder in folders for path in folder.glob("*.sql"))
    for one, next_one in pairwise(found):
        if one.number == next_one.number:
            raise ValueError(f"{one.script} and {next_one.script} have the same number")
    return tuple(found)


def version(connection: sqlite3.Connection) -> int:
    """Number of the last script that was applied; 0 before the first."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path, scripts: Sequence[Migration]) -> None:
    """Apply the scripts that are missing.

    Raises Unfit if the database is of a newer version than the last script. If there is
    something in it already, its copy is left beside it, as ``NAME.vN``.
    """
    have, newest = version(connection), max(script.number for script in scripts)
    if have > newest:
        raise Unfit(f"{path} is of version {have}, this calwebbd knows up to {newest}: install the newer one")
    missing = [script for script in scripts if script.number > have]
    if not missing:
        return
    if not have and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise Unfit(f"{path} has tables but no version: it was not made by this calwebbd")
    if have:
        _keep(connection, path.with_name(f"{path.name}.v{have}"))
    views = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
    text = "\n".join(
        [f'DROP VIEW "{row[0]}";' for row in views] + [each.script.read_text() for each in missing]
    )
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {newest};")
        _check(connection, path)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise Unfit(f"{path}: a row of {broken[0]} refers to none of {broken[2]}")


def _keep(connection: sqlite3.Connection, copy: Path) -> None:
    """A copy that is whole or not there at all."""
    partial = copy.with_name(copy.name + ".partial")
    partial.unlink(missing_ok=True)
    target = sqlite3.connect(partial)
    try:
        connection.backup(target)
    finally:
        target.close()
    partial.replace(copy)
