"""The official package, in a virtual environment of its own, and its workers beside ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from workers import Worker

VERSION = "3.0.0"
IMPORTROOT = Path(__file__).resolve().parents[1] / "importroot"


def official_python() -> Path:
    """The interpreter that has the official package; its environment is made if there is none.

    CALWEBBD_OFFICIAL_VENV says where, else ``~/.cache/calwebbd/official-VERSION``.
    """
    default = Path.home() / ".cache" / "calwebbd" / f"official-{VERSION}"
    folder = Path(os.environ.get("CALWEBBD_OFFICIAL_VENV", default))
    python = folder / "bin" / "python"
    if not (folder / "ready").exists() and not _has_it(python):
        print(f"installing jwst {VERSION} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"jwst=={VERSION}"], check=True)
        (folder / "ready").touch()
    return python


def _has_it(python: Path) -> bool:
    check = f"from importlib.metadata import version; assert version('jwst') == '{VERSION}'"
    return python.exists() and subprocess.run([python, "-c", check], capture_output=True).returncode == 0


def official_worker(environment: dict[str, str], log: Path) -> Worker:
    """A process of the official package, with these CRDS variables."""
    return Worker(official_python(), "official_worker.py", log, environment | {"PYTHONPATH": ""})


def our_worker(environment: dict[str, str], log: Path) -> Worker:
    """A process of this checkout, with these CRDS variables."""
    path = {"PYTHONPATH": str(IMPORTROOT)}
    return Worker(Path(sys.executable), "our_worker.py", log, environment | path)
