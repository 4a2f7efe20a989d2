"""What the service asks of a worker, and what it gets back. Pure data, kept as JSON with the job."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.queues.job import NewJob

#: by how much new data are more urgent than old
LIVE = 10
#: the role, and the kind, of the file that an exposure hands on to the next of its detector
HANDED = "persistence"
#: by how much those of a rule's next priority are more urgent
RANK = 20


class Input(msgspec.Struct, frozen=True):
    path: Path
    sha256: str
    role: str = "science"
    again: bool = False  #: made anew, not because of new data


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One product to be made by one pipeline.

    subject : product name without suffix
    header : keywords which the products share with what they are made of
    asn : association to hand to the pipeline in place of the single input, by its file name
    made : whether the association is our own, and is published with the products
    steps : parameters of the site, by step; rules : those over them, by the name of their rule
    again : old data are done anew, which is less urgent than what has just come
    quicklook : whether pictures of the products are published with them
    sidecars : whether the record of how each was made is
    priority : by the site's rules
    edition : tells work that is done once more from the same work done before; 0 at first
    chained : it takes its turn among the exposures of its detector, and hands on what it leaves
    """

    stage: int
    pipeline: str
    subject: str
    inputs: tuple[Input, ...]
    context: str
    code: str
    header: dict[str, Any] = {}
    steps: dict[str, dict[str, Any]] = {}
    rules: dict[str, dict[str, dict[str, Any]]] = {}
    asn_name: str = ""
    asn: dict[str, Any] | None = None
    made: bool = False
    again: bool = False
    quicklook: bool = False
    sidecars: bool = False
    priority: int = 0
    edition: int = 0
    chained: bool = False

    @property
    def handed(self) -> Input | None:
        """What the exposure before it has handed on."""
        return next((source for source in self.inputs if source.role == HANDED), None)

    @property
    def urgency(self) -> int:
        """New data come first; of them, what is nearer to its end, for others may wait for it."""
        return self.stage if self.again else self.stage + LIVE + RANK * self.priority

    @property
    def key(self) -> str:
        """Identifies the work by the content of its inputs, not by when or where they came."""
        contents = sorted((source.sha256, source.role) for source in self.inputs)
        parts: list[object] = [self.pipeline, self.subject, contents, self.steps, self.context, self.code]
        parts += self.rules.values()
        if self.chained:
            parts.append("hands on")
        if self.edition:
            parts.append(self.edition)
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()

    @property
    def program(self) -> str:
        return str(self.header.get("PROGRAM", ""))

    def job(self, mem_mb: int, *, disk_mb: int = 0, feeds: str = "", reason: str = "") -> NewJob:
        """The work as the queue has it."""
        return NewJob(
            key=self.key,
            stage=self.pipeline,
            subject=f"{self.pipeline}:{self.subject}",
            priority=self.urgency,
            share=self.program,
            mem_mb=mem_mb,
            disk_mb=disk_mb,
            payload=encode(self),
            feeds=feeds,
            reason=reason,
        )


class Product(msgspec.Struct, frozen=True):
    """A file in the worker's folder, safely on disk."""

    name: str
    suffix: str
    sha256: str
    size: int


class FileSum(msgspec.Struct, frozen=True):
    """A reference as it was when it was used."""

    sha1: str
    size: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Work that was done.

    steps : what each did, as stages.run.StepRecord has it
    parameters : of the pipeline itself
    left_out : why members were not used, by their file names
    sums : of the references, by their names
    """

    products: tuple[Product, ...]
    steps: tuple[dict[str, Any], ...] = ()
    parameters: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    sums: dict[str, FileSum] = {}
    started: float
    ended: float
    peak_mb: float
    cpu_s: float


def encode(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value, enc_hook=_encode).decode()


def work_of(payload: str) -> Work:
    return msgspec.json.decode(payload, type=Work, dec_hook=_decode)


def result_of(result: str) -> Result:
    return msgspec.json.decode(result, type=Result, dec_hook=_decode)


def _encode(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _decode(kind: type, value: Any) -> Any:
    return kind(value)
