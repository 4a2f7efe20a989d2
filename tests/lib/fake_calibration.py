"""Exposures of a few bytes and pipelines that copy them: what the service sees of calibration.

A fake exposure is JSON, its header and some text. The header's DO says what shall happen
to it in `calibrate`, its AT in which pipeline, its ALSO which further products each makes. It SATURATES
pixels, by their names, which stay so for PERSISTS seconds after its EXPEND; those that were so when it
began are told of in its rates. It takes SECONDS, and waits for a file, its UNTIL. Its REFS are what each
pipeline uses: the files of each type of reference, by context.
"""

import errno
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calwebbd.stages.associations import Member, load_asn
from calwebbd.stages.crds import locate
from calwebbd.stages.errors import Incomplete, InputError, ReferenceMissing, Unreadable
from calwebbd.stages.names import split_suffix
from calwebbd.stages.verify import Facts

HEADER: dict[str, Any] = {
    "EXP_TYPE": "NRC_IMAGE",
    "INSTRUME": "NIRCAM",
    "PROGRAM": "01234",
    "OBSERVTN": "001",
    "VISIT": "001",
    "VISITGRP": "02",
    "SEQ_ID": "1",
    "ACT_ID": "01",
    "DETECTOR": "NRCA1",
    "FILTER": "F200W",
    "PUPIL": "CLEAR",
    "SUBARRAY": "SUB64P",
    "SUBSIZE1": 64,
    "SUBSIZE2": 64,
    "NINTS": 1,
    "NGROUPS": 5,
}


@dataclass(frozen=True)
class Written:
    path: Path
    suffix: str


