"""``lineage``, ``uses``, ``versions``, ``stale``, ``whatif`` and ``diff``: of products and their making."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calwebbd.daemon.commands import Common, Verbs, impact
from calwebbd.daemon.commands.asking import answer, show, table, use_cache, verb, when
from calwebbd.daemon.errors import CommandError


def add(verbs: Verbs, common: Common) -> None:
    lineage = verb(verbs, common, "lineage", "how a product came to be")
    lineage.add_argument("product", metavar="PRODUCT", help="a path, or a name alone")
    lineage.add_argument(
        "--sidecars", action="store_true", help="from the files beside PRODUCT alone, without any database"
    )
    lineage.add_argument("--prov", metavar="FILE", help="write it as PROV-JSON (W3C); - for here")
    lineage.set_defaults(run=run_lineage)
    uses = verb(verbs, common, "uses", "every product that a reference, input or context has a part in")
    uses.add_argument("thing", metavar="REFERENCE|FILE|CONTEXT", help="its name, a path or a checksum")
    uses.set_defaults(run=lambda args: answer(args, lambda ask: ask.uses(args.thing), _uses))
    versions = verb(verbs, common, "versions", "all versions of a product, and why each was made")
    versions.add_argument("product", metavar="PRODUCT", help="a path, or a name alone")
    versions.set_defaults(run=lambda args: answer(args, lambda ask: ask.versions(args.product), _versions))
    stale = verb(verbs, common, "stale", "products that would be made otherwise now")
    stale.set_defaults(run=lambda args: answer(args, lambda ask: ask.stale(), _stale))
    impact.add(verbs, common, "whatif")
    diff = verb(
        verbs,
        common,
        "diff",
        "what differs in how two products were made, or between two contexts",
        epilog="A and B are products, as paths or names, PRODUCT@N for version N of one; or two contexts, "
        "as jwst_0001.pmap.",
    )
    diff.add_argument("one", metavar="A")
    diff.add_argument("other", metavar="B")
    diff.add_argument("--data", action="store_true", help="compare the arrays in their files, too")
    diff.set_defaults(run=run_diff)


def run_lineage(args: argparse.Namespace) -> int:
    """Tell how a product came to be, or write it down for other programs."""
    say: Callable[[Any], None] = _lineage
    if args.prov:
        args.json, say = False, lambda found: _export(found, args.prov)
    if not args.sidecars:
        return answer(args, lambda ask: ask.lineage(args.product), say)
    from calwebbd.daemon import sidecar

    try:
        found = sidecar.lineage(Path(args.product))
    except FileNotFoundError as error:
        raise CommandError(f"{args.product} has no record beside it: there is no {error.filename}") from error
    except (OSError, ValueError) as error:
        raise CommandError(f"the record beside {args.product} cannot be read: {error}") from error
    show(args, found, say)
    return 0


def _export(lineage: dict[str, Any], file: str) -> None:
    from calwebbd.daemon import prov

    text = json.dumps(prov.document(lineage), indent=2)
    if file == "-":
        print(text)
    else:
        Path(file).write_text(text + "\n")


def run_diff(args: argparse.Namespace) -> int:
    """Of contexts ask CRDS, of products the records, of arrays their files."""
    if args.one.endswith(".pmap") and args.other.endswith(".pmap"):
        from calwebbd.daemon.ask.contents import contexts

        use_cache(args)
        show(args, contexts(args.one, args.other), _diff)
        return 0

    def question(ask: Any) -> Any:
        found = ask.diff(args.one, args.other)
        if args.data:
            from calwebbd.daemon.ask.contents import arrays

            found["data"] = arrays(*found["products"])
        return found

    return answer(args, question, _diff)


def _lineage(answer: dict[str, Any]) -> None:
    for line in tell(answer):
        print(line)


#: parts of inputs that go without saying, or that their names tell
PLAIN = frozenset({"", "science", "asn", "persistence"})


def tell(answer: dict[str, Any], indent: str = "") -> list[str]:
    """A lineage as indented lines: each file, by what it was made, and below it of what."""
    lines = [f"{indent}{Path(answer.get('path') or answer['name']).name}"]
    if answer.get("role", "") not in PLAIN:
        lines[0] += f" ({answer['role']})"
    made = answer.get("made_by")
    if made:
        seconds = made["ended"] - made["started"]
        lines[0] += f"  ← {made['pipeline']} {made['code']}, {made['context']}, {seconds:.1f} s"
        ran = [step["name"] for step in made["steps"] if step["status"] == "COMPLETE"]
        lines.append(f"{indent}  steps: {', '.join(ran)}")
        files = ", ".join(sorted({name for name in made["references"].values() if name != "N/A"}))
        if files:
            lines.append(f"{indent}  references: {files}")
    for source in answer.get("inputs", []):
        lines += tell(source, indent + "    ")
    return lines


def _uses(answer: dict[str, Any]) -> None:
    rows = [(row["product"], row["role"], row["steps"], _now(row)) for row in answer["products"]]
    table(rows, "product", "as", "pipelines", "", right=["pipelines"], empty="nothing was made with it")


def _now(row: dict[str, Any]) -> str:
    return "" if row["current"] else "replaced since"


def _versions(answer: dict[str, Any]) -> None:
    print(answer["product"])
    names = ("version", "published", "sha256", "pipeline", "why")
    rows = [
        (row["version"], when(row["published"]), row["sha256"][:12], row["pipeline"], row["why"])
        for row in answer["versions"]
    ]
    table(rows, *names, right=["version"])


def _stale(answer: list[dict[str, Any]]) -> None:
    rows = [(Path(row["product"]).name, "; ".join(_reason(why) for why in row["why"])) for row in answer]
    table(rows, "product", "why", empty="every product is as it would be made now")


def _reason(why: dict[str, Any]) -> str:
    if why["what"] == "input":
        return f"input {why['made_with']} was {why['current']}"
    return f"{why['what']} was {why['made_with']}, is {why['current']}"


def _diff(answer: dict[str, Any]) -> None:
    for row in answer.get("products", []):
        print(f"{row['path']}@{row['version']}  {row['sha256'][:12]}  {when(row['published'])}")
    if answer["same"]:
        print("the same content")
    for line in answer["differences"] or ([] if answer["same"] else ["made in the same way"]):
        print(f"  {line}")
    for line in answer.get("data", []):
        print(f"  {line}")
