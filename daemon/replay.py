"""Make a product again from what is on record, and say whether it is the same."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.daemon.ask import Ask
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.sidecar import KIND
from calwebbd.daemon.work import Input, Result, work_of
from calwebbd.daemon.worker import attempt
from calwebbd.stages import plugins

Answer = dict[str, Any]
#: keywords that say when and by which version a file was made
TIMES = ["DATE", "CAL_VER", "CHECKSUM", "DATASUM"]


def replay(ask: Ask, product: str, folder: Path, function: str, report: Callable[[str, str], None]) -> Answer:
    """Run the attempt that made a product once more, into a folder of its own.

    function : ``module:name`` of what calibrates

    The verdict is ``identical`` (to the last byte), ``same data`` (only times, places and versions in
    headers differ), ``different``, or ``unknown`` where only a checksum is left to compare with.
    Raises CommandError if an input is no longer there as it was, or if the attempt fails.
    """
    recipe = ask.recipe(product)
    recorded = work_of(recipe["payload"])
    inputs = tuple(_present(ask, source) for source in recorded.inputs)
    work = msgspec.structs.replace(recorded, inputs=inputs, sidecars=False)
    reply = attempt(function, work, folder, report)
    if reply.result is None:
        raise CommandError(f"{product} could not be made again: {reply.reason}")
    found = [_compared(row, reply.result, folder / "out") for row in recipe["made"] if row["kind"] != KIND]
    asked = next(row for row in found if row["product"] == recipe["product"])
    answer = {"product": recipe["product"], "verdict": asked["verdict"], "job": recipe["id"]}
    made_by = {"pipeline": work.pipeline, "context": work.context, "code": recipe["code"]}
    return answer | made_by | {"code_now": plugins.code(), "files": found}


def _present(ask: Ask, source: Input) -> Input:
    """The input where its content is now."""
    for path in dict.fromkeys([str(source.path), *ask.holders(source.sha256)]):
        if _sha256(Path(path)) == source.sha256:
            return msgspec.structs.replace(source, path=Path(path))
    raise CommandError(f"{source.path} is no longer there as it was (SHA-256 {source.sha256[:12]}…)")


def _compared(row: Answer, result: Result, out: Path) -> Answer:
    old = Path(row["path"])
    new = next((made for made in result.products if made.name == old.name), None)
    answer = {"product": row["path"], "recorded": row["sha256"], "now": new.sha256 if new else None}
    if new is None:
        return answer | {"verdict": "different", "differences": ["it was not made this time"]}
    if new.sha256 == row["sha256"]:
        return answer | {"verdict": "identical", "differences": []}
    if _sha256(old) != row["sha256"]:
        reason = "what was made then is no longer there; its checksum was another"
        return answer | {"verdict": "unknown", "differences": [reason]}
    found = differences(old, out / new.name)
    return answer | {"verdict": "different" if found else "same data", "differences": found}


def differences(old: Path, new: Path) -> list[str]:
    """In what two products differ beside the times of their making, in sentences."""
    if old.suffix == ".json":
        return [] if json.loads(old.read_text()) == json.loads(new.read_text()) else ["its entries differ"]
    if old.suffix == ".fits":
        return _of_fits(old, new)
    if old.suffix == ".ecsv":
        return [] if _table(old) == _table(new) else ["its lines differ"]
    return ["its bytes differ"]


def _of_fits(old: Path, new: Path) -> list[str]:
    from astropy.io import fits

    with fits.open(old) as one, fits.open(new) as other:
        diff = fits.FITSDiff(one, other, ignore_keywords=TIMES, ignore_hdus=["ASDF"])
        found = [] if diff.identical else diff.report().splitlines()[6:]
        if _tree(one) != _tree(other):
            found.append("the ASDF extension, which has the coordinate system, differs")
        return [line.strip() for line in found if line.strip()][:50]


def _tree(hdus: Any) -> list[bytes]:
    """The lines of the ASDF extension that do not change with the time of writing.

    What is below ``history:`` are versions of libraries, in any order.
    """
    if "ASDF" not in hdus:
        return []
    lines = hdus["ASDF"].data["ASDF_METADATA"].tobytes().split(b"\n")
    lines = _without(lines, (b"_fits_hash:", b"asdf_library:", b"history:"), inner=(b" ", b"-"))
    return [line for line in lines if not line.strip().startswith(b"date:")]


def _table(path: Path) -> list[bytes]:
    """Lines of an ECSV table that do not change with the time of writing or with versions of libraries."""
    stamps = (b"# - {date:", b"# - version:", b"# - {CAL_VER:")
    return _without(path.read_bytes().split(b"\n"), stamps, inner=(b"#   ",))


def _without(lines: list[bytes], entries: tuple[bytes, ...], inner: tuple[bytes, ...]) -> list[bytes]:
    """All lines but those of entries that begin so; an entry goes on while lines begin with `inner`."""
    kept, passed = [], False
    for line in lines:
        if not line.startswith(inner):
            passed = line.startswith(entries)
        if not passed:
            kept.append(line)
    return kept


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