@dataclass(frozen=True)
class Step:
    name: str
    keyword: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    references: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    file: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    products: tuple[Written, ...]
    steps: tuple[Step, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()


def name(exposure: int = 1, detector: str = "nrca1", suffix: str = "uncal") -> str:
    return f"jw01234001001_02101_{exposure:05d}_{detector}_{suffix}.fits"


def content(exposure: int = 1, of: int = 1, text: str = "light", **header: Any) -> str:
    """What is in an exposure, of a dither pattern of `of` points."""
    dither = {"EXPOSURE": f"{exposure:05d}", "PATT_NUM": exposure, "NUMDTHPT": of, "NEXPOSUR": of}
    return json.dumps({"header": HEADER | dither | header, "data": text}) + "\nEND"


def expose(folder: Path, exposure: int = 1, of: int = 1, text: str = "light", **header: Any) -> Path:
    """Put an exposure into a folder."""
    path = folder / name(exposure, str(header.get("DETECTOR", "nrca1")).lower())
    path.write_text(content(exposure, of, text, **header))
    return path


def read(path: Path) -> dict[str, Any]:
    """Header and data of an exposure or product."""
    text = path.read_text()
    if not text.startswith("{"):
        raise InputError("is no exposure")
    if not text.endswith("END"):
        raise Incomplete("ends too early")
    found: dict[str, Any] = json.loads(text.removesuffix("END"))
    return found


def verify(path: Path) -> Facts:
    return Facts(path, split_suffix(path.name)[2], read(path)["header"])


def calibrate(
    file: Path,
    *,
    pipeline: str,
    output_dir: Path,
    context: str,
    steps: Mapping[str, Any],
    rules: Mapping[str, Any],
    report: Callable[[str, str], None],
    given: Path | None = None,
    left: Path | None = None,
) -> list[Outcome]:
    """Say what was done to which data, in the product and its name."""
    report("copy", "start")
    usual = {"detector1": ("rate", "rateints"), "image2": ("cal",), "image3": ("i2d",), "spec2": ("x1d",)}
    suffixes = usual.get(pipeline, (pipeline,))
    left_out: list[LeftOut] = []
    if file.suffix == ".json":
        asn = load_asn(file)
        (product,) = asn.products
        members = {member.expname: _part(file.parent, member) for member in product.members}
        astray = [name for name, each in members.items() if each["header"].get("DO") == "astray"]
        left_out += [LeftOut(name, "its pointing is wrong") for name in astray]
        parts = [each for name, each in members.items() if name not in astray]
        root = product.name
    else:
        parts = [read(file)]
        root = split_suffix(file.name)[0]
    header = parts[0]["header"]
    if header.get("AT", pipeline) == pipeline:
        _suffer(header.get("DO", ""), file)
    if seconds := float(header.get("SECONDS", 0)):
        time.sleep(seconds)
    while not Path(header.get("UNTIL", "/")).exists():
        time.sleep(0.05)
    lit = _persistence(header, given, left) if left else ""
    references = _references(header, pipeline, context)
    by = "".join(f" by {file}" for file in references.values())
    products = []
    for suffix in (*suffixes, *header.get("ALSO", {}).get(pipeline, ())):
        path = output_dir / f"{root}_{suffix}.fits"
        data = f"{suffix}({'+'.join(part['data'] for part in parts)}{lit}{by})"
        path.write_text(json.dumps({"header": header, "data": data}) + "\nEND")
        products.append(Written(path, suffix))
    logging.getLogger(__name__).info("copied")
    parameters = {"factor": [steps.get("copy", {}).get("factor", 1), "default"]}
    for rule, own in rules.items():
        parameters |= {key: [value, f"rule {rule}"] for key, value in own.get("copy", {}).items()}
    references |= {"paper": "fake_paper_0001.fits"}
    step = Step("copy", "S_COPY", "COMPLETE", references=references, parameters=parameters)
    if left is None:
        return [Outcome(tuple(products), (step,), left_out=tuple(left_out))]
    files = {"persistence_array_file": given and str(given), "save_persistence": str(left)}
    values = {key: [value, "time order"] for key, value in files.items()}
    status = "SKIPPED" if "BLIND" in header else "COMPLETE"
    return [Outcome(tuple(products), (step, Step("persistence", "S_PERSIS", status, parameters=values)))]


def _references(header: Mapping[str, Any], pipeline: str, context: str) -> dict[str, str]:
    """What it uses, out of the cache of CRDS; a file that begins with GARBLED cannot be read."""
    types = header.get("REFS", {}).get(pipeline, {})
    found = {kind: str(names[context]) for kind, names in types.items()}
    for name in found.values():
        path = locate(name, context)
        if path.read_bytes().startswith(b"GARBLED"):
            raise Unreadable.of(path, "it is garbled")
    return found


def _persistence(header: Mapping[str, Any], given: Path | None, left: Path) -> str:
    """Take what was handed on, and hand on what is still open at the end."""
    if "BLIND" in header:
        return ""
    until: dict[str, float] = json.loads(given.read_text()) if given else {}
    start, end = (86400 * (header[key] - 40587.0) for key in ("EXPSTART", "EXPEND"))
    lit = sorted(pixel for pixel, at in until.items() if at > start)
    until |= dict.fromkeys(header.get("SATURATES", ""), end + header.get("PERSISTS", 1000))
    if still := {pixel: at for pixel, at in sorted(until.items()) if at > end}:
        left.write_text(json.dumps(still))
    return f" lit {''.join(lit)}" if lit else ""


def _part(folder: Path, member: Member) -> dict[str, Any]:
    """A member; the data of one that is not science say which part it has."""
    found = read(folder / member.expname)
    part = "" if member.exptype == "science" else f"{member.exptype}="
    return found | {"data": part + found["data"]}


def _suffer(what: str, file: Path) -> None:
    match what:
        case "wrong":
            raise InputError("is out of focus", step="copy")
        case "missing":
            raise ReferenceMissing("there is no paper", step="copy")
        case "bug":
            raise ZeroDivisionError("one by nought")
        case "memory":
            raise MemoryError
        case "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(3600)
