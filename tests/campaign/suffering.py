"""The calibration that a campaign's service runs: the fake or the real one, and what befalls it.

Each call leaves a note of its process, so that a campaign knows whom it kills. An exposure whose
header has DO and TIMES suffers that, in its first so many attempts; without a campaign never.
"""

import os
import resource
import time
from pathlib import Path
from typing import Any

import fake_calibration as fake

from calwebbd.stages.verify import Facts

NOTES = "CAMPAIGN_NOTES"  #: folder; no campaign if it is not set


def verify(path: Path) -> Facts:
    return fake.verify(path)


def calibrate(file: Path, **settings: Any) -> Any:
    """As `fake_calibration.calibrate`."""
    if notes := os.environ.get(NOTES):
        _befall(Path(notes), file, settings["pipeline"])
    return fake.calibrate(file, **settings)


def really(file: Path, **settings: Any) -> Any:
    """As `calwebbd.daemon.calibrate.calibrate`."""
    from calwebbd.daemon.calibrate import calibrate

    if notes := os.environ.get(NOTES):
        _note(Path(notes), file, settings["pipeline"])
    return calibrate(file, **settings)


def _note(notes: Path, file: Path, pipeline: str) -> None:
    (notes / str(os.getpid())).write_text(f"{pipeline}:{file.name}")


def _befall(notes: Path, file: Path, pipeline: str) -> None:
    _note(notes, file, pipeline)
    header = fake.read(file)["header"] if file.suffix == ".fits" else {}
    if header.get("TIMES") and header.get("AT") == pipeline and _first(notes, file.name, header["TIMES"]):
        _suffer(header["SUFFER"])


def _first(notes: Path, name: str, times: int) -> bool:
    """Whether this is one of the first attempts."""
    for n in range(times):
        try:
            (notes / f"{name}-{n}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return True
    return False


def _suffer(what: str) -> None:
    match what:
        case "memory":  # the system itself refuses more
            limit = 1 << 30
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            bytearray(2 * limit)
        case "hang":
            time.sleep(3600)
