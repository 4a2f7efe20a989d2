"""The connection, transactions that nest, and named statements."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calwebbd.queues.migrate import migrate, migrations
from calwebbd.queues.sql import statements

_HERE = Path(__file__).parent
MIGRATIONS = _HERE / "migrations"
_SQL = statements("\n".join((_HERE / f"{name}.sql").read_text() for name in ("jobs", "stages", "groups")))

Row = Mapping[str, Any]


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open the database; readers never block the writer, nor can they change anything."""
    mode = "ro" if readonly else "rwc"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10.0)
    connection.isolation_level = None  # transactions are ours, not the module's
    connection.row_factory = sqlite3.Row
    if not readonly:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    return connection


class Database:
    """`others` are folders with the migrations of whoever shares the database.

    Raises Unfit if the database is of a newer version.
    """

    def __init__(self, path: Path, others: Iterable[Path] = ()) -> None:
        self.connection = connect(path)
        self._depth = 0
        try:
            migrate(self.connection, path, migrations(MIGRATIONS, *others))
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another transaction, part of it."""
        if self._depth == 0:
            self.connection.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self.connection.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self.connection.execute("COMMIT")

    def _do(self, statement: str, **values: object) -> int:
        return self.connection.execute(_SQL[statement], values).rowcount

    def _all(self, statement: str, **values: object) -> list[Row]:
        return self.connection.execute(_SQL[statement], values).fetchall()

    def _one(self, statement: str, **values: object) -> Row | None:
        rows = self._all(statement, **values)
        return rows[0] if rows else None
