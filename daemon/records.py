"""What the service writes down: catalogue, quarantine and provenance.

Every method belongs in a transaction of the store whose connection it uses, so that
a product, the record of how it was made and the jobs that follow appear together.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from calwebbd.daemon.work import HANDED, FileSum, Input, Result, Work
from calwebbd.queues.job import Job
from calwebbd.queues.sql import statements

_HERE = Path(__file__).parent
MIGRATIONS = _HERE / "migrations"
_SQL = statements((_HERE / "records.sql").read_text())


class Known(msgspec.Struct, frozen=True):
    """A catalogued file: where it is, its content's SHA-256, kind and header."""

    path: Path
    sha256: str
    kind: str
    header: dict[str, Any]


class Standing(NamedTuple):
    """catalogued, aliases, quarantined or in hand.

    look : whether it is to be examined, for it is new, has changed, or could not be read;
    new : whether it is more than touched
    """

    name: str
    look: bool
    new: bool = False


def stamp(path: Path) -> str | None:
    """What tells a changed file from an unchanged one; None where there is no regular file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return stamp_of(found)


def stamp_of(found: os.stat_result) -> str:
    """Without the device: its number may be another one whenever a file system is mounted again."""
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


class Records:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def unchanged(self, path: Path, stamp: str) -> bool:
        """Whether just this file has been catalogued or quarantined already."""
        return not self.standing(path, stamp).look

    def standing(self, path: Path, stamp: str) -> Standing:
        """What is known of a file which now looks so."""
        rows = [(row["standing"], row["stamp"]) for row in self._all("stamp", path=str(path))]
        same = {standing for standing, known in rows if known == stamp}
        for standing in ("aliases", "quarantined", "catalogued"):
            if standing in same:
                return Standing(standing, look=False)
        if ("quarantined", "") in rows:
            return Standing("quarantined", look=True)
        touched = any(known.rpartition(":")[0] == stamp.rpartition(":")[0] for _, known in rows)
        return Standing("in hand", look=True, new=not touched)

    def catalogue(
        self,
        known: Known,
        stamp: str,
        size: int | None,
        origin: str,
        now: float,
        note: str = "",
        closed: float | None = None,
    ) -> None:
        """The path now holds this content, and is well; `closed` is when it got it, if that is known."""
        self._entity(known.sha256, known.kind, known.path.name, size, known.header, now)
        path, name = str(known.path), known.path.name
        row = {"path": path, "name": name, "entity": known.sha256, "origin": origin, "stamp": stamp}
        self._do("file", **row, note=note, now=now)
        self._do("release", path=path)
        self._history(path, known.sha256, origin, note, closed, now)

    def elsewhere(self, known: Known) -> Path | None:
        """Another path with this content; those which are no more are forgotten."""
        for row in self._all("holders", entity=known.sha256, path=str(known.path)):
            if os.path.exists(row["path"]):
                return Path(row["path"])
            self._do("forget", path=row["path"])
        return None

    def quarantine(self, path: Path, stamp: str, reason: str, now: float, *, known: bool = False) -> None:
        """A file cannot be used as it stands; `known` if its content is catalogued nevertheless."""
        self._do("quarantine", path=str(path), name=path.name, stamp=stamp, reason=reason, now=now)
        if not known:
            self._history(str(path), None, "refused", reason, None, now)

    def held(self, path: Path) -> str:
        """Why a file is in quarantine; empty if it is not."""
        return next((str(row["reason"]) for row in self._all("held", path=str(path))), "")

    def expect(self, manifest: Path, awaited: Mapping[Path, str], now: float) -> list[Path]:
        """Files, with their SHA-256, that a manifest names. Returns those known with another content."""
        self._do("expect_no_more", manifest=str(manifest))
        for path, sha256 in awaited.items():
            self._do("expect", path=str(path), manifest=str(manifest), sha256=sha256, now=now)
        return [Path(row["path"]) for row in self._all("contradicted", manifest=str(manifest))]

    def at(self, path: Path) -> str:
        """The content of a catalogued path."""
        return next((str(row["entity"]) for row in self._all("at", path=str(path))), "")

    def contradiction(self, path: Path, sha256: str) -> str:
        """Why a file with this content is not what a manifest says; empty if none says otherwise."""
        for row in self._all("awaited", path=str(path)):
            if row["sha256"] != sha256:
                return f"its content is not what {row['manifest']} says (SHA-256 {row['sha256'][:12]}…)"
        return ""

    def release(self, path: str) -> bool:
        """A file in quarantine shall be looked at again; False if it is not there."""
        return self._connection.execute(_SQL["release"], {"path": path}).rowcount == 1

    def decide(self, who: str, what: str, subject: str, why: str, now: float) -> None:
        """An operator did something, or the service did by itself what nobody asked for.

        who : the operator's name, or ``service``
        what : a verb, as ``pause``; subject : of a stage, product, context or file, "" for the whole service
        """
        self._do("decision", who=who, what=what, subject=subject, why=why, now=now)

    def named(self, name: str) -> Known | None:
        """The newest file of this name."""
        for row in self._all("by_name", name=name):
            return Known(Path(row["path"]), row["entity"], row["kind"], json.loads(row["header"]))
        return None

    def headers_like(self, pattern: str) -> list[dict[str, Any]]:
        """Headers of all files whose name matches, with ``*`` and ``?``."""
        return [json.loads(row["header"]) for row in self._all("headers_like", pattern=pattern)]

    def unfinished(self, program: str, but: str) -> bool:
        """Whether any other pipeline than this has something of a program still to do."""
        return bool(self._all("unfinished", pattern=f"*:jw{program}*", pipeline=but))

    def replaced(self, job: int) -> bool:
        """Whether something else is now in the place of a product that a job has made."""
        return bool(self._all("replaced", job=job))

    def note(self, path: Path, note: str) -> None:
        """Why nothing follows from a file."""
        self._do("note", path=str(path), note=note)

    def complete(self, job: Job, work: Work, result: Result, output: Path, now: float) -> list[Known]:
        """An attempt that ended well, and its products. Returns those."""
        own = {work.pipeline: result.parameters} if result.parameters else {}
        activity = self._activity(
            job,
            work,
            started=result.started,
            ended=result.ended,
            outcome="complete",
            parameters=_json(own | {step["name"]: step["parameters"] for step in result.steps}),
            steps=_json([{k: v for k, v in s.items() if k != "parameters"} for s in result.steps]),
            peak_mb=result.peak_mb,
            cpu_s=result.cpu_s,
        )
        self._used(activity, work.inputs, now)
        for step in result.steps:
            for kind, file in step["references"].items():
                if file != "N/A":
                    name = os.path.basename(file)
                    self._reference(activity, kind, name, result.sums.get(name), now)
        made = []
        for product in result.products:
            known = Known(output / product.name, product.sha256, product.suffix, work.header)
            self.catalogue(known, stamp(known.path) or "", product.size, "product", now)
            self._do("generated", activity=activity, entity=known.sha256, path=str(known.path))
            for source in work.inputs:
                if source.role == HANDED:  # what else saturated its pixels is not what it was made of
                    continue
                self._do("derived", entity=known.sha256, source=source.sha256)
            made.append(known)
        if made:
            self._do("timed", activity=activity, now=now)
        self._leave_out(activity, work, result.left_out)
        return made

    def _leave_out(self, activity: int, work: Work, reasons: Mapping[str, str]) -> None:
        """Write down who was not used, and say it of the files, too."""
        note = f"left out of {work.subject}: "
        for name, reason in reasons.items():
            self._do("left_out", activity=activity, name=name, reason=reason)
        for source in work.inputs:
            if source.path.name in reasons:
                self.note(source.path, note + reasons[source.path.name])
            else:
                self._do("taken", path=str(source.path), note=note)

    def failed(
        self,
        job: Job,
        work: Work,
        failure: str,
        reason: str,
        detail: str,
        started: float,
        now: float,
        peak_mb: float | None = None,
    ) -> None:
        """An attempt that did not end well."""
        fields = {"failure": failure, "reason": reason, "detail": detail, "peak_mb": peak_mb}
        activity = self._activity(job, work, started=started, ended=now, outcome="failed", **fields)
        self._used(activity, work.inputs, now)

    def setting(self, name: str) -> str | None:
        for row in self._all("setting", name=name):
            return str(row["value"])
        return None

    def set(self, name: str, value: str, now: float) -> None:
        self._do("set", name=name, value=value, now=now)

    def target_number(self, program: str, candidate: str, name: str, now: float) -> int:
        """Of a target, among those of its observation: the next one if it has none yet."""
        observed = {"program": program, "candidate": candidate, "name": name}
        self._do("number", **observed, now=now)
        return int(self._all("number_of", **observed)[0]["number"])

    def _history(
        self, path: str, entity: str | None, origin: str, reason: str, closed: float | None, now: float
    ) -> None:
        row = {"path": path, "entity": entity, "origin": origin, "reason": reason}
        self._do("history", **row, closed=closed, now=now)

    def _activity(self, job: Job, work: Work, **fields: object) -> int:
        empty: dict[str, object] = {"failure": "", "reason": "", "detail": "", "parameters": "{}"}
        empty |= {"steps": "[]", "peak_mb": None, "cpu_s": None}
        row = {"job": job.id, "stage": work.stage, "pipeline": work.pipeline, "attempt": job.attempt}
        row |= {"context": work.context, "code": work.code, "host": (job.worker or "").partition(":")[0]}
        return int(self._all("activity", **(empty | row | fields))[0]["id"])

    def _used(self, activity: int, inputs: Iterable[Input], now: float) -> None:
        for source in inputs:
            self._entity(source.sha256, "", source.path.name, None, {}, now)
            self._do("used", activity=activity, entity=source.sha256, role=source.role, sha1=None)

    def _reference(self, activity: int, kind: str, name: str, sum: FileSum | None, now: float) -> None:
        self._entity(f"crds:{name}", "reference", name, None, {}, now)
        self._do("used", activity=activity, entity=f"crds:{name}", role=kind, sha1=sum and sum.sha1)
        if sum is not None:
            self._do("measured", id=f"crds:{name}", size=sum.size)

    def _entity(
        self, id: str, kind: str, name: str, size: int | None, header: Mapping[str, Any], now: float
    ) -> None:
        self._do("entity", id=id, kind=kind, name=name, size=size, header=_json(header), now=now)

    def _do(self, statement: str, **values: object) -> None:
        self._connection.execute(_SQL[statement], values)

    def _all(self, statement: str, **values: object) -> list[sqlite3.Row]:
        return self._connection.execute(_SQL[statement], values).fetchall()


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
