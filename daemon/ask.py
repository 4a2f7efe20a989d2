"""Questions to the database, over a read-only connection; answers are plain and go into JSON.

with asking(config.folders.database) as ask:
    ask.where("jw…_uncal.fits")
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from calwebbd.daemon.database import VERSION
from calwebbd.daemon.route import member_name
from calwebbd.queues.migrate import version
from calwebbd.queues.sql import statements
from calwebbd.queues.store import connect

_SQL = statements((Path(__file__).parent / "ask.sql").read_text())

Answer: TypeAlias = dict[str, Any]


class Unknown(Exception):
    """The database does not know what was asked for."""


@contextmanager
def asking(database: Path) -> Iterator["Ask"]:
    """Open the database of a service, running or not. Raises Unknown if there is none of our version."""
    if not database.exists():
        raise Unknown(f"{database} does not exist: no service has run with this configuration")
    connection = connect(database, readonly=True)
    try:
        found = version(connection)
        if not found:
            raise Unknown(f"{database} is only being set up")
        if found != VERSION:
            raise Unknown(f"{database} is of version {found}, this calwebbd reads version {VERSION} only")
        yield Ask(connection)
    finally:
        connection.close()


class Ask:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def status(self) -> Answer:
        """Counts by stage and state, what runs, what died, which associations wait and why."""
        jobs: dict[str, dict[str, int]] = {}
        for row in self._all("jobs"):
            jobs.setdefault(row["stage"], {})[row["state"]] = row["n"]
        return {
            "context": next(
                (row["value"] for row in self._all("settings") if row["name"] == "context"), None
            ),
            "files": {row["kind"]: row["n"] for row in self._all("files")},
            "jobs": jobs,
            "in_hand": self._all("in_hand"),
            "dead": self._all("dead"),
            "associations": self._all("groups"),
            "quarantined": len(self._all("quarantined")),
        }

    def quarantine(self) -> list[Answer]:
        """Files that cannot be used, each with its reason."""
        return self._all("quarantined")

    def where(self, file: str) -> Answer:
        """State of one file, what it went through, what waits for it, what was made of it.

        file : a path, or a name alone. Raises Unknown.
        """
        asked = _asked(file)
        found, refused = self._all("find", **asked), self._all("refused", **asked)
        if found:  # of several files of this name, the one that is of use
            refused = [row for row in refused if row["path"] == found[0]["path"]]
        if not found and not refused:
            raise Unknown(f"{file} has not been seen")
        answer: Answer = {"file": (found or refused)[0]["path"]}
        if refused:
            answer |= {"state": "quarantined", "reason": refused[0]["reason"]}
        if not found:
            return answer
        best = found[0]
        jobs = self._all("jobs_of", entity=best["sha256"])
        answer = {"state": _state(jobs), "reason": best["note"]} | answer
        return answer | {
            "kind": best["kind"],
            "sha256": best["sha256"],
            "origin": best["origin"],
            "jobs": jobs,
            "associations": self._all("groups_of", name=member_name(best["name"])),
            "products": self._all("descendants", entity=best["sha256"]),
        }

    def lineage(self, product: str) -> Answer:
        """How a file came to be: its maker, what that used, and how those came to be.

        product : a path, or a name alone. Raises Unknown. A file that several others were
            made of is told of once; after that only its name is given.
        """
        found = self._all("find", **_asked(product))
        if not found:
            raise Unknown(f"{product} is not a file that the service knows")
        return self._made(found[0]["sha256"], set()) | {"path": found[0]["path"]}

    def _made(self, entity: str, told: set[str]) -> Answer:
        answer: Answer = dict(self._all("entity", entity=entity)[0])
        makers = [] if entity in told else self._all("maker", entity=entity)
        told.add(entity)
        for maker in makers:
            used = self._all("used_by", activity=maker["id"])
            answer["made_by"] = _activity(maker) | {
                "references": {u["role"]: u["name"] for u in used if u["kind"] == "reference"}
            }
            sources = [u for u in used if u["kind"] != "reference"]
            answer["inputs"] = [
                {"role": u["role"], "path": u["path"]} | self._made(u["entity"], told) for u in sources
            ]
        return answer

    def _all(self, statement: str, **values: object) -> list[Answer]:
        return [dict(row) for row in self._connection.execute(_SQL[statement], values)]


def _asked(file: str) -> dict[str, str]:
    """Files are known by the true path of their folder, even if they are links themselves."""
    path = Path(file)
    return {"path": str(path.parent.resolve() / path.name), "name": file if path.name == file else ""}


def _activity(row: Answer) -> Answer:
    names = ("pipeline", "attempt", "started", "ended", "context", "code", "peak_mb", "cpu_s")
    return {name: row[name] for name in names} | {
        "parameters": json.loads(row["parameters"]),
        "steps": json.loads(row["steps"]),
    }


def _state(jobs: list[Answer]) -> str:
    """Of the jobs that take a file, the one that matters most to whoever asks."""
    states = {job["state"] for job in jobs}
    order = ("dead", "running", "publishing", "ready", "done")
    return next((state for state in order if state in states), "catalogued")
