"""The command line answers at once, because declaring it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys


def test_declaring_all_commands_imports_no_array_library() -> None:
    code = "import sys; from calwebbd.daemon import cli; cli.parser(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "numba", "scipy", "astropy", "asdf", "stdatamodels", "crds", "matplotlib", "rich"}
    assert not heavy & set(out.stdout.split())


def test_a_service_of_one_machine_imports_no_dask() -> None:
    code = "import sys; from calwebbd.daemon import service; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"dask", "distributed", "tornado"} & set(out.stdout.split())
