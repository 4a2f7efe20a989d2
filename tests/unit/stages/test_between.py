"""What an interleaved exposure holds beside its image: steps treat it alike, and it is written with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from ramps import apart, make_ramp, write_reference

from calwebbd.stages import scratch
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Exposure, Ramp
from calwebbd.stages.fits import read_ramp
from calwebbd.stages.fits.write import write
from calwebbd.stages.flags import DO_NOT_USE, SATURATED
from calwebbd.stages.irs2 import Layout
from calwebbd.stages.step import NoParams
from calwebbd.stages.steps.dq_init import DQInitParams, dq_init
from calwebbd.stages.steps.group_scale import group_scale
from calwebbd.stages.steps.superbias import superbias
from calwebbd.stages.stream import in_parts
from calwebbd.stages.stripes import window

SMALL = Layout(cells=1, lines=2)
SHAPE = (2, 3, SMALL.samples, SMALL.lines)
NRS1 = {"FASTAXIS": 2, "SLOWAXIS": 1, "SUBSTRT1": 1, "SUBSTRT2": 1}
NRS2 = NRS1 | {"FASTAXIS": -2, "SLOWAXIS": -1}
VALUES = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


@pytest.fixture(params=[NRS1, NRS2], ids=["NRS1", "NRS2"])
def ramp(request: pytest.FixtureRequest) -> Ramp:
    return apart(make_ramp(VALUES, **request.param), SMALL)


def whole(ramp: Ramp) -> dict[str, np.ndarray]:
    """All rows, as they would be written."""
    between = ramp.between
    assert between
    return {
        "sci": np.asarray(between.frames(ramp.sci, between.sci)).reshape(SHAPE),
        "groupdq": np.asarray(between.frames(ramp.groupdq, between.groupdq)).reshape(SHAPE),
        "pixeldq": between.merge(ramp.pixeldq, between.pixeldq),
    }


def test_an_exposure_that_is_split_can_be_merged(ramp: Ramp) -> None:
    np.testing.assert_array_equal(whole(ramp)["sci"], VALUES)
    assert ramp.sci.shape == (2, 3, 64, 2)
    assert ramp.between
    image, beside = ramp.between.split(VALUES)
    np.testing.assert_array_equal(image, ramp.sci)
    np.testing.assert_array_equal(beside[1, 2], ramp.between.sci(5))
    np.testing.assert_array_equal(ramp.between.sci(5, slice(3, 7)), beside[1, 2, 3:7])


def test_references_are_for_all_rows(ramp: Ramp) -> None:
    assert window(ramp).ny == SMALL.samples
    assert ramp.subarray.ny == 64


def test_steps_scale_it_subtract_its_bias_and_flag_it_as_the_image(ramp: Ramp, tmp_path: Path) -> None:
    ramp.header |= {"NFRAMES": 4, "FRMDIVSR": 2}
    every = Exposure(ramp.header, VALUES)
    bias = np.arange(2 * SMALL.samples, dtype=np.float32).reshape(-1, 2)
    dq = np.zeros(bias.shape, np.uint32)
    dq[[3, 30], [1, 0]] = DO_NOT_USE, 4
    masks = write_reference(tmp_path, "mask", every, dq=dq)
    biases = write_reference(tmp_path, "superbias", every, sci=bias, dq=dq << 1)
    ramp = group_scale.function(ramp, {}, NoParams())
    ramp = dq_init.function(ramp, masks, DQInitParams())
    ramp = superbias.function(ramp, biases, NoParams())
    found = whole(ramp)
    np.testing.assert_array_equal(found["sci"], VALUES / 2 - bias)
    np.testing.assert_array_equal(found["pixeldq"], dq | dq << 1)
    np.testing.assert_array_equal(found["groupdq"], np.broadcast_to(dq & DO_NOT_USE, SHAPE))


def test_parts_change_apart_and_come_together(ramp: Ramp, monkeypatch: pytest.MonkeyPatch) -> None:
    ramp.sci, ramp.groupdq = scratch.put(ramp.sci), scratch.put(ramp.groupdq)
    monkeypatch.setattr(scratch, "AT_ONCE", ramp.sci.nbytes // 2)
    ramp.header |= {"NFRAMES": 4, "FRMDIVSR": 2}
    before = ramp.between
    seen: list[np.ndarray] = []

    def halve(part: Ramp) -> Ramp:
        assert part.between
        part = group_scale.function(part, {}, NoParams())
        seen.append(part.between.sci(0))
        part.between.flagged |= np.uint8(SATURATED)
        return part

    done = in_parts(halve, ramp)
    assert before
    np.testing.assert_array_equal(seen, [before.sci(0) / 2, before.sci(3) / 2])
    found = whole(done)
    np.testing.assert_array_equal(found["sci"], VALUES / 2)
    assert before.flagged.max() == 0


def write_raw(folder: Path, sci: Any, **keywords: Any) -> Path:
    """A raw file of full height, which may be narrow."""
    path = folder / "jw_uncal.fits"
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(sci, name="SCI")])
    hdus["SCI"].header.update(keywords)
    hdus.writeto(path, overwrite=True)
    return path


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("keywords", [NRS1, NRS2], ids=["NRS1", "NRS2"])
def test_nothing_is_lost_between_reading_and_writing(
    keywords: dict[str, Any], stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calwebbd.stages.fits.read.IN_MEMORY", 0 if stored else 1 << 30)
    raw = np.random.default_rng(1).integers(0, 65535, (2, 3, 3200, 4), np.uint16)
    ramp = read_ramp(write_raw(tmp_path, raw, **keywords))
    assert ramp.stored is stored
    assert ramp.sci.shape == ramp.groupdq.shape == (2, 3, 2048, 4)
    assert ramp.between
    ramp.between.flagged[7] = DO_NOT_USE
    ramp.pixeldq[5], ramp.between.pixeldq[6] = 2, 4
    once = write(ramp, tmp_path / "jw_ramp.fits")
    twice = write(read_ramp(once), tmp_path / "jw_again_ramp.fits")
    with fits.open(once) as first, fits.open(twice) as second:
        np.testing.assert_array_equal(first["SCI"].data, raw)
        assert np.flatnonzero(first["GROUPDQ"].data[1, 2, :, 0]).tolist() == [ramp.between.rows[7]]
        assert first["PIXELDQ"].data[ramp.between.image[5], 0] == 2
        assert first["PIXELDQ"].data[ramp.between.rows[6], 0] == 4
        for name in ("SCI", "GROUPDQ", "PIXELDQ"):
            np.testing.assert_array_equal(first[name].data, second[name].data)


def test_an_exposure_must_say_how_it_was_read_out(tmp_path: Path) -> None:
    path = write_raw(tmp_path, np.zeros((1, 1, 3200, 1), np.uint16))
    with pytest.raises(InputError, match="FASTAXIS is not given"):
        read_ramp(path)
