"""The record of how a product was made, in a file beside it: what the database has, for those without it.

``jw…_rate.fits`` has ``jw…_rate.provenance.json``. docs/questions.md has its schema; a member may be
added in later versions, none is taken away or changes its meaning while SCHEMA stays.
"""

import json
import platform
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from calwebbd.daemon.work import Product, Result, Work

SCHEMA = "calwebbd-provenance-1"
ENDING = ".provenance.json"
KIND = "provenance"
#: what the numbers may depend on
_PACKAGES = [
    "asdf",
    "astropy",
    "crds",
    "drizzle",
    "gwcs",
    "numba",
    "numpy",
    "photutils",
    "scipy",
    "stdatamodels",
]
#: what a lineage says of an attempt, beside its times and references
_ATTEMPT = [
    "job",
    "pipeline",
    "attempt",
    "context",
    "code",
    "host",
    "peak_mb",
    "cpu_s",
    "parameters",
    "steps",
]


def path_of(product: Path) -> Path:
    """The sidecar of a product."""
    return product.with_name(product.stem + ENDING)


def write(out: Path, work: Work, result: Result, job: int, attempt: int) -> list[Path]:
    """Write one for each product with data in it, into the same folder. Returns their paths."""
    told = [product for product in result.products if product.name.endswith((".fits", ".ecsv"))]
    common = _common(work, result, job, attempt)
    paths = []
    for product in told:
        others = [_identity(other) for other in result.products if other is not product]
        content = {"schema": SCHEMA, "product": _identity(product), **common, "made_together_with": others}
        path = path_of(out / product.name)
        path.write_text(json.dumps(content, indent=2, default=str) + "\n")
        paths.append(path)
    return paths


def lineage(product: Path) -> dict[str, Any]:
    """How a product came to be, from sidecars alone: the answer of `Ask.lineage`.

    Inputs are followed where their sidecars lie beside that of the product. Raises FileNotFoundError if
    it has none, ValueError if that is not of this schema.
    """
    return {"path": str(product)} | _lineage(product, set())


def _lineage(product: Path, told: set[str]) -> dict[str, Any]:
    file = path_of(product)
    content = json.loads(file.read_text())
    if content.get("schema") != SCHEMA:
        raise ValueError(f"{file} is of schema {content.get('schema')!r}, not {SCHEMA}")
    answer: dict[str, Any] = dict(content["product"])
    if answer["sha256"] in told:
        return answer
    told.add(answer["sha256"])
    times = {name: datetime.fromisoformat(content[name]).timestamp() for name in ("started", "ended")}
    references = {each["type"]: each["name"] for each in content["references"]}
    sums = {each["name"]: each["sha1"] for each in content["references"] if "sha1" in each}
    own = {"references": references, "checksums": sums}
    answer["made_by"] = {name: content[name] for name in _ATTEMPT} | times | own
    answer["inputs"] = [_source(product.parent, each, told) for each in content["inputs"]]
    return answer


def _source(folder: Path, source: Mapping[str, Any], told: set[str]) -> dict[str, Any]:
    """An input, with its own lineage if it has a sidecar here that is about just its content."""
    known = {"role": source["role"], "path": None, "name": source["name"], "sha256": source["sha256"]}
    file = folder / source["name"]
    if path_of(file).exists():
        found = _lineage(file, set(told))
        if found["sha256"] == source["sha256"]:
            told.add(found["sha256"])
            return known | {"path": str(file)} | found
    return known | {"kind": "", "size": None}


def _common(work: Work, result: Result, job: int, attempt: int) -> dict[str, Any]:
    own = {work.pipeline: result.parameters} if result.parameters else {}
    return {
        "pipeline": work.pipeline,
        "stage": work.stage,
        "code": work.code,
        "context": work.context,
        "job": job,
        "attempt": attempt,
        "host": socket.gethostname(),
        "started": _time(result.started),
        "ended": _time(result.ended),
        "peak_mb": result.peak_mb,
        "cpu_s": result.cpu_s,
        "inputs": [{"name": i.path.name, "sha256": i.sha256, "role": i.role} for i in work.inputs],
        "association": {"name": work.asn_name, "content": work.asn} if work.asn else None,
        "references": list(_references(result)),
        "parameters": own | {step["name"]: step["parameters"] for step in result.steps},
        "steps": [{k: v for k, v in step.items() if k != "parameters"} for step in result.steps],
        "environment": _environment(),
    }


def _references(result: Result) -> Iterator[dict[str, Any]]:
    """Each once, for the first step that used it."""
    seen = set()
    for step in result.steps:
        for kind, file in step["references"].items():
            if file != "N/A" and kind not in seen:
                seen.add(kind)
                found = result.sums.get(Path(file).name)
                sums = {"sha1": found.sha1, "size": found.size} if found else {}
                yield {"type": kind, "name": Path(file).name, "step": step["name"]} | sums


def _identity(product: Product) -> dict[str, Any]:
    return {"name": product.name, "kind": product.suffix, "sha256": product.sha256, "size": product.size}


@cache
def _environment() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
