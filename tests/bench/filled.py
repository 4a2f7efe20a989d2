"""Records of very many exposures, as a service would have written them that has calibrated all.

Raw files, rates, calibrated images, pictures, sidecars, mosaics of eight, every attempt with its
references, and what cannot be expected to be empty: jobs that wait, dead letters, quarantine,
associations that are open. The raw files are there, of a few bytes; products have holes only.
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

from calwebbd.daemon import heartbeat
from calwebbd.daemon.config import Config, Crds, Folders
from calwebbd.daemon.database import open_store
from calwebbd.daemon.records import stamp

SIZE = 83_000_000  #: bytes of a product
MEMBERS = 8  #: of one mosaic
REFERENCES = [f"jwst_nircam_{kind}_0001.fits" for kind in ("mask", "superbias", "linearity", "dark", "gain")]
HEADER = {"INSTRUME": "NIRCAM", "DETECTOR": "NRCA1", "EXP_TYPE": "NRC_IMAGE", "FILTER": "F200W"}
HEADER |= {f"KEYWORD{i}": f"value {i}" for i in range(30)}
STEPS = [{"name": f"step_{i}", "keyword": "", "status": "COMPLETE", "reason": "", "seconds": 1.0,
          "references": {"mask": REFERENCES[0]}} for i in range(14)]  # fmt: skip
PARAMETERS = {f"step_{i}": {f"parameter_{k}": [1.0, "default"] for k in range(6)} for i in range(14)}
ASSOCIATION = json.dumps({"asn": "x" * 800})
CODE, CONTEXT = "0.1.0", "jwst_1364.pmap"


class Filler:
    """Writes rows; times go back from now, so that the last day is full."""

    def __init__(self, connection: sqlite3.Connection, base: Path, count: int) -> None:
        self._connection = connection
        self._base = base
        self._count = count
        self._now = time.time()
        self._jobs = self._activities = 0
        self._header, self._steps, self._parameters = map(json.dumps, (HEADER, STEPS, PARAMETERS))

    def fill(self) -> None:
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("BEGIN")
        for name in REFERENCES:
            self._entity(f"crds:{name}", "reference", name, self._now)
        for group in range(self._count // MEMBERS):
            self._group(group)
        for i in range(self._count // 100):
            self._trouble(i)
        self._settings()
        self._connection.executemany(
            "INSERT OR IGNORE INTO stage (name) VALUES (?)", [("detector1",), ("image2",)]
        )
        self._connection.execute("COMMIT")
        self._connection.execute("PRAGMA optimize")

    def _group(self, group: int) -> None:
        """An observation of some exposures, and its mosaic."""
        own = {"PROGRAM": f"{1 + group // 900:05d}", "OBSERVTN": f"{1 + group % 900:03d}"}
        self._header = json.dumps(HEADER | own)
        age = 300 * 86400.0 * (1 - (group + 1) * MEMBERS / self._count)
        at = self._now - age - 600
        program, observation = 1 + group // 900, 1 + group % 900
        mosaic = f"jw{program:05d}-o{observation:03d}_t001_nircam_clear-f200w"
        members = []
        for i in range(MEMBERS):
            root = f"jw{program:05d}{observation:03d}001_02101_{i + 1:05d}_nrca1"
            raw, rate, cal = (
                self._file(root, kind, at + late) for kind, late in (("uncal", 0), ("rate", 40), ("cal", 70))
            )
            self._made("detector1", 1, root, [raw], [rate], at + 30)
            self._made("image2", 2, root, [rate], [cal], at + 60)
            members.append((f"{root}_cal.fits", cal))
        image, table = (self._file(mosaic, kind, at + 310) for kind in ("i2d", "members"))
        self._made("image3", 3, mosaic, [cal for _, cal in members], [image, table], at + 300)
        waits = group % 50 == 0  # for its last member, which its association names
        self._connection.execute(
            "INSERT INTO gathering VALUES (?, ?, ?, 1, '', 1, ?, 'all members are there', ?, ?)",
            (f"image3:{mosaic}", "open" if waits else "fired", waits, ASSOCIATION, at, at + 300),
        )  # fmt: skip
        rows = [(f"image3:{mosaic}", name, "{}", cal) for name, cal in members]
        if waits:
            rows[-1] = (*rows[-1][:3], None)
        self._connection.executemany("INSERT INTO member VALUES (?, ?, ?, ?, NULL)", rows)
        self._connection.execute(
            "INSERT INTO decision (at, who, what, subject, why) VALUES (?, 'service', 'combine', ?, '')",
            (at, f"image3:{mosaic}"),
        )

    def _file(self, root: str, kind: str, at: float) -> str:
        """With its picture and sidecar, if it is a product; its identity."""
        raw = kind == "uncal"
        folder, origin = ("in", "input") if raw else ("out", "product")
        names = [(f"{root}_{kind}.{'ecsv' if kind == 'members' else 'fits'}", kind)]
        if not raw:
            names += [(f"{root}_{kind}.png", "png"), (f"{root}_{kind}.provenance.json", "provenance")]
        for name, of in names:
            path = str(self._base / folder / name)
            self._entity(name, of, name, at)
            with open(path, "w") as file:
                if raw:
                    file.write(name)
                else:
                    file.truncate(SIZE)
            seen = stamp(Path(path)) or "1:2:3"
            self._connection.execute(
                "INSERT INTO file VALUES (?, ?, ?, ?, ?, '', ?)", (path, name, name, origin, seen, at)
            )
            self._connection.execute(
                "INSERT INTO history (path, entity, origin, reason, closed, at) VALUES (?, ?, ?, '', ?, ?)",
                (path, name, origin, at, at),
            )
        return names[0][0]

    def _entity(self, id: str, kind: str, name: str, at: float) -> None:
        header = "{}" if kind in ("png", "provenance", "reference") else self._header
        self._connection.execute(
            "INSERT INTO entity VALUES (?, ?, ?, ?, ?, ?)", (id, kind, name, SIZE, header, at)
        )

    def _made(
        self, pipeline: str, stage: int, root: str, inputs: list[str], products: list[str], at: float
    ) -> None:
        job = self._job(pipeline, root, inputs, "done", at)
        self._activities += 1
        self._connection.execute(
            "INSERT INTO activity (id, job, stage, pipeline, attempt, started, ended, outcome, failure, "
            "reason, context, code, parameters, steps, peak_mb, cpu_s, detail, host) "
            "VALUES (?, ?, ?, ?, 1, ?, ?, 'complete', '', '', ?, ?, ?, ?, 800, 9, '', 'here')",
            (
                self._activities,
                job,
                stage,
                pipeline,
                at,
                at + 9,
                CONTEXT,
                CODE,
                self._parameters,
                self._steps,
            ),
        )
        used = [(self._activities, name, "science") for name in inputs]
        used += [(self._activities, f"crds:{name}", name) for name in REFERENCES]
        self._connection.executemany("INSERT INTO used (activity, entity, role) VALUES (?, ?, ?)", used)
        self._connection.execute(
            "INSERT INTO timing VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self._activities, stage, pipeline, at - 30, at, at + 9, at + 10),
        )
        for product in products:
            made = (self._activities, str(self._base / "out" / product), product)
            self._connection.execute("INSERT INTO generated (activity, path, entity) VALUES (?, ?, ?)", made)
            self._connection.executemany(
                "INSERT INTO derived (entity, source) VALUES (?, ?)", [(product, name) for name in inputs]
            )

    def _job(self, pipeline: str, root: str, inputs: list[str], state: str, at: float) -> int:
        self._jobs += 1
        payload = {"inputs": [{"path": f"/x/{n}", "sha256": n, "role": "science"} for n in inputs]}
        payload |= {"header": HEADER, "steps": {}}
        self._connection.execute(
            "INSERT INTO job (id, key, stage, subject, feeds, priority, turn, mem_mb, predicted_mb, payload, "
            "state, attempt, not_before, reason, created_at, changed_at) "
            "VALUES (?, ?, ?, ?, '', 11, ?, 800, 800, ?, ?, 1, ?, '', ?, ?)",
            (self._jobs, f"key {self._jobs}", pipeline, f"{pipeline}:{root}", self._jobs, json.dumps(payload),
             state, at, at, at + 9),
        )  # fmt: skip
        return self._jobs

    def _trouble(self, i: int) -> None:
        """Jobs that wait, a dead one with its attempt, a file in quarantine."""
        at = self._now - 60.0 * i
        for k in range(10 * i, 10 * i + 10):
            self._job("detector1", f"jw09998001001_02101_{k + 1:05d}_nrca1", [], "ready", at)
        job = self._job("detector1", f"jw09999001001_02101_{i + 1:05d}_nrca1", [], "dead", at)
        self._activities += 1
        self._connection.execute(
            "INSERT INTO activity (id, job, stage, pipeline, attempt, started, ended, outcome, failure, "
            "reason, context, code, parameters, steps, detail) "
            "VALUES (?, ?, 1, 'detector1', 1, ?, ?, 'failed', 'error', ?, ?, ?, '{}', '[]', ?)",
            (self._activities, job, at, at + 1, f"ValueError: {i}", CONTEXT, CODE, "Traceback " * 100),
        )
        name = f"jw09997001001_02101_{i + 1:05d}_nrca1_uncal.fits"
        path = str(self._base / "in" / name)
        Path(path).write_text("no exposure")
        self._connection.execute(
            "INSERT INTO quarantine VALUES (?, ?, ?, 'ends too early', ?)",
            (path, name, stamp(Path(path)), at),
        )
        self._connection.execute(
            "INSERT INTO history (path, origin, reason, at) VALUES (?, 'refused', 'ends too early', ?)",
            (path, at),
        )

    def _settings(self) -> None:
        for name, value in (
            ("context", CONTEXT), ("code", CODE), ("steps", "{}"),
            (heartbeat.NAME, json.dumps(heartbeat.told([]))),
        ):  # fmt: skip
            self._connection.execute("INSERT INTO setting VALUES (?, ?, ?)", (name, value, self._now))


def fill(base: Path, count: int) -> Config:
    """Records of so many exposures below a folder."""
    folders = Folders(watch=(base / "in",), output=base / "out", state=base / "state")
    for folder in (folders.output, folders.state, *folders.watch):
        folder.mkdir()
    store = open_store(folders.database)
    Filler(store.connection, base, count).fill()
    store.close()
    return Config(folders=folders, crds=Crds(context=CONTEXT))
