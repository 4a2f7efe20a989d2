"""Of products: how each came to be, in which versions, what it was made of, and whether it still holds."""

import json
from collections.abc import Iterable
from pathlib import Path

from calwebbd.daemon.ask.differences import compared
from calwebbd.daemon.ask.reader import Answer, Reader, Unknown
from calwebbd.daemon.work import HANDED


class Products(Reader):
    def lineage(self, product: str) -> Answer:
        """How a file came to be: its maker, what that used, and how those came to be.

        product : a path, or a name alone. Raises Unknown. A file that several others were
            made of is told of once; after that only its name is given.
        """
        found = self._find(product)
        return self._made(found[0]["sha256"], set()) | {"path": found[0]["path"]}

    def uses(self, thing: str) -> Answer:
        """Every product that a reference or an input has a part in, however indirectly.

        thing : name of a reference, of a context, of a file or its path, or its SHA-256. Raises Unknown.
        """
        if thing.endswith(".pmap"):
            of = [{"sha256": None, "kind": "context", "name": thing}]
            return {"of": of, "products": self._all("made_under", name=thing)}
        entities = self._all("entities_named", name=Path(thing).name)
        if not entities:
            known = "no product was made with it, and no file of this name is known"
            raise Unknown(f"{thing}: {known}{self._like(thing)}")
        rows = [row for each in entities for row in self._all("made_with", entity=each["sha256"])]
        return {"of": entities, "products": rows}

    def versions(self, product: str) -> Answer:
        """What a product's path has held, and why each version was made; the first one first."""
        path = self._find(product)[0]["path"]
        rows = self._all("versions_of", path=path)
        if not rows:
            raise Unknown(f"{path} is not a product of this service")
        earlier: Answer | None = None
        for row in rows:
            made = self._recipe(row["attempt"])
            row["why"] = (
                "the first" if earlier is None else "; ".join(compared(earlier, made)) or "made again"
            )
            if row["asked"]:
                row["why"] += f" ({row['asked']})"
            earlier = made
        return {"product": path, "versions": rows}

    def stale(self) -> list[Answer]:
        """Products that would be made otherwise now: by another context, code, parameters or inputs."""
        found: dict[str, Answer] = {}
        for row in self._all("stale_products"):
            each = found.setdefault(
                row["path"], {"product": row["path"], "pipeline": row["pipeline"], "why": []}
            )
            each["why"].append({key: row[key] for key in ("what", "made_with", "current")})
        return list(found.values())

    def diff(self, one: str, other: str) -> Answer:
        """What differs in how two products, or two versions of one, were made.

        one, other : a path or name, with ``@N`` for its version N. Raises Unknown.
        """
        made = [self._version(each) for each in (one, other)]
        recipes = [self._recipe(row["attempt"]) for row in made]
        names = ("path", "version", "sha256", "published", "latest")
        return {
            "products": [{key: row[key] for key in names} for row in made],
            "same": made[0]["sha256"] == made[1]["sha256"],
            "differences": compared(*recipes),
        }

    def _version(self, product: str) -> Answer:
        name, at, number = product.rpartition("@")
        path = self._find(name if at else product)[0]["path"]
        rows = self._all("versions_of", path=path)
        wanted = [row for row in rows if not at or str(row["version"]) == number]
        if not wanted:
            versions = "one version" if len(rows) == 1 else f"{len(rows)} versions"
            raise Unknown(f"{path} has {versions}, none of them is {number or 'a product'}")
        return wanted[-1] | {"latest": wanted[-1] is rows[-1]}

    def _recipe(self, attempt: int | None) -> Answer:
        """All that decided what an attempt made: its inputs, references, context, code and parameters."""
        rows = self._all("attempt", id=attempt)
        if not rows:
            return {}
        used = self._all("used_by", activity=attempt)
        row = rows[0]
        return {
            "pipeline": row["pipeline"],
            "context": row["context"],
            "code": row["code"],
            "inputs": {u["name"]: u["entity"] for u in used if u["kind"] != "reference"},
            **_references(used),
            "parameters": json.loads(row["parameters"]),
            "steps": {step["name"]: step for step in json.loads(row["steps"])},
        }

    def _made(self, entity: str, told: set[str], *, whole: bool = True) -> Answer:
        """Of what an exposure has handed on to the next only who made it: that goes on without end."""
        answer: Answer = dict(self._all("entity", entity=entity)[0])
        makers = [] if entity in told else self._all("maker", entity=entity)
        told.add(entity)
        for maker in makers:
            used = self._all("used_by", activity=maker["id"])
            answer["made_by"] = _activity(maker) | _references(used)
            if not whole:
                continue
            sources = [u for u in used if u["kind"] != "reference"]
            answer["inputs"] = [
                {"role": u["role"], "path": u["path"]}
                | self._made(u["entity"], told, whole=u["role"] != HANDED)
                for u in sources
            ]
        return answer


def _activity(row: Answer) -> Answer:
    names = ("job", "pipeline", "attempt", "started", "ended", "context", "code", "host", "peak_mb", "cpu_s")
    return {name: row[name] for name in names} | {
        "parameters": json.loads(row["parameters"]),
        "steps": json.loads(row["steps"]),
    }


def _references(used: Iterable[Answer]) -> dict[str, dict[str, str]]:
    """Names by type; SHA-1 by name, as far as on record."""
    rows = [row for row in used if row["kind"] == "reference"]
    return {
        "references": {row["role"]: row["name"] for row in rows},
        "checksums": {row["name"]: row["sha1"] for row in rows if row["sha1"]},
    }
