"""Exposures to and from files: nothing is lost, and products are what the schemas say."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Exposure, Image
from calwebbd.stages.fits import read_header, read_image, read_ramp
from calwebbd.stages.fits.arrays import open_fits, read_array
from calwebbd.stages.fits.write import write
from calwebbd.stages.scratch import Cube

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation


@pytest.fixture(scope="module")
def uncal(observe: Callable[..., "Simulation"]) -> Path:
    return observe(ngroups=3, nints=2, readpatt="SHALLOW4").paths[0]


def test_a_raw_exposure_is_read_as_astropy_has_it(uncal: Path) -> None:
    ramp = read_ramp(uncal)
    with fits.open(uncal) as hdus:
        np.testing.assert_array_equal(ramp.sci, hdus["SCI"].data.astype(np.float32))
        np.testing.assert_array_equal(ramp.zeroframe, hdus["ZEROFRAME"].data.astype(np.float32))
        assert ramp.int_times is not None
        assert list(ramp.int_times["integration_number"]) == [1, 2]
    assert ramp.sci.dtype == np.float32
    assert ramp.groupdq.shape == ramp.sci.shape == (2, 3, 64, 64)
    assert not ramp.pixeldq.any()


def test_a_header_has_both_parts_and_remembers_what_one_hides() -> None:
    header = read_image_header({"TELESCOP": "JWST", "V2_REF": 1.0}, {"V2_REF": 2.0})
    assert header["TELESCOP"] == "JWST"
    assert header["V2_REF"] == 2.0
    assert header.shadowed == {"V2_REF": 1.0}


def read_image_header(primary: dict[str, Any], sci: dict[str, Any]) -> Any:
    from calwebbd.stages.fits.read import _header

    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)), name="SCI")])
    hdus[0].header.update(primary)
    hdus["SCI"].header.update(sci)
    return _header(hdus)


def test_no_keyword_is_lost_between_reading_and_writing(uncal: Path, tmp_path: Path) -> None:
    written = write(read_ramp(uncal), tmp_path / "jw_ramp.fits")
    before, after = read_header(uncal), read_header(written)
    changed = {"DATE", "FILENAME", "DATAMODL"}
    assert {k: v for k, v in before.items() if k not in changed} == {
        k: v for k, v in after.items() if k not in changed
    }
    assert after["FILENAME"] == "jw_ramp.fits"


def test_a_keyword_that_no_schema_knows_is_kept(uncal: Path, tmp_path: Path) -> None:
    ramp = read_ramp(uncal)
    ramp.header["MYKEY"] = 42
    assert read_header(write(ramp, tmp_path / "x_ramp.fits"))["MYKEY"] == 42


def an_image(ramp: Any, *shape: int) -> Image:
    planes = [np.full(shape, value, np.float32) for value in (1.0, 2.0, 3.0, 4.0)]
    dq = np.full(shape, 1 << 31, np.uint32)
    return Image(
        ramp.header, planes[0], err=planes[1], dq=dq, var_poisson=planes[2], var_rnoise=planes[3],
        int_times=ramp.int_times if len(shape) == 3 else None,
    )  # fmt: skip


@pytest.mark.parametrize(("shape", "model"), [((8, 6), "ImageModel"), ((2, 8, 6), "CubeModel")])
def test_an_image_comes_back_as_it_was_and_is_valid(
    uncal: Path, tmp_path: Path, shape: tuple[int, ...], model: str
) -> None:
    image = an_image(read_ramp(uncal), *shape)
    path = write(image, tmp_path / "x_rate.fits")
    again = read_image(path)
    for name in ("sci", "err", "dq", "var_poisson", "var_rnoise"):
        np.testing.assert_array_equal(getattr(again, name), getattr(image, name))
    with datamodels.open(path, strict_validation=True) as opened:
        assert type(opened).__name__ == model
        opened.validate()


def test_a_product_appears_whole_or_not_at_all(
    uncal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        write(an_image(read_ramp(uncal), 8, 6), tmp_path / "x_rate.fits")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(2, 3), (4, 2, 3), (5, 4, 2, 3)])
def test_a_plain_exposure_is_an_image_or_cubes(uncal: Path, tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    path = write(Exposure(read_header(uncal), array), tmp_path / "noise.fits")
    np.testing.assert_array_equal(fits.getdata(path, "SCI"), array)


def test_planes_on_disk_are_written_like_those_in_memory(uncal: Path, tmp_path: Path) -> None:
    image = an_image(read_ramp(uncal), 3, 8, 6)
    image.sci = np.arange(144, dtype=np.float32).reshape(3, 8, 6)
    image.dq = np.arange(144, dtype=np.uint32).reshape(3, 8, 6) << 24
    expected = read_image(write(image, tmp_path / "a_rateints.fits"))
    for name in ("sci", "dq"):
        cube = Cube((3, 8, 6), getattr(image, name).dtype)
        cube.write(0, getattr(image, name))
        setattr(image, name, cube)
    found = read_image(write(image, tmp_path / "b_rateints.fits"))
    for name in ("sci", "err", "dq"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_an_image_may_stay_in_its_file_and_changes_are_kept(uncal: Path, tmp_path: Path) -> None:
    image = an_image(read_ramp(uncal), 8, 6)
    image.dq = np.arange(48, dtype=np.uint32).reshape(8, 6) << 26
    path = write(image, tmp_path / "x_cal.fits")
    expected, found = read_image(path), read_image(path, stored=True)
    for name in ("sci", "err", "dq", "var_poisson"):
        assert isinstance(getattr(found, name), Cube)
        np.testing.assert_array_equal(np.asarray(getattr(found, name)), getattr(expected, name))
    with found.in_memory(change=("dq",)) as loaded:
        loaded.dq |= np.uint32(1)
        loaded.sci += 1
        loaded.header["S_OUTLIR"] = "COMPLETE"
    np.testing.assert_array_equal(np.asarray(found.dq), expected.dq | 1)
    np.testing.assert_array_equal(np.asarray(found.sci), expected.sci)
    assert found.header["S_OUTLIR"] == "COMPLETE"
    again = read_image(write(found, tmp_path / "x_crf.fits"))
    np.testing.assert_array_equal(again.dq, expected.dq | 1)


def test_a_long_exposure_stays_in_its_file(uncal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_ramp(uncal)
    monkeypatch.setattr("calwebbd.stages.fits.read.IN_MEMORY", 1)
    ramp = read_ramp(uncal)
    assert ramp.stored
    for name in ("sci", "groupdq", "zeroframe"):
        assert isinstance(getattr(ramp, name), Cube)
        np.testing.assert_array_equal(np.asarray(getattr(ramp, name)), getattr(expected, name))


def test_what_is_not_the_product_expected_is_refused_by_name(uncal: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SCI has 4 axes, an image has 2 or 3"):
        read_image(uncal)
    text = tmp_path / "x_uncal.fits"
    text.write_text("not FITS at all")
    with pytest.raises(InputError, match="cannot be read as FITS"):
        read_ramp(text)
    bare = tmp_path / "y_rate.fits"
    fits.PrimaryHDU().writeto(bare)
    with pytest.raises(InputError, match="extension SCI is missing"):
        read_image(bare)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
def test_every_kind_of_pixel_is_read_natively(tmp_path: Path, dtype: str) -> None:
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(dtype)
    if dtype.startswith("uint"):
        array[0, 0, 0] = np.iinfo(dtype).max
    path = tmp_path / "array.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(array, name="SCI")]).writeto(path)
    with open_fits(path) as hdus:
        whole = read_array(path, hdus["SCI"])
        part = read_array(path, hdus["SCI"], planes=slice(1, 2), rows=slice(1, 3))
    np.testing.assert_array_equal(whole, array)
    assert whole.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(part, array[1:2, 1:3])
