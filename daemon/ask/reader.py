"""What all questions share: the connection, the statements beside each module, finding a file."""

import difflib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from calwebbd.queues.sql import statements
from calwebbd.stages.names import split_suffix

_HERE = Path(__file__).parent
_SQL = {
    name: statement
    for file in sorted(_HERE.glob("*.sql"))
    for name, statement in statements(file.read_text()).items()
}
_COMMON = len("jw01234")  #: so much names that are alike have in common at least

Answer: TypeAlias = dict[str, Any]


class Unknown(Exception):
    """The database does not know what was asked for."""


class Reader:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _all(self, statement: str, **values: object) -> list[Answer]:
        return [dict(row) for row in self._each(statement, **values)]

    def _each(self, statement: str, **values: object) -> Iterator[sqlite3.Row]:
        """One after the other, of what there is very much of."""
        yield from self._connection.execute(_SQL[statement], values)

    def _setting(self, name: str) -> str | None:
        return next((row["value"] for row in self._all("settings") if row["name"] == name), None)

    def _groups_with(self, root: str) -> list[Answer]:
        """Associations with a file of this exposure or product among their members."""
        rows = self._all("groups_with", prefix=f"{root}_", beyond=f"{root}`")
        found = {row["name"]: row for row in rows if split_suffix(row.pop("member"))[0] == root}
        return list(found.values())

    def _find(self, file: str) -> list[Answer]:
        """Catalogued files of this path, or else of this name; the best first. Raises Unknown."""
        found = self._all("find", **asked(file))
        if not found:
            raise Unknown(f"{file} is not a file that the service knows{self._like(file)}")
        return found

    def _unseen(self, file: str) -> str:
        """Why a file may be unknown, to end a sentence with: none is taken in now, or its name is another."""
        intake = self._setting("intake")
        return f"; no files are taken in now: {intake}" if intake else self._like(file)

    def _like(self, file: str) -> str:
        """Names that are nearly the one which nobody knows, to end a sentence with; "" if there are none."""
        name = Path(file).name
        for length in range(len(name), _COMMON - 1, -1):
            start = name[:length]
            found = [row["name"] for row in self._all("names_from", start=start, beyond=start + "\U0010ffff")]
            if found:
                near = difflib.get_close_matches(name, found, 3, 0.8)
                return f"; perhaps {' or '.join(near)}?" if near else ""
        return ""


def asked(file: str) -> dict[str, str]:
    """Files are known by the true path of their folder, even if they are links themselves."""
    path = Path(file)
    return {"path": str(path.parent.resolve() / path.name), "name": file if path.name == file else ""}
