import os
from pathlib import Path

import pytest
from in_memory import tmp_path

__all__ = ["tmp_path"]

LIB = Path(__file__).resolve().parents[2] / "lib"


@pytest.fixture(scope="session", autouse=True)
def _fake_calibration_in_the_fork_server(_importable_by_child_processes: None) -> None:
    """It imports what it can find on the path of its environment, not on ours."""
    os.environ["PYTHONPATH"] = os.pathsep.join([os.environ["PYTHONPATH"], str(LIB)])
