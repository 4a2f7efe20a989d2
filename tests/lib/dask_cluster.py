"""A Dask cluster of processes: a scheduler and hosts, each with a log, perhaps in network namespaces."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join([str(ROOT / "tests" / "importroot"), str(ROOT / "tests" / "lib")])
#: what is lost is noticed soon
QUICK = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",  # the least it takes
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "8s",
    "DASK_DISTRIBUTED__WORKER__HEARTBEAT_INTERVAL": "500ms",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "8s",
}


class DaskCluster:
    """within : commands that come before, by the machine's name, to run there"""

    def __init__(self, folder: Path, *, listen: str = "127.0.0.1", options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.listen = listen
        self.options = options
        self.within: dict[str, list[str]] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def schedule(self, port: int = 0) -> None:
        """Start the scheduler, and wait until its file tells where it is."""
        self.file.unlink(missing_ok=True)
        where = ["--host", self.listen, "--port", str(port), "--scheduler-file", str(self.file)]
        self._start("scheduler", "dask_scheduler", *where, "--no-dashboard")
        deadline = time.monotonic() + 60.0
        while not self.file.exists() or not self.file.read_text().endswith("}"):
            assert time.monotonic() < deadline, self.log("scheduler")
            time.sleep(0.05)

    def host(self, name: str, *more: str, mb: int = 4000, slots: int = 2) -> None:
        """Start a host of this name."""
        size = ["--nthreads", str(slots), "--memory-limit", "0", *(["--resources", f"MB={mb}"] if mb else [])]
        place = ["--scheduler-file", str(self.file), "--local-directory", str(self.folder / f"of-{name}")]
        nanny = [] if "--nanny" in more else ["--no-nanny"]
        self._start(name, "dask_worker", *place, *size, *nanny, *more, "--name", name, "--no-dashboard")

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()

    def _start(self, name: str, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, *self.options]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*self.within.get(name, []), *command], env=environment(), stdout=log, stderr=log
            )


def environment() -> Mapping[str, str]:
    return os.environ | QUICK | {"PYTHONPATH": PATH, "OMP_NUM_THREADS": "1"}
