"""What another context would change of what has been made: read-only, for a process of its own.

Heavy: it imports the pipelines, whose declarations say which references matter. A product is
affected if a reference that its making asked for is another one in the new context, or a
file of parameters, or if it was made of an affected product. What an exposure has been handed by the one
before is not what it was made of: if that changes it is made again without being told of here.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.daemon.work import HANDED
from calwebbd.queues.sql import statements
from calwebbd.stages import pipelines
from calwebbd.stages.crds.compare import Comparison
from calwebbd.stages.header import text

_SQL = statements((Path(__file__).parent / "impact.sql").read_text())


class Affected(msgspec.Struct, frozen=True):
    """One product, or set of products, that the context would make differently.

    types : reference type -> [file now, file then]; empty if it only follows from what it is made of
    """

    job: int
    product: str
    stage: int
    pipeline: str
    instrument: str
    context: str
    types: dict[str, tuple[str | None, str | None]]


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """first : affected by references of their own and made of nothing affected: these are to be made again
    following : how many more follow from them, by stage
    certified : attempts whose products are as the context would make them
    attempts : how many have been looked at
    """

    context: str
    first: list[Affected] = []
    following: dict[int, int] = {}
    certified: list[int] = []
    attempts: int = 0

    def summary(self) -> dict[str, Any]:
        """Counts for people: by instrument, type and stage, with the files."""
        types: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for each in self.first:
            for kind, (old, new) in each.types.items():
                types[each.instrument][kind][f"{old or 'N/A'} -> {new or 'N/A'}"] += 1
        return {
            "context": self.context,
            "products": self.attempts,
            "affected": len(self.first),
            "by_stage": dict(sorted(Counter(each.stage for each in self.first).items())),
            "following": dict(sorted(self.following.items())),
            "unaffected": len(self.certified),
            "types": {
                instrument: {kind: dict(files) for kind, files in sorted(kinds.items())}
                for instrument, kinds in sorted(types.items())
            },
        }


class _Input(msgspec.Struct):
    sha256: str
    role: str


class _Payload(msgspec.Struct):
    """The part of a job's payload that matters."""

    header: dict[str, Any]
    inputs: list[_Input]
    subject: str


class _Step(msgspec.Struct):
    references: dict[str, str] = {}


_payload = msgspec.json.Decoder(_Payload)
_steps = msgspec.json.Decoder(list[_Step])


def impact(connection: sqlite3.Connection, context: str) -> Impact:
    """What a context would change of the products that are current and not of it.

    Raises ReferenceMissing if the rules of a context are not in the cache.
    """
    comparison = Comparison(context)
    first: list[Affected] = []
    following: Counter[int] = Counter()
    certified: list[int] = []
    entities = {row["entity"] for row in connection.execute(_SQL["replaced"])}
    looked_at = 0
    for stage in (1, 2, 3):
        here: list[int] = []
        for row in connection.execute(_SQL["made"], {"stage": stage, "context": context}):
            looked_at += 1
            payload = _payload.decode(row["payload"])
            if any(source.sha256 in entities for source in payload.inputs if source.role != HANDED):
                following[stage] += 1
                here.append(row["activity"])
                continue
            types = _changed(comparison, connection, row, payload)
            if types:
                instrument = text(payload.header, "INSTRUME").lower()
                first.append(
                    Affected(
                        row["job"], payload.subject, stage, row["pipeline"], instrument, row["context"], types
                    )
                )
                here.append(row["activity"])
            else:
                certified.append(row["activity"])
        entities |= _made_by(connection, here)
    return Impact(
        context=context, first=first, following=dict(following), certified=certified, attempts=looked_at
    )


def _changed(
    comparison: Comparison, connection: sqlite3.Connection, row: sqlite3.Row, payload: _Payload
) -> dict[str, tuple[str | None, str | None]]:
    """Types of which another file would be used: of those that the attempt asked for, as far as known."""
    changed = comparison.changed(payload.header, _types(row["pipeline"]), row["context"])
    if not changed:
        return {}
    (found,) = connection.execute(_SQL["steps"], {"activity": row["activity"]})
    asked = {kind for step in _steps.decode(found["steps"]) for kind in step.references}
    return {kind: files for kind, files in changed.items() if kind in asked or kind.startswith("pars-")}


@cache
def _types(name: str) -> Sequence[str]:
    """All that a pipeline may ask CRDS for."""
    pipeline = pipelines.load(name)
    own = (kind for step in pipeline.steps for kind in (*step.references, *step.optional, step.pars))
    return tuple(dict.fromkeys((*own, pipeline.pars)))


def _made_by(connection: sqlite3.Connection, activities: Iterable[int]) -> set[str]:
    ids = msgspec.json.encode(list(activities)).decode()
    return {row["entity"] for row in connection.execute(_SQL["entities"], {"activities": ids})}
