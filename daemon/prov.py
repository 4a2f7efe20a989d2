"""A lineage in PROV-JSON (https://www.w3.org/submissions/prov-json/), in the terms of W3C PROV.

Files and references are entities, named by what identifies them: the SHA-256 of a file's
content, the name of a reference in CRDS. Attempts are activities, the code is the agent
they were associated with, and their parameters are the plan by which it worked.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Lineage = Mapping[str, Any]
Document = dict[str, dict[str, Any]]

PREFIX = {
    "calwebbd": "urn:calwebbd:",
    "sha256": "urn:sha256:",
    "crds": "https://jwst-crds.stsci.edu/browse/",
}
_KINDS = (
    "entity", "activity", "agent", "used", "wasGeneratedBy", "wasDerivedFrom", "wasAssociatedWith",
    "wasAttributedTo",
)  # fmt: skip


def document(lineage: Lineage) -> Document:
    """The document of one lineage, as `Ask.lineage` or `sidecar.lineage` give it."""
    made: Document = {"prefix": PREFIX} | {kind: {} for kind in _KINDS}
    _add(made, lineage)
    return {kind: records for kind, records in made.items() if records}


def _add(made: Document, file: Lineage) -> str:
    """The entity of a file, with all that it came from; its name."""
    entity = f"sha256:{file['sha256']}"
    name = Path(file.get("path") or file["name"]).name
    facts: dict[str, Any] = {"prov:label": name}
    if file.get("kind"):
        facts["prov:type"] = _qualified(f"calwebbd:{file['kind']}")
    if file.get("size") is not None:
        facts["calwebbd:size"] = file["size"]
    if "made_by" in file or entity not in made["entity"]:
        made["entity"][entity] = facts
    if "made_by" in file:
        _add_attempt(made, file, entity)
    return entity


def _add_attempt(made: Document, file: Lineage, entity: str) -> None:
    by = file["made_by"]
    activity = f"calwebbd:job-{by['job']}-attempt-{by['attempt']}"
    agent, plan = f"calwebbd:calwebbd-{by['code']}", f"{activity}-parameters"
    made["activity"][activity] = {
        "prov:startTime": _time(by["started"]),
        "prov:endTime": _time(by["ended"]),
        "prov:label": by["pipeline"],
        "prov:type": _qualified(f"calwebbd:{by['pipeline']}"),
        "calwebbd:context": by["context"],
        "calwebbd:host": by.get("host", ""),
        "calwebbd:steps": [f"{step['name']} {step['status']}" for step in by["steps"]],
    }
    made["agent"][agent] = {
        "prov:type": _qualified("prov:SoftwareAgent"),
        "prov:label": f"calwebbd {by['code']}",
        "calwebbd:version": by["code"],
    }
    made["entity"][plan] = {"prov:type": _qualified("prov:Plan"), "prov:label": "parameters"} | dict(
        _parameters(by["parameters"])
    )
    _relate(made, "wasGeneratedBy", entity=entity, activity=activity)
    _relate(made, "wasAssociatedWith", activity=activity, agent=agent, plan=plan)
    _relate(made, "wasAttributedTo", entity=entity, agent=agent)
    for kind, name in by["references"].items():
        reference = f"crds:{Path(name).name}"
        type = _qualified(f"calwebbd:{kind}")
        sum = by.get("checksums", {}).get(Path(name).name)
        made["entity"][reference] = {"prov:label": name, "prov:type": type} | (
            {"calwebbd:sha1": sum} if sum else {}
        )
        _relate(made, "used", activity=activity, entity=reference, role=kind)
    for source in file.get("inputs", []):
        used = _add(made, source)
        _relate(made, "used", activity=activity, entity=used, role=source["role"])
        _relate(made, "wasDerivedFrom", generatedEntity=entity, usedEntity=used, activity=activity)


def _parameters(parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Each value beside its origin, both as text: PROV has no null and no lists of lists."""
    for step, values in parameters.items():
        for name, (value, origin) in values.items():
            yield f"calwebbd:{step}.{name}", [str(value), f"from {origin}"]


def _relate(made: Document, kind: str, **ends: str) -> None:
    """A relation once; those of all kinds are numbered together."""
    facts = {f"prov:{name}": value for name, value in ends.items()}
    if facts not in made[kind].values():
        made[kind][f"_:{kind}{len(made[kind]) + 1}"] = facts


def _qualified(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
