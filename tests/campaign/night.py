"""A service under a campaign: its folders, its life and death, and its database as others see it."""

import os
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
#: beside what the interpreter finds by itself
PATH = os.pathsep.join(str(folder) for folder in (TESTS / "importroot", TESTS / "lib", HERE))

SHORT_S = 10.0

CONFIG = """
[folders]
watch = ["in"]
output = "out/products"
state = "state"
[crds]
{crds}
[workers]
processes = 3
memory_mb = 12000
timeout_seconds = {timeout}
[watch]
settle_seconds = 0.1
patience_seconds = 4
rescan_seconds = 10
poll_seconds = 5
[associations]
hold_seconds = 1
[queue]
reserve_mb = 1
probe_seconds = 1
[log]
file = "log.json"
"""


class Night:
    """A folder with a configuration; `work` is fake or real."""

    def __init__(self, folder: Path, *, crds: str = 'context = "jwst_0001.pmap"', work: str = "fake") -> None:
        self.folder, self.work = folder, work
        self.process: subprocess.Popen[bytes] | None = None
        self.lives = self.deaths = 0  #: services begun; those that ended by themselves
        self._short = 0  #: of those, lives in a row in which nothing can have been done
        self._began = 0.0
        self.shift = 0.0
        for name in ("in", "out", "state", "notes"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.config = folder / "calwebbd.toml"
        self.config.write_text(CONFIG.format(crds=crds, timeout=15 if work == "fake" else 300))
        self._environment = os.environ | {"PYTHONPATH": PATH, "CRDS_SERVER_URL": "", "OMP_NUM_THREADS": "1"}
        self._clock = folder / "clock"
        self._clock.write_bytes(struct.pack("d", 0.0))

    @property
    def output(self) -> Path:
        return self.folder / "out" / "products"

    def disturb(self) -> None:
        """From now on there is a campaign, and its clock."""
        self._environment["CAMPAIGN_NOTES"] = str(self.folder / "notes")
        shim = self.folder / "clock.so"
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(HERE / "clock.c"), "-ldl"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            self._environment |= {"LD_PRELOAD": str(shim), "CAMPAIGN_CLOCK": str(self._clock)}

    @property
    def clocked(self) -> bool:
        return "LD_PRELOAD" in self._environment

    def jump(self, seconds: float) -> None:
        """The wall clock of the service and its workers."""
        self.shift += seconds
        with self._clock.open("r+b") as file:
            file.write(struct.pack("d", self.shift))

    def start(self, *options: str) -> "subprocess.Popen[bytes]":
        self.lives += 1
        self._began = time.monotonic()
        command = [sys.executable, str(HERE / "service.py"), str(self.config), self.work, *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environment, stderr=log)
        return self.process

    def keep(self) -> None:
        """As a supervisor does: start it again if it has ended."""
        if self.process is None:
            self.start()
        elif self.process.poll() is not None:
            self.deaths += 1
            self._short = self._short + 1 if time.monotonic() - self._began < SHORT_S else 0
            if self._short > 10:
                raise RuntimeError(f"the service does not live, see {self.folder / 'log'}")
            self.start()

    def kill(self) -> bool:
        """Whether it lived."""
        alive = self.process is not None and self.process.poll() is None
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None
        return alive

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def until(self, condition: Callable[[], object], timeout: float) -> float | None:
        """Seconds until it was so, under a supervisor; None if it never was."""
        began = time.monotonic()
        while time.monotonic() - began < timeout:
            if condition():
                return time.monotonic() - began
            self.keep()
            time.sleep(0.1)
        return None

    def combined(self, prefix: str) -> bool:
        """Whether there is a mosaic of an observation."""
        program, observation = prefix[2:7], prefix[7:10]
        return any(self.output.glob(f"jw{program}-o{observation}_*_i2d.fits"))

    def logged(self) -> int:
        """Bytes of the log."""
        log = self.folder / "log.json"
        return log.stat().st_size if log.exists() else 0

    def told(self, words: str, since: int) -> bool:
        """Whether the log has something like that, a regular expression, after so many bytes."""
        with (self.folder / "log.json").open(errors="replace") as log:
            log.seek(since)
            return re.search(words, log.read()) is not None

    def finish(self, timeout: float) -> None:
        """Let a service end by itself what there is to do, however late it was to be tried again."""
        self.kill()
        for _ in range(30):
            process = self.start("--once")
            if process.wait(timeout=timeout):
                raise RuntimeError(f"the service ended with {process.returncode}, see {self.folder / 'log'}")
            self.process = None
            due = self.ask("SELECT max(not_before) FROM job WHERE state = 'ready'")[0][0]
            if due is None:
                return
            wait = due - (time.time() + self.shift) + 1.0
            if self.clocked:
                self.jump(max(1.0, wait))
            else:
                time.sleep(max(1.0, wait))

    def processor_s(self) -> float:
        """Processor time of the service's own process; 0 if there is none."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except (AttributeError, FileNotFoundError, ProcessLookupError):
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, sql: str, *values: Any) -> list[Any]:
        """Of the database, beside the service; empty if there is none yet."""
        path = self.folder / "state" / "calwebbd.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30.0)) as database:
            try:
                return database.execute(sql, values).fetchall()
            except sqlite3.OperationalError:  # not made yet
                return []

    def command(self, *words: str, timeout: float | None = None) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "calwebbd.daemon", *words, "--config", str(self.config)]
        environment = {k: v for k, v in self._environment.items() if k != "LD_PRELOAD"}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=timeout
        )

    def workers(self) -> dict[int, str]:
        """Processes of the service that calibrate now, and what; others may have the numbers of old ones."""
        found = {}
        for path in (self.folder / "notes").iterdir():
            if path.name.isdecimal() and self._owns(int(path.name)):
                found[int(path.name)] = path.read_text()
        return found

    def _owns(self, pid: int) -> bool:
        """Whether it is a child of our fork server."""
        return _lives(pid) and pid in _children(self.fork_server())

    def orphans(self) -> list[int]:
        """Processes of any of its lives."""
        mark = f"CAMPAIGN_NOTES={self.folder / 'notes'}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found

    def fork_server(self) -> int | None:
        """The process that workers are forked from."""
        for pid in _children(self.process.pid) if self.process is not None else ():
            with suppress(OSError):
                if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _children(pid: int | None) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
