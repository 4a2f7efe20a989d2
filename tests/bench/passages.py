"""Exposures on their way through a service: when each file was closed, when its products were published."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving import PATIENCE_S, Served, processor_s

#: the pipelines, and the products of each that are looked at
STAGES = {"detector1": "rate", "image2": "cal"}
LAST = "i2d"  #: the last to be renamed
POLL_S = 0.002
PAUSE_S = 0.1  #: after which nothing is left to do of an exposure
SPENT = """SELECT pipeline, job.subject, sum(ended - started) FROM activity
           JOIN job ON job.id = activity.job GROUP BY pipeline, job.subject"""
UNDONE = "SELECT count(*) FROM job WHERE state <> 'done'"

Send = Callable[[bytes, Path], float]


def close(content: bytes, target: Path) -> float:
    """Write a file in its place; when it was closed."""
    target.write_bytes(content)
    return time.time()


def rename(content: bytes, target: Path) -> float:
    """As rsync does: write a hidden file, close it and rename it."""
    hidden = target.with_name(f".{target.name}.Xy12Zz")
    hidden.write_bytes(content)
    os.replace(hidden, target)
    return time.time()


@dataclass(frozen=True)
class Passage:
    """From a file to its product, s, and what of that was computing."""

    total: float
    compute: float

    @property
    def beyond(self) -> float:
        return self.total - self.compute


@dataclass(frozen=True)
class Flood:
    """Many exposures at once: s until all was published, and processor s of the service's own process."""

    sent: dict[str, float]
    seconds: float
    own_s: float


def one_by_one(served: Served, files: Sequence[Path], send: Send) -> dict[str, float]:
    """When each was there; it comes when nothing is left to do of the one before."""
    sent = {}
    for file in files:
        sent[root_of(file)] = send(file.read_bytes(), served.watched / file.name)
        _until_published(served, [file])
        time.sleep(PAUSE_S)
    return sent


def at_once(served: Served, files: Sequence[Path]) -> Flood:
    began, used = time.time(), processor_s(served.process.pid)
    sent = {root_of(file): close(file.read_bytes(), served.watched / file.name) for file in files}
    _until_published(served, files)
    last = max(published(served, root_of(file), LAST) for file in files)
    return Flood(sent, last - began, processor_s(served.process.pid) - used)


def passages(served: Served, sent: dict[str, float]) -> dict[str, list[Passage]]:
    """Of each exposure to the product of each stage, by that stage's suffix."""
    spent = {
        (pipeline, subject.partition(":")[2]): seconds for pipeline, subject, seconds in served.ask(SPENT)
    }
    found: dict[str, list[Passage]] = {suffix: [] for suffix in STAGES.values()}
    for root, at in sent.items():
        compute = 0.0
        for pipeline, suffix in STAGES.items():
            compute += spent[pipeline, root]
            found[suffix].append(Passage(published(served, root, suffix) - at, compute))
    return found


def published(served: Served, root: str, suffix: str) -> float:
    """When the product was renamed to where it is."""
    return (served.output / f"{root}_{suffix}.fits").stat().st_ctime


def root_of(file: Path) -> str:
    return file.name.removesuffix("_uncal.fits")


def _until_published(served: Served, files: Sequence[Path]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    for file in files:
        last = served.output / f"{root_of(file)}_{LAST}.fits"
        while not last.exists() and served.alive():
            time.sleep(POLL_S)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{last} is not made")
    while served.ask(UNDONE)[0][0]:  # it is written down just after
        time.sleep(POLL_S)
