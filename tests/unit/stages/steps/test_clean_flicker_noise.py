import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from ramps import make_ramp, same_for_any_threads

from calwebbd.stages import flags
from calwebbd.stages.errors import InputError, ParameterError, ReferenceMissing
from calwebbd.stages.exposure import Float, Header, Ramp
from calwebbd.stages.references import References
from calwebbd.stages.scratch import Cube
from calwebbd.stages.step import Failed
from calwebbd.stages.steps.clean_flicker_noise import (
    clean_flicker_noise,
    filled_flat,
    median_image,
    scene,
)
from calwebbd.stages.steps.clean_flicker_noise.cleaning import (
    Recipe,
    find_all,
    fourier_fit,
    median_fit,
    subtract_all,
)
from calwebbd.stages.steps.clean_flicker_noise.soss import extrapolated, rotated, soss_traces
from calwebbd.stages.steps.ramp_fit import Times, fit_slopes

NY, NX, NGROUPS = 40, 240, 5
BACKGROUND = 20.0  # DN per group
CLOCK = {"TGROUP": 10.0, "TFRAME": 10.0, "NFRAMES": 1}


def flicker(shape: tuple[int, ...], seed: int = 5, sigma: float = 2.5) -> Float:
    """Noise with a 1/f spectrum along its last axis."""
    random, n = np.random.default_rng(seed), shape[-1]
    frequency = np.maximum(np.arange(n // 2 + 1), 1)
    spectrum = random.normal(size=(*shape[:-1], frequency.size)) / np.sqrt(frequency)
    phases = np.exp(2j * np.pi * random.random(spectrum.shape))
    noise = np.fft.irfft(spectrum * phases, n)
    return (sigma * noise / noise.std()).astype(np.float32)


def stars(ny: int = NY, nx: int = NX) -> Float:
    """Three of them, DN per group, with steep wings."""
    y, x = np.mgrid[:ny, :nx]
    places = [(0.2, 0.3, 900), (0.5, 0.7, 400), (0.8, 0.2, 2500)]
    return sum(
        brightness * np.exp(-((y - a * ny) ** 2 + (x - b * nx) ** 2) / 6) for a, b, brightness in places
    ).astype(np.float32)


def observed(
    nints: int = 1, ngroups: int = NGROUPS, *, stripes: Float | None = None, **keywords: Any
) -> Ramp:
    """Stars on a background, with a little noise; `stripes`, (nints, ngroups, ny), are added to rows."""
    slope = BACKGROUND + stars()
    sci = np.arange(1, ngroups + 1)[:, None, None] * slope + np.zeros((nints, 1, 1, 1))
    sci += np.random.default_rng(1).normal(0, 4, sci.shape)
    if stripes is not None:
        sci += stripes[..., None]
    return make_ramp(sci, EXP_TYPE="NRC_IMAGE", DETECTOR="NRCA1", **CLOCK, **keywords)


@pytest.fixture
def references(tmp_path: Path) -> References:
    return make_references(tmp_path, {})


def make_references(folder: Path, arrays: dict[str, Float], shape: tuple[int, int] = (NY, NX)) -> References:
    """Gain 2 and read noise 10, and these."""
    arrays = {"gain": np.full(shape, 2.0), "readnoise": np.full(shape, 10.0), **arrays}
    header = fits.Header({"SUBSTRT1": 101, "SUBSTRT2": 201})
    paths = {}
    for kind, array in arrays.items():
        paths[kind] = folder / f"{kind}.fits"
        hdus = [fits.PrimaryHDU(header=header), fits.ImageHDU(np.float32(array), name="SCI")]
        fits.HDUList(hdus).writeto(paths[kind], overwrite=True)
    return References(paths, make_ramp(np.zeros((1, 1, *shape))).subarray)


def row_scatter(ramp: Ramp) -> float:
    """Standard deviation of the row medians of the rate's background, DN per group."""
    ny, nx = ramp.sci.shape[-2:]
    rate, _ = fit_slopes(
        ramp.sci, ramp.groupdq, ramp.pixeldq.copy(), np.full((ny, nx), 2, np.float32),
        np.full((ny, nx), 10, np.float32), Times(1.0, 1.0, 1),
    )  # fmt: skip
    dark = np.where(stars(ny, nx) < 0.1, rate.sci, np.nan)
    return float(np.nanstd(np.nanmedian(dark, axis=1)))


def test_stripes_vanish_and_stars_stay(references: References) -> None:
    stripes = flicker((1, NGROUPS, NY))
    ramp, clean = observed(stripes=stripes), observed()
    before = row_scatter(ramp)
    clean_flicker_noise(ramp, references)
    assert row_scatter(ramp) < 0.5 * before
    # group 0, and with it the stripes that all groups share, stays
    expected = clean.sci + stripes[:, :1, :, None]
    bright = stars() > 300
    assert np.abs((ramp.sci - expected)[..., bright]).max() < 4


def test_columns_are_corrected_where_they_are_slow(references: References) -> None:
    ramp = observed(SLOWAXIS=1, FASTAXIS=2)
    clean = ramp.sci.copy()
    stripes = flicker((1, NGROUPS, NX))[:, :, None, :]
    ramp.sci += stripes
    clean_flicker_noise(ramp, references)
    left = np.median(ramp.sci - clean - stripes[:, :1], axis=2)
    assert left[0, 1].std() < 0.5 * stripes.std()


@pytest.mark.parametrize(
    "parameters",
    [
        {"background_method": "model"},
        {"background_method": "model", "background_box_size": (20, 20)},
        {"background_method": None},
        {"fit_histogram": True},
        {"single_mask": False},
        {"n_sigma": 0.0, "background_method": None},
        {"fit_by_channel": True},
        {"autoparam": True},
        {"mask_science_regions": True},
    ],
)
def test_every_way_removes_stripes(references: References, parameters: dict[str, Any]) -> None:
    ramp = observed(2, stripes=flicker((2, NGROUPS, NY)))
    before = row_scatter(ramp)
    clean_flicker_noise(ramp, references, **parameters)
    assert row_scatter(ramp) < 0.5 * before


def test_the_same_for_any_number_of_threads(references: References, monkeypatch: Any) -> None:
    def work() -> tuple[Float]:
        ramp = observed(2, stripes=flicker((2, NGROUPS, NY)))
        return (clean_flicker_noise(ramp, references, background_method="model").sci,)

    same_for_any_threads(monkeypatch, work)


@pytest.mark.parametrize("parameters", [{}, {"single_mask": False}, {"background_method": "median_image"}])
def test_ramps_on_disk_are_cleaned_alike(references: References, parameters: dict[str, Any]) -> None:
    ramp = observed(3, stripes=flicker((3, NGROUPS, NY)))
    stored = replace(ramp, sci=on_disk(ramp.sci), groupdq=on_disk(ramp.groupdq))
    clean_flicker_noise(stored, references, save_noise=True, save_background=True, **parameters)
    clean_flicker_noise(ramp, references, save_noise=True, save_background=True, **parameters)
    np.testing.assert_array_equal(np.asarray(stored.sci), ramp.sci)
    for suffix, saved in ramp.byproducts.items():
        np.testing.assert_array_equal(np.asarray(stored.byproducts[suffix].sci), saved.sci)


def on_disk(array: Any) -> Any:
    cube = Cube(array.shape, array.dtype)
    cube.write(0, array)
    return cube


def test_typical_ramps_are_taken_off_each_integration(references: References) -> None:
    stripes = flicker((5, NGROUPS, NY))
    ramp, clean = observed(5, stripes=stripes), observed(5)
    clean_flicker_noise(ramp, references, background_method="median_image", save_background=True)
    left = np.median(ramp.sci - clean.sci, axis=-1)  # what the typical ramp has of them
    assert (left - left.mean(axis=0)).std() < 0.5 * stripes.std()
    background = ramp.byproducts["flicker_bkg"].sci
    assert np.corrcoef(background[1, -1].ravel(), clean.sci[1, -1].ravel())[0, 1] > 0.999
    with pytest.raises(Failed, match="more than one integration"):
        clean_flicker_noise(observed(), references, background_method="median_image")


def test_a_transit_is_followed_by_the_light_of_the_source() -> None:
    """A faint background, a trace that dims by 1 % in the middle, and a little noise."""
    random = np.random.default_rng(3)
    trace = 200 * np.exp(-((np.arange(32)[:, None] - 16 - np.arange(64) / 16) ** 2) / 8)
    depth = np.where(np.abs(np.arange(20) - 10) < 4, 0.99, 1.0)
    rates = 5 + depth[:, None, None] * trace + random.normal(0, 0.8, (20, 32, 64))
    rates[4, 16, 3] = np.nan
    header = Header(EXP_TYPE="NIS_SOSS", TSOVISIT=True, NINTS=20)
    scale = median_image.brightness(rates.astype(np.float32), header)
    np.testing.assert_allclose(scale / scale[0], depth / depth[0], atol=1.5e-3)
    blind = median_image.brightness(rates.astype(np.float32), Header(EXP_TYPE="NRC_IMAGE"))
    assert np.abs(blind / blind[0] - depth).max() > 5e-3  # the median sees background and noise


def test_flats_are_divided_out_and_put_back(tmp_path: Path) -> None:
    flat = np.where(np.arange(NX) < NX // 2, 0.5, 1.5)[None] * np.ones((NY, 1))
    flat[3, 3], flat[4, 4] = 0, np.nan
    references = make_references(tmp_path, {"flat": flat})
    filled = filled_flat(references["flat"])
    assert np.isfinite(filled).all()
    assert (filled != 0).all()
    ramp = observed(stripes=flicker((1, NGROUPS, NY)))
    ramp.sci *= filled
    clean_flicker_noise(ramp, references, apply_flat_field=True)
    ramp.sci /= filled
    assert row_scatter(ramp) < 0.3 * row_scatter(observed(stripes=flicker((1, NGROUPS, NY))))


def test_what_is_asked_for_is_saved(references: References, tmp_path: Path) -> None:
    ramp = observed(2, stripes=flicker((2, NGROUPS, NY)))
    before = ramp.sci.copy()
    clean_flicker_noise(ramp, references, save_mask=True, save_background=True, save_noise=True)
    mask, background, noise = (ramp.byproducts[k].sci for k in ("mask", "flicker_bkg", "flicker_noise"))
    assert (mask.shape, background.shape, noise.shape) == ((NY, NX), before.shape, before.shape)
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_allclose(background[:, 1:].mean(axis=(-1, -2)), BACKGROUND, atol=8)
    np.testing.assert_allclose(before + noise, ramp.sci, atol=1e-3)
    assert (noise[:, 0] == 0).all()


def test_a_mask_may_be_given(references: References, tmp_path: Path) -> None:
    mask, path = np.zeros((NY, NX)), tmp_path / "mine.fits"
    mask[10:20] = 1
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(mask.astype(np.float32), name="SCI")]).writeto(path)
    ramp = observed(stripes=flicker((1, NGROUPS, NY)))
    before = ramp.sci.copy()
    clean_flicker_noise(ramp, references, user_mask=str(path))
    changed = (ramp.sci != before).any(axis=(0, 1, 3))
    assert changed[10:20].all()
    assert not changed[:10].any()
    with pytest.raises(ReferenceMissing, match="does not exist"):
        clean_flicker_noise(ramp, references, user_mask="nowhere.fits")
    with pytest.raises(Failed, match=r"\(40, 240\)"):
        clean_flicker_noise(observed_small(), references, user_mask=str(path))


def observed_small() -> Ramp:
    return make_ramp(np.zeros((1, 2, 8, 8)), EXP_TYPE="NRC_IMAGE", DETECTOR="NRCA1", **CLOCK)


@pytest.mark.parametrize(
    ("keywords", "parameters"),
    [
        ({"INSTRUME": "MIRI", "EXP_TYPE": "MIR_MRS"}, {}),
        ({"EXP_TYPE": "NRC_IMAGE"}, {"fit_method": "fft"}),
    ],
)
def test_modes_without_this_correction_fail(
    references: References, keywords: dict[str, str], parameters: dict[str, Any]
) -> None:
    ramp = observed()
    ramp.header.update(keywords)
    with pytest.raises(Failed, match=keywords["EXP_TYPE"]):
        clean_flicker_noise(ramp, references, **parameters)


def test_boxes_have_two_sides(references: References) -> None:
    with pytest.raises(ParameterError, match="two numbers"):
        clean_flicker_noise(observed(), references, background_box_size=(8,))


# differences


def clean(sci: Any, groupdq: Any = None, recipe: Recipe | None = None) -> tuple[Float, list[Any]]:
    """One integration, cleaned by the medians of rows, with all pixels background."""
    sci = np.array(sci, np.float32)
    groupdq = np.zeros(sci.shape, np.uint8) if groupdq is None else groupdq
    recipe = recipe or Recipe(median_fit(1, False), level=None)
    noises = find_all(sci, groupdq, np.ones(sci.shape[1:], bool), recipe)
    subtract_all(sci, noises)
    return sci, noises


def test_differences_are_cleaned_and_summed() -> None:
    cleaned, _ = clean([[[1, 1, 1]], [[3, 4, 3]], [[9, 11, 9]]])
    assert cleaned[:, 0].tolist() == [[1, 1, 1], [1, 2, 1], [1, 3, 1]]


def test_flagged_samples_do_not_count_in_the_difference_that_ends_with_them() -> None:
    groupdq = np.zeros((2, 1, 3), np.uint8)
    groupdq[1, 0] = [0, flags.JUMP_DET, flags.DO_NOT_USE]
    assert clean([[[0, 0, 0]], [[1, 5, 9]]], groupdq)[0][1, 0].tolist() == [0, 4, 8]
    groupdq[1, 0, 0] = flags.SATURATED
    assert clean([[[0, 0, 0]], [[1, 5, 9]]], groupdq)[0][1, 0].tolist() == [0, 4, 8]


def test_a_group_without_usable_pixels_stays_and_counting_begins_anew() -> None:
    groupdq = np.zeros((4, 1, 2), np.uint8)
    groupdq[2] = flags.DO_NOT_USE
    cleaned, noises = clean([[[0, 0]], [[1, 1]], [[5, 5]], [[7, 8]]], groupdq)
    assert noises[1] is None
    assert cleaned[:, 0].tolist() == [[0, 0], [0, 0], [5, 5], [4.5, 5.5]]


def test_a_missing_sample_makes_those_after_it_missing() -> None:
    cleaned, _ = clean([[[0, 0]], [[1, np.nan]], [[2, 2]]])
    assert np.isnan(cleaned[:, 0, 1]).tolist() == [False, True, True]
    assert cleaned[:, 0, 0].tolist() == [0, 0, 0]


def test_a_fit_that_fails_leaves_the_ramp_as_it_was(references: References) -> None:
    ramp = observed(2)
    ramp.header.update({"EXP_TYPE": "NRS_FIXEDSLIT", "DETECTOR": "NRS1", "SUBARRAY": "SUBS200A1"})
    ramp.groupdq[1, 2] = flags.DO_NOT_USE
    ramp.groupdq[1, 2, 5, 5:8] = 0
    ramp.sci[1, 2, 5, 5:8] += [0, 30, 0]
    before = ramp.sci.copy()
    with pytest.raises(Failed, match="no pixel"):
        clean_flicker_noise(ramp, references, fit_method="fft", background_method=None, n_sigma=0.0)
    np.testing.assert_array_equal(ramp.sci, before)


@pytest.mark.parametrize("detector", ["NRS1", "NRS2"])
def test_drifts_of_nirspec_vanish(references: References, detector: str) -> None:
    ramp = observed()
    ramp.header.update({"EXP_TYPE": "NRS_FIXEDSLIT", "DETECTOR": detector, "SUBARRAY": "SUBS200A1"})
    clean = ramp.sci.copy()
    ticks = np.arange(NX * (NY + 12)).reshape(NX, NY + 12)[:, :NY].T * 1e-5
    drift = np.cos(2 * np.pi * 200 * ticks)  # Hz
    ramp.sci += 4 * np.arange(NGROUPS)[:, None, None] * (drift if detector == "NRS1" else drift[:, ::-1])
    before = np.std(ramp.sci[0, -1] - clean[0, -1])
    clean_flicker_noise(ramp, references, fit_method="fft")
    assert np.std(ramp.sci[0, -1] - clean[0, -1]) < 0.3 * before


@pytest.mark.parametrize(("subarray", "shape"), [("FULL", (2048, 2048)), ("SUBS200A1", (64, 512))])
def test_noise_that_waits_for_its_turn_does_not_keep_the_image(subarray: str, shape: tuple[int, int]) -> None:
    image = np.ones(shape, np.float32)
    held = weakref.ref(image)
    noise = fourier_fit("NRS1", subarray)(image, np.ones(shape, bool))
    del image
    assert held() is None
    assert noise().shape == shape


def test_full_frames_of_nirspec_are_fitted_line_by_line() -> None:
    image, mask = np.zeros((2048, 2048), np.float32), np.ones((2048, 2048), bool)
    image += flicker((2048,), sigma=1)[None, :]  # one value for each line
    noise = fourier_fit("NRS1", "FULL")(image.copy(), mask)()
    smooth = np.convolve(
        image[0], np.exp(-0.5 * (np.arange(-8, 9) / 1.5) ** 2) / (1.5 * np.sqrt(2 * np.pi)), "same"
    )
    np.testing.assert_allclose(noise[9, 40:2000], smooth[39:1999], atol=1e-3)


# the scene


def test_missing_and_zero_rates_are_no_background() -> None:
    rate = np.array([[1, np.nan, 0, 1]], np.float32)
    science = np.array([[True, False, False, False]])
    assert scene.background_mask(rate, science).tolist() == [[False, False, False, True]]


def test_sources_are_no_background() -> None:
    rate = BACKGROUND + stars() + np.random.default_rng(1).normal(0, 1, (NY, NX)).astype(np.float32)
    mask = scene.background_mask(rate)
    assert not mask[stars() > 10].any()
    assert mask[stars() < 0.1].mean() > 0.9
    assert scene.background_mask(rate, n_sigma=0).all()
    assert scene.background_mask(np.stack([rate, rate])).shape == (2, NY, NX)


def test_slits_of_nirspec_need_its_wcs(references: References) -> None:
    ramp = observed()
    ramp.header["EXP_TYPE"] = "NRS_MSASPEC"
    before = ramp.sci.copy()
    with pytest.raises(Failed, match="needs the NIRSpec WCS"):
        clean_flicker_noise(ramp, references, mask_science_regions=True)
    assert np.array_equal(ramp.sci, before)


@pytest.mark.parametrize(
    ("kind", "fixed_slits_open", "masked"),
    [("NRS_IFU", False, True), ("NRS_MSASPEC", False, True), ("NRS_MSASPEC", True, False),
     ("NRS_FIXEDSLIT", True, False)],
)  # fmt: skip
def test_rows_of_fixed_slits_are_masked_unless_they_are_in_use(
    references: References, monkeypatch: Any, kind: str, fixed_slits_open: bool, masked: bool
) -> None:
    ramp = make_ramp(np.zeros((1, 1, 2048, 4)), EXP_TYPE=kind)
    lit = np.zeros((2048, 4), bool)
    lit[5] = True
    monkeypatch.setattr(scene, "slit_regions", lambda *args, failed_open: (lit, fixed_slits_open))
    science = scene.science_regions(ramp, references, np.zeros((2048, 4), np.uint32))
    rows = [5, *(range(922, 1116) if masked else [])]
    assert np.flatnonzero(science.all(axis=1)).tolist() == rows
    assert science.sum() == 4 * len(rows)


@pytest.mark.parametrize("kind", ["NRS_LAMP", "NRS_AUTOWAVE", "NRS_AUTOFLAT"])
def test_of_lamps_only_pixels_of_failed_open_shutters_are_masked(references: References, kind: str) -> None:
    ramp = make_ramp(np.zeros((1, 1, 2048, 4)), EXP_TYPE=kind, LAMPMODE="IFU", GRATING="G140M")
    dq = np.zeros((2048, 4), np.uint32)
    dq[1000, 2] = flags.MSA_FAILED_OPEN
    assert np.argwhere(scene.science_regions(ramp, references, dq)).tolist() == [[1000, 2]]


def test_miri_is_masked_where_it_sees_no_sky(tmp_path: Path) -> None:
    flat = np.ones((NY, NX))
    flat[3, 4] = np.nan
    ramp = make_ramp(np.zeros((1, 1, NY, NX)), EXP_TYPE="MIR_IMAGE")
    dq = np.zeros((2, NY, NX), np.uint32)
    dq[0, 1, 1], dq[1, 2, 2], dq[0, 5, 5] = flags.NON_SCIENCE, flags.DO_NOT_USE, flags.HOT
    for references, number in (
        (make_references(tmp_path, {"flat": flat}), 4),
        (make_references(tmp_path, {}), 2),
    ):
        science = scene.science_regions(ramp, references, dq)
        assert science.sum() == number
        assert science[0, 1, 1]
        assert science[1, 2, 2]


def test_traces_are_masked_16_pixels_up_and_down() -> None:
    mask = scene.along_trace(np.array([3.0, 0.0]), np.array([53.5, 50.0]), (100, 5))
    assert np.flatnonzero(mask[:, 0]).tolist() == list(range(34, 67))
    assert np.flatnonzero(mask[:, 4]).tolist() == list(range(37, 71))


SOSS = {
    "meta": {
        "pwcpos_bounds": [245.5, 246.0], "pwcpos_cmd": 245.75, "wavemap_wlmin": 0.0, "wavemap_wlmax": 4.0,
        "wavemap_nwl": 5,
    },
    "traces": [
        {"trace": np.array([[0, 60], [1, 60], [2, 60], [3, 60.0]]), "pivot_x": 0.0, "pivot_y": 60.0}
    ],
    "wavecal_models": [{"coefficients": np.array([3.0, -3.0, 0.0]), "scale_extents": [[0, -1], [3, 1]]}],
}  # fmt: skip


def test_soss_traces_follow_the_wheel() -> None:
    header = Header(PWCPOS=245.75, SUBARRAY="SUBSTRIP256")
    ((x, y),) = soss_traces(SOSS, header)
    np.testing.assert_allclose(x, [3, 2, 1, 0, -1], atol=1e-12)
    np.testing.assert_allclose(y, 60)
    ((_, y),) = soss_traces(SOSS, Header(PWCPOS=245.75, SUBARRAY="SUBSTRIP96"))
    np.testing.assert_allclose(y, 50)
    with pytest.raises(InputError, match="PWCPOS is 250"):
        list(soss_traces(SOSS, Header(PWCPOS=250.0)))


def test_turned_traces_keep_their_columns() -> None:
    x, y = rotated(np.arange(5.0), np.arange(5.0) + 252, 0.0, (0, 0))
    assert (x.tolist(), y.tolist()) == ([0, 1, 2, 3], [252, 253, 254, 255])
    x, y = rotated(np.arange(5.0), np.zeros(5), 45.0, (0, 0))
    np.testing.assert_allclose(y, x, atol=1e-12)
    assert extrapolated(np.array([-1.0, 0.5, 3]), np.array([1.0, 0]), np.array([2.0, 0])).tolist() == [
        -2,
        1,
        6,
    ]
