"""Copies of the database: made while the service runs, checked, and put back when it does not."""

import os
import shutil
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calwebbd.daemon import instance
from calwebbd.daemon.database import VERSION
from calwebbd.daemon.errors import CommandError
from calwebbd.queues.migrate import version
from calwebbd.queues.store import connect


def backup(database: Path, target: Path) -> dict[str, Any]:
    """Copy the database as it is at one moment, beside a running service; the copy is whole or not there.

    Raises CommandError if there is no database, if the target exists, or if the copy is not sound.
    """
    if not database.exists():
        raise CommandError(f"{database} does not exist: no service has run here")
    if target.exists():
        raise CommandError(f"{target} exists already")
    began = time.monotonic()
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    source, copy = connect(database, readonly=True), sqlite3.connect(partial)
    try:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # a single file, wherever it is taken
        _check(copy, partial)
    except BaseException:
        copy.close()
        partial.unlink()
        raise
    finally:
        source.close()
        copy.close()
    _settle(partial)
    partial.rename(target)
    _settle(target.parent)
    return {
        "backup": str(target),
        "bytes": target.stat().st_size,
        "seconds": round(time.monotonic() - began, 3),
    }


def restore(database: Path, source: Path) -> dict[str, Any]:
    """Put a copy in the place of the database, which is kept beside it. No service may run.

    Raises CommandError if one does, or if the copy cannot be used; nothing has changed then.
    """
    state = database.parent
    state.mkdir(parents=True, exist_ok=True)
    _examine(source)
    try:
        with instance.alone(state):
            return _put_back(database, source)
    except instance.AlreadyRunning as error:
        raise CommandError(f"{error}: stop the service first") from error


def _put_back(database: Path, source: Path) -> dict[str, Any]:
    """The database is at every moment either the old one or the new one, each without a journal."""
    partial = database.with_name(database.name + ".restoring")
    shutil.copyfile(source, partial)
    _settle(partial)
    kept = None
    if database.exists():
        _fold(database)
        kept = database.with_name(f"{database.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
        os.link(database, kept)
    for journal in ("-wal", "-shm"):
        database.with_name(database.name + journal).unlink(missing_ok=True)
    os.replace(partial, database)
    _settle(state := database.parent)
    return {
        "restored": str(source),
        "database": str(state / database.name),
        "kept": str(kept) if kept else None,
    }


def _fold(database: Path) -> None:
    """Bring what its journal holds into the database."""
    connection = connect(database)
    try:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.close()
    if busy:
        raise CommandError(f"{database} is just being read by another command: try again")


def _examine(source: Path) -> None:
    if not source.exists():
        raise CommandError(f"{source} does not exist")
    connection = connect(source, readonly=True)
    try:
        _check(connection, source)
        found = version(connection)
    except sqlite3.DatabaseError as error:
        raise CommandError(f"{source} is not a database: {error}") from error
    finally:
        connection.close()
    if not 0 < found <= VERSION:
        raise CommandError(f"{source} is of version {found}, this calwebbd knows 1 to {VERSION}")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        raise CommandError(f"{path} is damaged: {found[0]}")


def _settle(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
