"""A database of exposures that have been calibrated, without having calibrated them."""

import hashlib
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.daemon.database import open_store
from calwebbd.daemon.work import Input, Work
from calwebbd.queues.store import Store

STAGES = {"detector1": 1, "image2": 2, "image3": 3}


def entity(name: str, context: str = "") -> str:
    """SHA-256 of what a name stands for."""
    return hashlib.sha256(f"{name} {context}".encode()).hexdigest()


class Catalogue:
    """Fill a database: each method is as if the service had done it."""

    def __init__(self, path: Path) -> None:
        self.store: Store = open_store(path)
        self._job = 0

    def exposure(
        self, root: str, header: Mapping[str, Any], context: str, references: Mapping[str, Mapping[str, str]]
    ) -> None:
        """One that went through stages 1 and 2. references : by pipeline and type."""
        raw = self._file(f"{root}_uncal.fits", "uncal", header, "", "input")
        rate = self.made("detector1", root, [raw], header, context, references["detector1"], "rate")
        self.made("image2", root, [rate], header, context, references["image2"], "cal")

    def made(
        self,
        pipeline: str,
        subject: str,
        inputs: Iterable[str],
        header: Mapping[str, Any],
        context: str,
        references: Mapping[str, str],
        suffix: str,
    ) -> str:
        """A product of one attempt; its SHA-256."""
        self._job += 1
        files = tuple(Input(Path(f"/data/{sha}.fits"), sha) for sha in inputs)
        work = Work(
            stage=STAGES[pipeline],
            pipeline=pipeline,
            subject=subject,
            inputs=files,
            context=context,
            code=version("calwebbd"),
            header=dict(header),
        )
        new = work.job(100, feeds=f"image3:{header.get('OBSERVTN', '')}")
        row = {name: getattr(new, name) for name in ("key", "stage", "subject", "feeds", "share", "payload")}
        self._do(
            "INSERT INTO job (id, key, stage, subject, feeds, share, priority, mem_mb, predicted_mb, "
            "payload, state, not_before, reason, created_at, changed_at) VALUES (:id, :key, :stage, "
            ":subject, :feeds, :share, 1, 100, 100, :payload, 'done', 0, '', 0, 0)",
            id=self._job,
            **row,
        )
        steps = [{"name": "all", "status": "COMPLETE", "references": dict(references)}]
        self._do(
            "INSERT INTO activity (id, job, stage, pipeline, attempt, started, ended, outcome, failure, "
            "reason, context, code, parameters, steps, detail) VALUES (:id, :id, :stage, :pipeline, 1, 1, "
            "2, 'complete', '', '', :context, '1', '{}', :steps, '')",
            id=self._job,
            stage=work.stage,
            pipeline=pipeline,
            context=context,
            steps=msgspec.json.encode(steps).decode(),
        )
        product = self._file(f"{subject}_{suffix}.fits", suffix, header, context, "product")
        self._do(
            "INSERT INTO generated (activity, path, entity) VALUES (:id, :path, :entity)",
            id=self._job,
            path=f"/out/{subject}_{suffix}.fits",
            entity=product,
        )
        for kind, name in references.items():
            if name != "N/A":
                self._do(
                    "INSERT INTO entity (id, kind, name, header, first_seen) "
                    "VALUES (:id, 'reference', :name, '{}', 0) ON CONFLICT DO NOTHING",
                    id=f"crds:{name}",
                    name=name,
                )
                self._do("INSERT INTO used VALUES (:a, :e, :r, NULL)", a=self._job, e=f"crds:{name}", r=kind)
        return product

    def commit(self) -> None:
        self.store.connection.execute("COMMIT")

    def begin(self) -> None:
        self.store.connection.execute("BEGIN")

    def _file(self, name: str, kind: str, header: Mapping[str, Any], context: str, origin: str) -> str:
        content = entity(name, context)
        self._do(
            "INSERT INTO entity (id, kind, name, size, header, first_seen) "
            "VALUES (:id, :kind, :name, 1, :header, 0)",
            id=content,
            kind=kind,
            name=name,
            header=msgspec.json.encode(dict(header)).decode(),
        )
        self._do(
            "INSERT INTO file (path, name, entity, origin, stamp, note, at) "
            "VALUES (:path, :name, :entity, :origin, '', '', :at)",
            path=f"/out/{name}",
            name=name,
            entity=content,
            origin=origin,
            at=time.time(),
        )
        return content

    def _do(self, sql: str, **values: object) -> None:
        self.store.connection.execute(sql, values)
