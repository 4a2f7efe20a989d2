"""The benchmarks run through (``pytest -m bench``); what they measure is printed, never asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.bench
def test_the_benchmarks_run_and_print_a_table() -> None:
    command = [sys.executable, Path(__file__).with_name("bench.py"), "--runs", "1"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    print(out.stdout)
    assert "| official |" in out.stdout


@pytest.mark.bench
def test_a_service_with_many_exposures_on_record_is_timed() -> None:
    command = [sys.executable, Path(__file__).with_name("load.py"), "--exposures", "400", "--repeats", "1"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    print(out.stdout)
    assert "/exposures?page=8" in out.stdout
