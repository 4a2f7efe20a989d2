"""What the service asks of a worker, and what it gets back. Pure data, kept as JSON with the job."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.queues.job import NewJob


class Input(msgspec.Struct, frozen=True):
    path: Path
    sha256: str
    role: str = "science"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One product to be made by one pipeline.

    subject : product name without suffix
    header : keywords which the products share with what they are made of
    asn : association to hand to the pipeline in place of the single input, by its file name
    made : whether the association is our own, and is published with the products
    steps : parameters of the site, by step
    quicklook : whether pictures of the products are published with them
    sidecars : whether the record of how each was made is
    """

    stage: int
    pipeline: str
    subject: str
    inputs: tuple[Input, ...]
    context: str
    code: str
    header: dict[str, Any] = {}
    steps: dict[str, dict[str, Any]] = {}
    asn_name: str = ""
    asn: dict[str, Any] | None = None
    made: bool = False
    quicklook: bool = False
    sidecars: bool = False

    @property
    def key(self) -> str:
        """Identifies the work by the content of its inputs, not by when or where they came."""
        contents = sorted((source.sha256, source.role) for source in self.inputs)
        parts = (self.pipeline, self.subject, contents, self.steps, self.context, self.code)
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()

    def job(self, mem_mb: int, *, feeds: str = "", reason: str = "") -> NewJob:
        """The later its stage, the more urgent: finished products free what waits for them."""
        return NewJob(
            key=self.key,
            stage=self.pipeline,
            subject=f"{self.pipeline}:{self.subject}",
            priority=self.stage,
            mem_mb=mem_mb,
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


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Work that was done.

    steps : what each did, as stages.run.StepRecord has it
    parameters : of the pipeline itself
    left_out : why members were not used, by their file names
    """

    products: tuple[Product, ...]
    steps: tuple[dict[str, Any], ...] = ()
    parameters: dict[str, Any] = {}
    left_out: dict[str, str] = {}
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
