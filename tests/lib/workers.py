"""Programs in environments of their own, asked one thing after the other and measured.

A worker is a process that answers requests, one JSON line each. Both ends of the line
are here; this module imports nothing but the standard library, for the far end also
runs in the official package's environment.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Answer:
    """What was returned, and what it cost: seconds, processor seconds, MB resident at the most."""

    result: Any
    wall: float
    cpu: float
    peak_mb: float


class Worker:
    """The near end: starts the process and asks."""

    def __init__(self, python: Path, script: str, log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [str(python), str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **environment},
        )

    def ask(self, do: str, **arguments: Any) -> Answer:
        """Wait for the answer. Raises RuntimeError with the far end's traceback."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"do": do} | arguments, default=str), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        reply = json.loads(line) if line else {"error": f"it has ended; see {self.log}"}
        if "error" in reply:
            raise RuntimeError(f"{do} {arguments}:\n{reply['error']}")
        return Answer(**reply)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
        self._log.close()


def serve(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """The far end: answer until there are no more requests."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what anything else prints goes to the log
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_measured(handlers[request.pop("do")], request)), file=answers)


def _measured(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        result = function(**arguments)
    except BaseException:  # crds may raise SystemExit
        return {"error": traceback.format_exc()}
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"result": result, "wall": wall, "cpu": cpu, "peak_mb": memory_mb("VmHWM")}


def memory_mb(field: str, pid: int | str = "self") -> float:
    """A field of /proc/PID/status: VmHWM is the peak of what was resident, VmRSS what is so now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise KeyError(field)
