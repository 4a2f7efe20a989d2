from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from ramps import make_ramp, same_for_any_threads

from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Float, Ramp
from calwebbd.stages.references import References
from calwebbd.stages.step import Failed, Skip
from calwebbd.stages.steps.clean_flicker_noise import scene
from calwebbd.stages.steps.picture_frame import picture_frame, regions, subtract_frame

CENTRE = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
EDGE = ~CENTRE
FRAME = np.where(EDGE, np.float32(2), np.float32(1))


def test_the_frame_is_scaled_by_centre_and_edge() -> None:
    scale = np.array([0, 3, -5], np.float32)[:, None, None]
    sci = 7 + scale * FRAME
    subtract_frame(sci, FRAME, CENTRE, EDGE)
    assert (sci == 7).all()


def test_what_was_added_is_known() -> None:
    sci = 7 + np.array([0, 3, -5], np.float32)[:, None, None] * FRAME
    before, added = sci.copy(), np.zeros_like(sci)
    subtract_frame(sci, FRAME, CENTRE, EDGE, added)
    np.testing.assert_array_equal(before + added, sci)


def test_an_offset_goes_with_the_frame_and_the_first_group_stays() -> None:
    sci = np.stack([FRAME, FRAME + 4])
    subtract_frame(sci, FRAME, CENTRE, EDGE)
    np.testing.assert_array_equal(sci, [FRAME, FRAME])


def test_missing_samples_do_not_count_and_stay() -> None:
    sci = np.stack([0 * FRAME, 3 * FRAME])
    sci[1, 0, 0] = np.nan
    subtract_frame(sci, FRAME, CENTRE, EDGE)
    assert np.isnan(sci[1, 0, 0])
    assert np.nansum(np.abs(sci)) == 0


def test_the_same_for_any_number_of_threads(monkeypatch: Any) -> None:
    noise = np.random.default_rng(1).normal(size=(6, 3, 3)).astype(np.float32)

    def work() -> tuple[Float]:
        sci = noise.copy()
        subtract_frame(sci, FRAME, CENTRE, EDGE)
        return (sci,)

    same_for_any_threads(monkeypatch, work)


def test_centre_and_edge_of_the_detector() -> None:
    centre, edge = regions(np.ones((2048, 2048), bool))
    assert centre.sum() == (1984 - 76) ** 2
    assert np.flatnonzero(centre[1000]).tolist() == list(range(76, 1984))
    assert np.flatnonzero(edge[1000]).tolist() == [*range(4, 75), *range(1985, 2043)]
    assert np.flatnonzero(edge[4]).tolist() == list(range(4, 2043))
    assert not edge[[3, 2043]].any()


def full_frame(ngroups: int = 2, size: int = 16, **keywords: Any) -> Ramp:
    words = {
        "INSTRUME": "NIRSPEC",
        "SUBARRAY": "FULL",
        "EXP_TYPE": "NRS_MSASPEC",
        "SUBSTRT1": 1,
        "SUBSTRT2": 1,
    }
    sci = np.zeros((1, ngroups, size, size), np.float32)
    return make_ramp(sci, TGROUP=10.0, TFRAME=10.0, NFRAMES=1, **(words | keywords))


def make_references(folder: Path, frame: Float) -> References:
    paths = {}
    for kind, array in {"gain": 0 * frame + 2, "readnoise": 0 * frame + 10, "pictureframe": frame}.items():
        paths[kind] = folder / f"{kind}.fits"
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(array, name="SCI")]).writeto(paths[kind])
    return References(paths, full_frame(size=len(frame)).subarray)


def test_full_frames_lose_their_frame(tmp_path: Path) -> None:
    glow = np.ones((2048, 2048), np.float32)
    glow[76:1984, 76:1984] = 0
    references = make_references(tmp_path, glow)
    ramp = full_frame(2, 2048)
    noise = np.tile(np.random.default_rng(1).normal(0, 9, (64, 64)).astype(np.float32), (32, 32))
    ramp.sci[0, 1] = noise + 5 * glow + 30
    picture_frame(ramp, references, mask_science_regions=False, save_mask=True, save_correction=True)
    left = ramp.sci[0, 1] - noise
    assert abs(left[:60].mean() - left[200:300, 200:300].mean()) < 0.6
    assert ramp.byproducts["pctfrm_mask"].sci.mean() > 0.9
    assert ramp.byproducts["pctfrm_correction"].sci.shape == ramp.sci.shape


def test_other_exposures_are_skipped(tmp_path: Path) -> None:
    references = make_references(tmp_path, np.ones((16, 16), np.float32))
    for ramp in (full_frame(1), full_frame(SUBARRAY="ALLSLITS"), full_frame(INSTRUME="NIRCAM")):
        with pytest.raises(Skip):
            picture_frame(ramp, references)
    with pytest.raises(Skip, match="shows no background"):
        picture_frame(full_frame(), references, mask_science_regions=False)
    with pytest.raises(ReferenceMissing, match=r"pictureframe.fits is of \(16, 16\)"):
        picture_frame(full_frame(size=8), references)


def test_science_regions_need_the_wcs_of_nirspec(tmp_path: Path) -> None:
    references = make_references(tmp_path, np.ones((16, 16), np.float32))
    with pytest.raises(Failed, match="needs the NIRSpec WCS"):
        picture_frame(full_frame(EXP_TYPE="NRS_FIXEDSLIT"), references)


def test_a_detector_without_slits_is_all_background(tmp_path: Path, monkeypatch: Any) -> None:
    def no_slits(*args: Any, failed_open: bool) -> Any:
        raise scene.OffDetector("no open slit or slice falls on NRS2")

    monkeypatch.setattr(scene, "slit_regions", no_slits)
    references = make_references(tmp_path, np.ones((16, 16), np.float32))
    with pytest.raises(Skip, match="shows no background"):  # in so small an image; it did not fail
        picture_frame(full_frame(EXP_TYPE="NRS_IFU"), references)
