"""What is there at the end, held against what must be there."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from night import Night
from observatory import Observatory

SIDECAR = ".provenance.json"  #: hold times, so that only their names are compared


def audit(night: Night, quiet: Path, sky: Observatory) -> Iterator[tuple[str, str]]:
    """Findings, as (name, what is wrong).

    quiet : the products of an undisturbed service that was given the same
    """
    yield from _products(night.output, quiet)
    yield from _quarantine(night, sky)
    yield from _sidecars(night.output)
    yield from _records(night, sky)
    yield from (("", f"process {pid} is left over") for pid in night.orphans())
    told = night.command("audit", "--disk", "--json")
    for example in json.loads(told.stdout)["examples"] if told.stdout else ():
        yield Path(example["path"]).name, f"calwebbd audit: {example['what']}"
    if told.returncode and not told.stdout:
        yield "", f"calwebbd audit: {told.stderr}"


def _products(output: Path, quiet: Path) -> Iterator[tuple[str, str]]:
    made, wanted = _content(output), _content(quiet)
    for name in sorted(made.keys() | wanted.keys()):
        if name not in made:
            yield name, "is lacking"
        elif name not in wanted:
            yield name, "should not be there"
        elif made[name] != wanted[name]:
            yield name, "is not what an undisturbed service made"
    for path in (output / ".calwebbd").iterdir():
        yield path.name, "is left over in the scratch folder"


def _content(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if path.is_file() and ".calwebbd" not in path.parts)
    return {
        path.name: "" if path.name.endswith(SIDECAR) else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def _sidecars(output: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(output.glob(f"*{SIDECAR}")):
        told = json.loads(path.read_text())["product"]
        product = output / told["name"]
        if not product.exists() or hashlib.sha256(product.read_bytes()).hexdigest() != told["sha256"]:
            yield path.name, "tells of another product"


def _quarantine(night: Night, sky: Observatory) -> Iterator[tuple[str, str]]:
    held = {Path(path).name: reason for path, reason in night.ask("SELECT path, reason FROM quarantine")}
    for name in sorted(held.keys() | sky.invalid.keys()):
        if name not in held:
            yield name, "is not in quarantine"
        elif name not in sky.invalid:
            yield name, f"is in quarantine: {held[name]}"
        elif sky.invalid[name] not in held[name]:
            yield name, f"is in quarantine for another reason: {held[name]}"
    known = {Path(path).name for (path,) in night.ask("SELECT path FROM file WHERE origin = 'input'")}
    for name in sorted((sky.valid.keys() | sky.unused.keys()) - known):
        yield name, "is not catalogued"


def _records(night: Night, sky: Observatory) -> Iterator[tuple[str, str]]:
    if night.ask("PRAGMA integrity_check") != [("ok",)]:
        yield "", "the database is corrupt"
    dead = dict(sky.dead)
    for subject, state, reason in night.ask(
        "SELECT subject, state, reason FROM job WHERE state NOT IN ('done', 'superseded')"
    ):
        pipeline, _, name = subject.partition(":")
        if state != "dead" or dead.pop(name, "\n") not in reason:
            yield name, f"{pipeline} is {state}: {reason}"
    for name, reason in dead.items():
        yield name, f"is no dead letter though {reason}"
    twice = "SELECT path, count(*) FROM generated GROUP BY path, entity HAVING count(*) > 1"
    for path, times in night.ask(twice):
        if not path.endswith(SIDECAR):
            yield Path(path).name, f"was made {times} times"
    contexts = night.ask("SELECT DISTINCT context FROM activity")
    if contexts != [("jwst_0001.pmap",)]:
        yield "", f"products were made in the contexts {contexts}"


def by_cause(findings: list[tuple[str, str]], sky: Observatory) -> Counter[str]:
    """How many, by the fault under which the observation was made; of the others, under no name."""
    prefix, causes = len("jw01234001"), set(sky.cause.values())
    return Counter(
        name if name in causes else sky.cause.get(name.replace("-o", "")[:prefix], "") for name, _ in findings
    )
