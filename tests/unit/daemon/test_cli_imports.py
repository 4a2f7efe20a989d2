"""The command line answers at once, because declaring it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys


def test_declaring_all_commands_imports_no_array_library() -> None:
    code = "import sys; from calwebbd.daemon import cli; cli.parser(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "numba", "scipy", "astropy", "asdf", "stdatamodels", "crds", "matplotlib", "rich"}
    assert not heavy & set(out.stdout.split())
