"""Questions to the database, over a read-only connection; answers are plain and go into JSON.

with asking(config.folders.database) as ask:
    ask.where("jw…_uncal.fits")

Each module has the questions of one kind, with its statements beside it; ../views.sql has
what a person may ask with SQL.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calwebbd.daemon.ask.audit import Audit
from calwebbd.daemon.ask.board import Board
from calwebbd.daemon.ask.files import Files
from calwebbd.daemon.ask.operations import Operations
from calwebbd.daemon.ask.products import Products
from calwebbd.daemon.ask.queue import Queue
from calwebbd.daemon.ask.reader import Answer, Unknown
from calwebbd.daemon.ask.whatif import WhatIf
from calwebbd.daemon.ask.why import Why
from calwebbd.daemon.database import VERSION
from calwebbd.queues.migrate import version
from calwebbd.queues.store import connect

__all__ = ["Answer", "Ask", "Unknown", "asking"]


class Ask(Files, Why, Products, Operations, Queue, WhatIf, Audit, Board):
    """All questions."""


@contextmanager
def asking(database: Path) -> Iterator[Ask]:
    """Open the database of a service, running or not.

    Raises Unknown if there is none of our version, or if we may not read it.
    """
    if not database.exists():
        raise Unknown(f"{database} does not exist: no service has run with this configuration")
    connection, found = _open(database)
    try:
        if not found or not connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'view'").fetchone():
            raise Unknown(f"{database} is only being set up")
        if found != VERSION:
            other = f"{database} is of version {found}, this calwebbd reads {VERSION}"
            raise Unknown(f"{other}: the service is another version")
        yield Ask(connection)
    finally:
        connection.close()


def _open(database: Path) -> tuple[sqlite3.Connection, int]:
    """With its version. Readers share an index beside it, which only who may write there can make."""
    connection = None
    try:
        connection = connect(database, readonly=True)
        return connection, version(connection)
    except sqlite3.OperationalError as error:
        if connection:
            connection.close()
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        may = "the user of the service and root may read it, and its group while the service runs"
        raise Unknown(f"{database}: {error}: {may}") from error
