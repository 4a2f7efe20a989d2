"""Sets of exposures of which some are bad: the mosaic of the rest appears, and says what it is without."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from astropy.io import fits
from astropy.table import QTable

from calwebbd.stages.associations import level3_key, make_asn, write_asn
from calwebbd.stages.chain import process_through
from calwebbd.stages.fits import read_header
from calwebbd.stages.process import Options

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation

CONFIGURATION = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
path = "{crds}"
[watch]
settle_seconds = 0.2
patience_seconds = 1
"""
CUT, HOUR, ASIDE, EMPTY = 3, 4, 5, 6  #: of seven exposures, those that are bad, counted from 0
ENDS = "ends at byte 50000"
ELSEWHERE = "its pointing is wrong: it lies {} from the other exposures of its visit"


@pytest.fixture(scope="module")
def calibrated(
    observe: Callable[..., "Simulation"], crds_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Seven dithers: one file is cut, one looks an hour off, one 20 arcsec, and one sees no stars."""
    from calwebbd.stages.simulate import Effects, environment

    folder = tmp_path_factory.mktemp("calibrated")
    seen = {"detectors": ("NRCA1",), "dithers": 7, "ngroups": 4}
    raw = observe(**seen).paths
    raw[EMPTY] = observe(**seen, effects=Effects(stars=False)).paths[EMPTY]
    for number, keyword, degrees in ((HOUR, "RA_REF", 15.0), (ASIDE, "DEC_REF", 20 / 3600)):
        with fits.open(raw[number], mode="update") as hdus:
            hdus["SCI"].header[keyword] += degrees
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(crds_cache).items():
            patch.setenv(name, value)
        outcomes = process_through(raw, None, "image2", Options(folder), _raise)
        cals = [path for outcome in outcomes if (path := outcome.product("cal"))]
    cals[CUT].write_bytes(cals[CUT].read_bytes()[:50000])
    return cals


def _raise(error: Exception) -> None:
    raise error


def calwebbd(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calwebbd.daemon", *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended


def left_out(folder: Path) -> dict[int, str]:
    """By the table of members beside the one mosaic: the reasons, by the number of the exposure."""
    (table,) = (QTable.read(path) for path in folder.glob("*_members.ecsv"))
    (mosaic,) = folder.glob("jw01234-o001*_i2d.fits")
    assert fits.getval(mosaic, "NDRIZ") == table["used"].sum()
    return {int(row["exposure"][20:25]) - 1: str(row["reason"]) for row in table if not row["used"]}


@pytest.mark.slow
def test_a_folder_with_bad_exposures_gives_the_mosaic_of_the_others(
    tmp_path: Path, calibrated: list[Path], crds_cache: Path
) -> None:
    (tmp_path / "in").mkdir()
    for path in calibrated:
        shutil.copy(path, tmp_path / "in")
    (tmp_path / "calwebbd.toml").write_text(CONFIGURATION.format(crds=crds_cache))
    config = ("--config", "calwebbd.toml")
    log = calwebbd(tmp_path, "run", *config, "--once").stderr
    found = left_out(tmp_path / "out")
    assert found == {HOUR: ELSEWHERE.format("5.24 deg"), ASIDE: ELSEWHERE.format("21 arcsec")}
    for number, reason in found.items():
        where = calwebbd(tmp_path, "where", calibrated[number].name, *config).stdout.splitlines()[0]
        assert where.endswith(f"done, left out of jw01234-o001_t001_nircam_clear-f200w-sub64p: {reason}")
        assert f'"reason": "{reason}", "event": "left out", "level": "warning"' in log
    cut = calwebbd(tmp_path, "where", calibrated[CUT].name, *config).stdout
    assert f"quarantined, {ENDS}" in cut


@pytest.mark.slow
def test_an_association_with_bad_exposures_gives_the_mosaic_of_the_others(
    tmp_path: Path, calibrated: list[Path], crds_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calwebbd.stages.simulate import environment

    for name, value in environment(crds_cache).items():
        monkeypatch.setenv(name, value)
    key = level3_key(read_header(calibrated[0]))
    assert key is not None
    asn = calibrated[0].with_name("bad_image3_asn.json")
    write_asn(make_asn(key, [path.name for path in calibrated]), asn)
    said = calwebbd(tmp_path, "process", str(asn)).stderr
    found = left_out(tmp_path)
    assert found.pop(CUT).startswith(ENDS)
    assert found == {HOUR: ELSEWHERE.format("5.24 deg"), ASIDE: ELSEWHERE.format("21 arcsec")}
    for number in (CUT, HOUR, ASIDE):
        assert f"{calibrated[number].name} is left out: " in said
    (table,) = (QTable.read(path) for path in tmp_path.glob("*_members.ecsv"))
    (empty,) = table[table["exposure"] == calibrated[EMPTY].name]
    assert empty["used"]
    assert empty["alignment"] == "no sources were found"
