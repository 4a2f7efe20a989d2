"""The campaign by pytest: ``pytest -m campaign tests/campaign``; docs/faults.md has the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.campaign
def test_nothing_is_lost_whatever_happens() -> None:
    command = [sys.executable, str(HERE), "--seed", "1", "--kills", "20", "--each", "1", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
