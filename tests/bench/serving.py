"""A service that is measured, as a process of its own, and what the kernel tells of processes."""

from __future__ import annotations

import os
import resource
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PATH = [str(HERE.parent / "importroot"), str(HERE.parent / "lib"), str(HERE)]
PATIENCE_S = 600.0
REAL = ("-m", "calwebbd.daemon", "run", "--config")
FAKE = (str(HERE.parent / "lib" / "fake_service.py"),)


@dataclass(frozen=True)
class Served:
    """A service that has said that it is ready; its folders `in`, `out` and `state` lie beside each other."""

    base: Path
    process: subprocess.Popen[bytes]

    @property
    def watched(self) -> Path:
        return self.base / "in"

    @property
    def output(self) -> Path:
        return self.base / "out"

    def ask(self, sql: str) -> list[Any]:
        """Of its database."""
        path = self.base / "state" / "calwebbd.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30.0)) as database:
            return database.execute(sql).fetchall()

    def alive(self) -> bool:
        """Raises RuntimeError if it has ended by itself."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the service has ended:\n{(self.base / 'log').read_text()[-2000:]}")
        return True


@contextmanager
def serving(source: Path, program: Sequence[str] = FAKE, **variables: str) -> Iterator[Served]:
    """Run it with this configuration; what it says goes to `log` beside that."""
    base = source.parent
    for name in ("in", "out", "state"):
        (base / name).mkdir(exist_ok=True)
    with notified(base / "notify") as (channel, environment), (base / "log").open("wb") as log:
        command = [sys.executable, *program, str(source)]
        process = subprocess.Popen(command, env=environment | variables, stderr=log)
        try:
            while "READY=1" not in channel.recv(4096).decode().splitlines():
                pass
            yield Served(base, process)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def notified(address: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """What a supervisor listens to, and the environment of its service."""
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(address))
        channel.settimeout(PATIENCE_S)
        path = {"PYTHONPATH": os.pathsep.join(PATH), "CRDS_SERVER_URL": ""}
        yield channel, os.environ | path | {"NOTIFY_SOCKET": str(address)}


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def processor_s(pid: int) -> float:
    """Processor time of a process, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
