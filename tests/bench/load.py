"""A service with very many exposures on record: ``python tests/bench/load.py [--write docs/load.md]``.

Records are filled as a service would have written them. Then a service with fake calibration starts on
them, whose stages are paused; jobs are claimed and given back; every question is asked as an operator
does, by its command; every page is loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PATH = [str(HERE.parent / "importroot"), str(HERE.parent / "lib"), str(HERE)]
sys.path[:0] = PATH

from filled import fill  # noqa: E402
from pages import MOSAIC, ROOT, times  # noqa: E402
from section import machine, table, write  # noqa: E402

from calwebbd.daemon.configfile import load  # noqa: E402
from calwebbd.daemon.database import open_store  # noqa: E402

CONFIG = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
context = "jwst_1364.pmap"
server = ""
[watch]
rescan_seconds = 20
"""
QUESTIONS = (
    "status", "quarantine", "failures", "progress", "progress 00001", "latency", "latency --since 3650d",
    "stale", f"where {ROOT}_uncal.fits", f"why {MOSAIC}_i2d.fits", f"lineage {MOSAIC}_i2d.fits",
    f"uses {ROOT}_uncal.fits", f"versions {MOSAIC}_i2d.fits", "audit",
)  # fmt: skip
PATIENCE_S = 600.0


def starting(source: Path) -> Iterator[tuple[str, str]]:
    """From the start of its process until it is ready, and its scans."""
    database = source.parent / "state" / "calwebbd.db"
    with _notified(source.parent / "notify") as (channel, environment):
        began, wall = time.monotonic(), time.time()
        command = [sys.executable, str(HERE.parent / "lib" / "fake_service.py"), str(source)]
        log = (source.parent / "log").open("wb")
        process = subprocess.Popen(command, env=environment, stderr=log)
        try:
            while "READY=1" not in channel.recv(4096).decode().splitlines():
                pass
            ready = time.monotonic() - began
            first = _scanned(database, wall)
            again = _scanned(database, first["scanned_at"] + 1.0)
            memory = _resident_mb(process.pid)
        finally:
            process.terminate()
            process.wait()
            log.close()
    yield "start, until the service is ready", _s(ready)
    yield "first scan, until each file is accounted for", _s(first["scanned_at"] - wall - ready)
    yield "any later scan", _s(again["seconds"])
    yield "memory of the service, MB", f"{memory:.0f}"
    assert again["adds_up"], again
    assert again["seen"] == again["catalogued"] + again["quarantined"], again


@contextmanager
def _notified(address: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """What a supervisor listens to, and the environment of its service."""
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(address))
        channel.settimeout(PATIENCE_S)
        path = {"PYTHONPATH": os.pathsep.join(PATH), "CRDS_SERVER_URL": ""}
        yield channel, os.environ | path | {"NOTIFY_SOCKET": str(address)}


def _scanned(database: Path, since: float) -> dict[str, Any]:
    """What a scan told that ended after that."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM setting WHERE name = 'watch'").fetchone()
        for root in json.loads(row[0])["roots"] if row else ():
            if root["scanned_at"] > since:
                found: dict[str, Any] = root
                return found
        time.sleep(0.1)
    raise TimeoutError("no scan has ended")


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def claiming(database: Path, repeats: int) -> Iterator[tuple[str, str]]:
    """Claim and give back, each on disk before the next one."""
    store = open_store(database)
    claims, backs = [], []
    try:
        waiting = store.backlog()
        for _ in range(repeats):
            began = time.perf_counter()
            job = store.claim("bench:1", time.time(), lease_s=120.0, budget_mb=10_000)
            claims.append(time.perf_counter() - began)
            assert job is not None
            began = time.perf_counter()
            store.unclaim(job, time.time())
            backs.append(time.perf_counter() - began)
    finally:
        store.close()
    for what, taken in ((f"claim of one of {waiting} jobs that wait", claims), ("giving it back", backs)):
        ranked = sorted(taken)
        median, last = statistics.median(ranked), ranked[int(0.99 * len(ranked))]
        yield f"{what}, median and 99 of 100", f"{_s(median)}, {_s(last)}"


def asking(source: Path, repeats: int) -> Iterator[tuple[str, str]]:
    """Each question by its command, with the start of Python."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(PATH), "CRDS_SERVER_URL": ""}
    for question in QUESTIONS:
        command = [sys.executable, "-m", "calwebbd.daemon", *question.split(), "--config", str(source)]
        taken = []
        for _ in range(repeats):
            began = time.perf_counter()
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            taken.append(time.perf_counter() - began)
            assert not done.stderr, done.stderr
        yield f"`calwebbd {question}`", _s(statistics.median(taken))


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/bench/load.py", description=__doc__)
    parser.add_argument("--exposures", type=int, default=100_000, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="fill this folder, or use it if it is filled"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the tables go there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as other:
        base = (args.keep or Path(other)).resolve()
        base.mkdir(exist_ok=True)
        source = base / "calwebbd.toml"
        if not source.exists():
            began = time.perf_counter()
            fill(base, args.exposures)
            source.write_text(CONFIG)
            print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)
        text = measure(source, args.exposures, args.repeats)
    print(text)
    if args.write:
        write(args.write, "tests/bench/load.py", text)


def measure(source: Path, count: int, repeats: int) -> str:
    config = load(source)
    database = config.folders.database
    rows = list(claiming(database, 1000))
    _pause(database, "operator")
    rows = [*starting(source), *rows, *asking(source, repeats)]
    _pause(database, "")
    pages = [
        (f"`{address}`", _s(first), _s(median), f"{size / 1000:.0f}")
        for address, first, median, size in times(config, count, repeats)
    ]
    size = database.stat().st_size / 2**30
    told = f"{machine()}; {count} exposures, {size:.1f} GB of records. Medians of {repeats}."
    head = ("page", "first, nothing kept", "median", "kB")
    return f"{told}\n\n{table(('what', 'time'), rows)}\n\n{table(head, pages)}"


def _pause(database: Path, by: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT OR IGNORE INTO stage (name) VALUES ('*')")
        connection.execute("UPDATE stage SET paused = ?, reason = 'a measurement' WHERE name = '*'", (by,))


if __name__ == "__main__":
    main()
