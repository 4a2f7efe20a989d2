"""Pictures of small products, pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from PIL import Image

from calwebbd.stages import pictures as drawing
from calwebbd.stages.pictures import CIRCLE, COLOURS, NOTHING, OUTLINE, coloured, picture, pictures, reduced


def product(path: Path, sci: object) -> Path:
    """A FITS file with nothing but SCI."""
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(sci, name="SCI")]).writeto(path)
    return path


def pixels(path: Path) -> np.ndarray:
    """(ny, nx, 3), first row at the bottom."""
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))[::-1]


def test_an_image_is_drawn_from_dark_to_bright_with_nan_grey(tmp_path: Path) -> None:
    sci = np.arange(12, dtype=np.float32).reshape(3, 4)
    sci[0, 1] = np.nan
    drawn = pixels(picture(product(tmp_path / "a_cal.fits", sci)))
    assert drawn.shape == (3, 4, 3)
    assert tuple(drawn[0, 1]) == NOTHING
    assert tuple(drawn[0, 0]) == tuple(COLOURS[0])
    assert tuple(drawn[2, 3]) == tuple(COLOURS[-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_cal.fits", "a_cal.png"]


def test_pictures_that_look_the_same_differ_by_the_products_they_name(tmp_path: Path) -> None:
    one, other = (picture(product(tmp_path / f"{n}_cal.fits", np.ones((2, 2)))) for n in "ab")
    assert (pixels(one) == pixels(other)).all()
    assert one.read_bytes() != other.read_bytes()
    with Image.open(one) as opened:
        assert opened.info["Title"] == "a_cal.fits"


def test_large_images_are_averaged_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "SIDE", 2)
    image = np.array([[1, 2, 5], [3, np.nan, np.nan], [7, 9, np.nan]], np.float32)
    np.testing.assert_array_equal(reduced(image), [[2, 5], [8, np.nan]])


def test_an_image_without_a_finite_pixel_is_grey() -> None:
    assert (coloured(np.full((2, 2), np.nan, np.float32)) == NOTHING).all()
    assert (coloured(np.ones((2, 2), np.float32)) == COLOURS[0]).all()


def test_segments_are_outlined_over_their_mosaic_with_circles_around_the_sources(tmp_path: Path) -> None:
    sci = np.zeros((40, 50), np.float32)
    labels = np.zeros((40, 50), np.uint32)
    labels[10:15, 20:26] = 1
    sci[labels == 1] = 5
    product(tmp_path / "m_i2d.fits", sci)
    segments = product(tmp_path / "m_segm.fits", labels)
    alone = pixels(picture(segments))
    assert not (alone == CIRCLE).all(axis=-1).any()
    QTable({"xcentroid": [22.5, np.nan], "ycentroid": [12.0, 3.0]}).write(tmp_path / "m_cat.ecsv")
    drawn = pixels(picture(segments))
    assert tuple(drawn[12, 19]) == tuple(drawn[9, 22]) == tuple(drawn[14, 22]) == OUTLINE
    assert tuple(drawn[12, 22]) == tuple(COLOURS[-1])
    rows, columns = np.nonzero((drawn == CIRCLE).all(axis=-1))
    assert (rows.mean(), columns.mean()) == pytest.approx((12, 22.5), abs=0.6)


def test_only_images_are_drawn(tmp_path: Path) -> None:
    names = ["a_i2d", "a_wfscmb-01", "a_bsub"]
    images = [product(tmp_path / f"{name}.fits", np.eye(3, dtype=np.float32)) for name in names]
    others = [tmp_path / "a_cat.ecsv", product(tmp_path / "a_uncal.fits", np.zeros((1, 2, 2), np.float32))]
    assert pictures([*images, *others]) == [tmp_path / f"{name}.png" for name in names]


def test_of_integrations_the_first_is_drawn(tmp_path: Path) -> None:
    sci = np.stack([np.eye(3), np.zeros((3, 3))]).astype(np.float32)
    (drawn,) = pictures([product(tmp_path / "a_calints.fits", sci)])
    np.testing.assert_array_equal(pixels(drawn), pixels(picture(product(tmp_path / "b_cal.fits", sci[0]))))
