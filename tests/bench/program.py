"""Times of the program itself: until it works, until it is compiled, and its size when it waits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import official
from workers import HERE, memory_mb


def first_step(raw: Path, variables: Mapping[str, str]) -> float:
    """s from typing `calwebbd process` to its first step."""
    command = [sys.executable, str(HERE / "first_step.py"), "process", str(raw)]
    typed = time.time()
    out = subprocess.run(command, env=_environment(variables), capture_output=True, text=True, check=True)
    return float(out.stdout) - typed


def warm(cache: Path) -> float:
    """s to compile all kernels into this folder."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "calwebbd.daemon", "warm"]
    variables = _environment({"CALWEBBD_CACHE": str(cache)})
    subprocess.run(command, env=variables, capture_output=True, check=True)
    return time.perf_counter() - began


def service(folder: Path) -> float:
    """MB resident of the service, when it waits."""
    for name in ("in", "out", "state"):
        (folder / name).mkdir(parents=True)
    config = folder / "calwebbd.toml"
    config.write_text('[folders]\nwatch = ["in"]\noutput = "out"\nstate = "state"\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(folder / "notify"))
        ready.settimeout(60)
        variables = _environment({"NOTIFY_SOCKET": str(folder / "notify")})
        command = [sys.executable, "-m", "calwebbd.daemon", "run", "--config", str(config)]
        with subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL) as process:
            while b"READY=1" not in ready.recv(4096):
                pass
            time.sleep(2)
            resident = memory_mb("VmRSS", process.pid)
            process.terminate()
    return resident


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **variables, "PYTHONPATH": str(official.IMPORTROOT)}
