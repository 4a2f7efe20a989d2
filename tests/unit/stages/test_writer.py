"""Products are written while the calibration goes on, and appear together at its end."""

from contextlib import suppress
from errno import ENOSPC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images import make_image

from calwebbd.stages.exposure import Image
from calwebbd.stages.fits import read_header, read_image
from calwebbd.stages.scratch import Cube
from calwebbd.stages.writer import Task, Writer

CRF = "jw01234001001_02101_{:05d}_nrca1_a3001_crf.fits"


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALWEBBD_THREADS", "2")


@pytest.fixture
def images() -> list[Image]:
    made = [make_image([[n]], SUBARRAY="FULL") for n in (1, 2)]
    for number, image in enumerate(made, 1):
        image.file = f"jw01234001001_02101_{number:05d}_nrca1_cal.fits"
    return made


def writer(folder: Path, **options: Any) -> Writer:
    return Writer(Task("jw01234-o001_t001_nircam_f200w", ()), "jw_0001.pmap", folder, **options)


def test_what_has_begun_appears_when_the_run_ends(images: list[Image], tmp_path: Path) -> None:
    with writer(tmp_path) as out:
        out.begin("crf", images)
        images[0].header["TARGNAME"] = "LATER"
        out.write("crf", images)
        assert not list(tmp_path.glob("jw*"))
    assert [path.name for path in out.written] == [CRF.format(1), CRF.format(2)]
    for number, path in enumerate(out.written, 1):
        np.testing.assert_array_equal(read_image(path).sci, [[number]])
    assert "TARGNAME" not in read_header(tmp_path / CRF.format(1))


def test_nothing_is_left_of_it_if_the_run_fails(images: list[Image], tmp_path: Path) -> None:
    with suppress(KeyError), writer(tmp_path) as out:
        out.begin("crf", images)
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_at_the_end(images: list[Image], tmp_path: Path) -> None:
    def full(start: int, out: Any) -> None:
        raise OSError(ENOSPC, "No space left on device")

    images[0].sci = Cube((1, 1), np.float32, full)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"), writer(tmp_path) as out:
        out.begin("crf", images)
    assert not list(tmp_path.iterdir())


def test_with_one_thread_all_is_written_at_the_end(
    images: list[Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALWEBBD_THREADS", "1")
    with writer(tmp_path) as out:
        out.begin("crf", images)
        assert not list(tmp_path.iterdir())
        out.write("crf", images)
    assert len(out.written) == len(list(tmp_path.iterdir())) == 2
