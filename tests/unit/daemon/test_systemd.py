"""The units: systemd understands all of them, and they are well confined."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "systemd"
UNIT = FOLDER / "calwebbd.service"
UNITS = ("calwebbd.service", "calwebbd-web.service")

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_knows_every_key(unit: str) -> None:
    """It only warns of unknown ones, so that a silent answer is the one to ask for."""
    answer = analyze("verify", str(FOLDER / unit))
    assert (answer.stderr, answer.returncode) == ("", 0)


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_exposure_is_at_most_1_5(unit: str) -> None:
    answer = analyze("security", "--offline=true", str(FOLDER / unit))
    score = re.search(r"exposure level for \S+ (\d+\.\d+)", answer.stdout)
    assert score is not None, answer
    assert float(score[1]) <= 1.5


def test_the_unit_lets_workers_die_without_the_service() -> None:
    text = UNIT.read_text()
    for line in ("Type=notify", "KillMode=mixed", "OOMPolicy=continue", "WatchdogSec="):
        assert line in text
