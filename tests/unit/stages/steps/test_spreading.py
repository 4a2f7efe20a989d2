"""The square kernel: by hand, as the drizzle library, and the same however it is done."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from drizzle.resample import Drizzle
from images import make_image

from calwebbd.stages.exposure import Image
from calwebbd.stages.steps.resample.canvas import Canvas
from calwebbd.stages.steps.resample.pixmap import PixelMap
from calwebbd.stages.steps.resample.spreading import Drops, spread

SHAPE = (70, 60)
ASKED = {"images": 2, "ratio": 1.0, "variances": True, "context": True, "dq": True}


def drops(image: Image, pixmap: np.ndarray, weights: np.ndarray | None = None, **changes: Any) -> Drops:
    ny, nx = image.sci.shape
    limits = {"xmin": 0, "xmax": nx - 1, "ymin": 0, "ymax": ny - 1}
    weights = np.ones((ny, nx), np.float32) if weights is None else weights
    values: dict[str, Any] = {"limits": limits, "sky": 0.0, "kernel": "square", "pixfrac": 1.0, "ratio": 1.0}
    return Drops(image, weights.__getitem__, PixelMap(pixmap), time=0.0, **{**values, **changes})


def shifted(ny: int, nx: int, dx: float, dy: float) -> np.ndarray:
    y, x = np.mgrid[:ny, :nx].astype(np.float64)
    return np.stack([x + dx, y + dy], axis=-1)


def random_drops(seed: int) -> Iterator[Drops]:
    """Two images, turned, stretched and bent at random, some with an edge that has no place."""
    rng = np.random.default_rng(seed)
    for _ in range(2):
        ny, nx = (int(n) for n in rng.integers(8, 60, 2))
        y, x = np.mgrid[:ny, :nx].astype(np.float64)
        angle = rng.choice([0.0, rng.normal(0, 0.03), rng.uniform(0, 6)])
        scale, parity = rng.uniform(0.7, 1.5), rng.choice([-1, 1])
        x, y = x - nx / 2, y - ny / 2
        u = scale * parity * (np.cos(angle) * x - np.sin(angle) * y) + SHAPE[1] / 2 + rng.normal(0, 8)
        v = scale * (np.sin(angle) * x + np.cos(angle) * y) + SHAPE[0] / 2 + rng.normal(0, 8)
        pixmap = np.stack([u + 1e-4 * x * x, v + 1e-4 * x * y], axis=-1)
        pixmap[:, : rng.integers(0, 3)] = np.nan
        image = make_image(rng.normal(1, 1, (ny, nx)))
        image.dq[:] = 1 << rng.integers(0, 20, (ny, nx)).astype(np.uint32)
        image.var_flat = image.var_poisson.copy()
        for name in ("var_rnoise", "var_poisson", "var_flat"):
            getattr(image, name)[:] = rng.uniform(0.1, 2, (ny, nx))
        weights = rng.uniform(0.5, 2, (ny, nx)).astype(np.float32)
        weights[rng.random((ny, nx)) < 0.1] = 0
        image.sci[weights == 0] = np.nan
        yield drops(image, pixmap, weights, pixfrac=rng.choice([1.0, 0.6]))


def spread_all(seed: int, region: Any = None) -> dict[str, np.ndarray]:
    canvas = Canvas.empty(SHAPE, region, **ASKED)  # type: ignore[arg-type]
    for index, each in enumerate(random_drops(seed)):
        spread(each, canvas, index)
    return {name: np.asarray(array) for name, array in canvas.finish(np.nan).items()}


@pytest.mark.parametrize("seed", range(20))
def test_the_only_image_needs_no_sums_to_have_the_same_variances(seed: int) -> None:
    found = []
    for images in (1, 2):
        canvas = Canvas.empty(SHAPE, **(ASKED | {"images": images}))  # type: ignore[arg-type]
        spread(next(random_drops(seed)), canvas, 0)
        found.append({name: np.asarray(array) for name, array in canvas.finish(np.nan).items()})
    assert not any("weight" in name for name in found[0])
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name])


def test_a_pixel_half_way_between_four_is_shared_by_them() -> None:
    image = make_image(np.array([[0, 0, 0], [0, 8, 0], [0, 0, 0]]))
    weights = np.zeros((3, 3), np.float32)
    weights[1, 1] = 4
    canvas = Canvas.empty((4, 4), **ASKED)  # type: ignore[arg-type]
    spread(drops(image, shifted(3, 3, 0.5, 0.5), weights), canvas, 1)
    out = canvas.finish(np.nan)
    shared = np.zeros((4, 4), bool)
    shared[1:3, 1:3] = True
    np.testing.assert_array_equal(out["wht"], np.where(shared, 1, 0))
    np.testing.assert_array_equal(out["sci"], np.where(shared, np.float32(8), np.float32(np.nan)))
    np.testing.assert_array_equal(out["con"], [np.where(shared, 2, 0)])
    np.testing.assert_array_equal(np.isfinite(out["err"]), shared)


@pytest.mark.parametrize("seed", range(12))
def test_every_bit_is_that_of_the_library(seed: int) -> None:
    context, dq = np.zeros((1, *SHAPE), np.int32), np.zeros(SHAPE, np.uint32)
    sci, wht = np.full(SHAPE, np.nan, np.float32), np.zeros(SHAPE, np.float32)
    for index, each in enumerate(random_drops(seed)):
        target = Drizzle(out_img=sci, out_wht=wht, out_ctx=context, out_dq=dq, begin_ctx_id=index, exptime=1)
        target.add_image(
            *(each.image.sci, 1.0, np.asarray(each.pixmap)),
            dq=each.image.dq,
            weight_map=each.weigh(slice(None)),
            pixfrac=each.pixfrac,
            **each.limits,
        )
    ours = spread_all(seed)
    for name, theirs in (("sci", sci), ("wht", wht), ("con", context), ("dq", dq)):
        np.testing.assert_array_equal(ours[name], theirs)


def test_around_a_hole_all_pixels_are_taken() -> None:
    pixmap = shifted(20, 20, 0.5, 0.5)
    pixmap[10, 10] = np.nan
    canvas = Canvas.empty((15, 15), **ASKED)  # type: ignore[arg-type]
    spread(drops(make_image(np.ones((20, 20))), pixmap), canvas, 0)
    reached = canvas.arrays["wht"] > 0
    assert reached.sum() == 15 * 15 - 4


@pytest.mark.parametrize("seed", range(3))
def test_variances_are_those_that_the_library_gives_one_by_one(seed: int) -> None:
    total, weight = np.zeros(SHAPE), np.zeros(SHAPE)
    for each in random_drops(seed):
        single = {}
        for name, variance in each.variances.items():
            target = Drizzle(out_shape=SHAPE, fillval=np.nan, disable_ctx=True)
            target.add_image(
                *(np.sqrt(variance), 1.0, np.asarray(each.pixmap)),
                weight_map=each.weigh(slice(None)),
                pixfrac=each.pixfrac,
                **each.limits,
            )
            single[name] = target.out_img.astype(np.float64) ** 2
        u = np.nan_to_num(1 / single["var_rnoise"])
        total += np.nan_to_num(single["var_poisson"]) * u**2
        weight += u
    with np.errstate(invalid="ignore"):
        expected = total / weight**2
    np.testing.assert_allclose(spread_all(seed)["var_poisson"], expected, rtol=3e-6)


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for count in ("1", "3"):
        monkeypatch.setenv("CALWEBBD_THREADS", count)
        found.append(spread_all(5))
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name])


def test_on_disk_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = spread_all(6)
    monkeypatch.setenv("CALWEBBD_MOSAIC_MB", "0")
    for name, array in spread_all(6).items():
        np.testing.assert_array_equal(array, expected[name])


def test_a_region_has_what_the_whole_has_there() -> None:
    whole, part = spread_all(7), spread_all(7, (slice(9, 50), slice(20, 45)))
    for name in ("sci", "wht", "con", "dq", "err", "var_rnoise", "var_flat", "var_poisson"):
        np.testing.assert_array_equal(part[name], whole[name][..., 9:50, 20:45])


def test_other_kernels_use_a_window_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image(np.arange(20).reshape(4, 5))
    found = []
    for budget in ("1", "0"):
        monkeypatch.setenv("CALWEBBD_MOSAIC_MB", budget)
        canvas = Canvas.empty((30, 40), **ASKED)  # type: ignore[arg-type]
        spread(drops(image, shifted(4, 5, 20.3, 11.8), kernel="turbo"), canvas, 0)
        found.append({name: np.asarray(array) for name, array in canvas.finish(0.0).items()})
    for name, array in found[0].items():
        np.testing.assert_allclose(found[1][name], array, rtol=1e-5)


def test_an_image_beside_the_frame_adds_nothing() -> None:
    canvas = Canvas.empty((4, 4), **ASKED)  # type: ignore[arg-type]
    for place in (100.0, np.nan):
        spread(drops(make_image(np.ones((3, 3))), shifted(3, 3, place, 0)), canvas, 0)
    assert not canvas.arrays["wht"].any()
