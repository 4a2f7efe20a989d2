from pathlib import Path

import asdf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import interpreted, make_ramp, same_for_any_threads

from calwebbd.stages import readout
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.flags import DO_NOT_USE, REFERENCE_PIXEL
from calwebbd.stages.kernels.crossed import subtract_crossed
from calwebbd.stages.kernels.running import median_along
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.refpix import refpix
from calwebbd.stages.steps.refpix.amplifiers import (
    RefPixParams,
    clipped_mean,
    correct_four_amplifiers,
    correct_one_amplifier,
    edges_of,
)
from calwebbd.stages.steps.refpix.sirs import SideKernels, side_kernels, side_templates

SIZE = 16  # of a tiny detector: four amplifiers of four columns
TOP_ONLY = RefPixParams(use_side_ref_pixels=False)


def drifting(*, seed: int | None = None) -> np.ndarray:
    """A dark plane whose amplifiers and columns have offsets: column x reads 10 x // 4 + x % 2."""
    x = np.arange(SIZE)
    plane = np.tile(10.0 * (x // 4) + x % 2, (SIZE, 1))
    if seed is not None:
        plane += np.random.default_rng(seed).normal(size=plane.shape)
    return plane.astype(np.float32)


def correct(plane: np.ndarray, params: RefPixParams = TOP_ONLY, bad: np.ndarray | None = None) -> np.ndarray:
    planes = plane[None].copy()
    correct_four_amplifiers(
        planes, np.zeros(plane.shape, bool) if bad is None else bad, (0, 0), params, size=SIZE
    )
    return np.asarray(planes[0])


def test_means_leave_out_what_is_far_from_them() -> None:
    assert clipped_mean(np.array([1, 2, 3] * 10 + [1000], np.float32), 3) == 2
    assert clipped_mean(np.array([], np.float32), 3) is None
    assert np.isnan(clipped_mean(np.array([1, np.nan], np.float32), 3))  # type: ignore[arg-type]


def test_means_are_in_the_precision_of_their_values_unless_all_are_equal() -> None:
    assert clipped_mean(np.array([1, 2], np.float32), 3).dtype == np.float32  # type: ignore[union-attr]
    assert clipped_mean(np.array([2, 2], np.float32), 3).dtype == np.float64  # type: ignore[union-attr]


def test_offsets_of_amplifiers_and_of_odd_and_even_columns_vanish() -> None:
    assert (correct(drifting()) == 0).all()


def test_without_odd_and_even_each_amplifier_loses_its_mean() -> None:
    plane = correct(drifting(), RefPixParams(use_side_ref_pixels=False, odd_even_columns=False))
    assert plane[5].tolist() == [-0.5, 0.5] * 8


def test_one_edge_serves_where_the_other_is_bad() -> None:
    plane, bad = drifting(), np.zeros((SIZE, SIZE), bool)
    plane[:4, :4], bad[:4, :4] = 99, True
    corrected = correct(plane, bad=bad)
    assert (corrected[4:] == 0).all()


def test_an_amplifier_without_a_value_for_each_parity_is_left_alone() -> None:
    plane, bad = drifting(), np.zeros((SIZE, SIZE), bool)
    bad[:, 5:8:2] = True
    corrected = correct(plane, bad=bad)
    np.testing.assert_array_equal(corrected[:, 4:8], plane[:, 4:8])
    assert (corrected[:, :4] == 0).all()


def test_a_nan_among_reference_pixels_spoils_their_columns() -> None:
    plane = drifting()
    plane[0, 0] = np.nan
    corrected = correct(plane)
    assert np.isnan(corrected[:, 0:4:2]).all()
    assert (corrected[:, 1:4:2] == 0).all()


def test_sides_take_out_what_rows_have_in_common() -> None:
    rows = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None]
    corrected = correct(drifting() + rows, RefPixParams(side_smoothing_length=1))
    np.testing.assert_allclose(corrected, 0, atol=1e-5)
    half = correct(drifting() + rows, RefPixParams(side_smoothing_length=1, side_gain=0.5))
    np.testing.assert_allclose(np.diff(half[:, 7]), np.diff(rows[:, 0]) / 2, atol=1e-5)


def test_one_side_serves_where_the_other_is_bad_and_none_is_no_correction() -> None:
    plane, bad = np.zeros((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), bool)
    plane[8] = 6
    params = RefPixParams(side_smoothing_length=1)
    bad[8, :4], plane[8, -4:] = True, 2
    assert (correct(plane, params, bad)[8, 4:12] == 4).all()
    bad[8, -4:] = True
    assert (correct(plane, params, bad)[8, 4:12] == 6).all()


def test_the_part_of_an_edge_that_a_subarray_lacks_is_absent() -> None:
    plane = np.arange(12.0).reshape(3, 4)
    edges = edges_of(plane, (13, 0), np.nan, SIZE)
    np.testing.assert_array_equal(edges.top[1:, :4], plane)
    assert np.isnan(edges.top[0]).all()
    assert np.isnan(edges.top[:, 4:]).all()
    assert np.isnan(edges.bottom).all()
    np.testing.assert_array_equal(edges.left[13:], plane)
    assert np.isnan(edges.left[:13]).all()
    assert np.isnan(edges.right).all()


def test_a_stripe_uses_the_edges_it_has() -> None:
    stripe = drifting()[10:][None].copy()
    correct_four_amplifiers(stripe, np.zeros((6, SIZE), bool), (10, 0), TOP_ONLY, size=SIZE)
    assert (stripe == 0).all()


@pytest.mark.parametrize("length", [1, 2, 3, 5, 6])
@given(data=st.data())
def test_the_running_median_is_that_of_its_window(length: int, data: st.DataObject) -> None:
    elements = st.sampled_from([0.0, 1.0, 2.5, -7.0, np.nan])
    values = data.draw(arrays.arrays(np.float64, (9, 2), elements=elements))
    bad = data.draw(arrays.arrays(np.bool_, (9, 2)))
    out = np.empty(9)
    median_along(values, bad, length, False, out)
    again = np.empty(9)
    with interpreted(median_along) as loop:
        loop(values, bad, length, False, again)
    np.testing.assert_array_equal(out, again)
    half = length // 2
    for y in range(9):
        rows = [abs(k) if k < 9 else 16 - k for k in range(y - half, y - half + length)]
        good = values[rows][~bad[rows]]
        expected = np.nan if not good.size or np.isnan(good).any() else np.median(good)
        np.testing.assert_array_equal(out[y], expected)


def test_offsets_of_columns_and_rows_are_subtracted_from_any_view() -> None:
    image = np.full((2, 3), 1, np.float32)[:, ::-1]
    columns, rows = np.array([0, 1e-9, 1]), np.array([0, 2.0])
    other = image.copy()
    subtract_crossed(0, 2, image, columns, rows)
    with interpreted(subtract_crossed) as loop:
        loop(0, 2, other, columns, rows)
    assert image.tolist() == other.tolist() == [[1, 1, 0], [-1, -1, -2]]


def test_one_amplifier_loses_the_means_of_its_odd_and_even_reference_pixels() -> None:
    planes = np.tile(np.array([3, 5, 3, 5], np.float32), (2, 3, 1))
    planes[:, 1:] += 1
    usable = np.zeros((3, 4), bool)
    usable[0] = True
    correct_one_amplifier(planes, usable, 1, RefPixParams())
    assert (planes[:, 0] == 0).all()
    assert (planes[:, 1:] == 1).all()


def test_one_amplifier_without_reference_pixels_stays_as_it_is() -> None:
    planes = np.ones((1, 2, 2), np.float32)
    correct_one_amplifier(planes, np.zeros((2, 2), bool), 0, RefPixParams())
    assert (planes == 1).all()


def test_reference_pixels_of_one_parity_only_are_an_error() -> None:
    usable = np.array([[True, False]])
    with pytest.raises(InputError, match="odd or even"):
        correct_one_amplifier(np.ones((1, 1, 2), np.float32), usable, 0, RefPixParams())


def test_the_step_works_in_the_direction_of_the_read_out() -> None:
    """Three columns at the right edge, read from there: the first column read is x = 2047."""
    ramp = make_ramp([[[[4.0, 3, 4]], [[9, 7, 9]]]], [[[0.0, 3, 4]]], FASTAXIS=-1, SUBSTRT1=2046)
    ramp.pixeldq[0, 1:] = REFERENCE_PIXEL
    ramp.pixeldq[0, 0] = DO_NOT_USE | REFERENCE_PIXEL
    result = refpix.function(ramp, {}, RefPixParams())
    assert result.sci.tolist() == [[[[0, 0, 0]], [[0, 0, 0]]]]
    assert result.zeroframe.tolist() == [[[0, 0, 0]]]


def test_a_subarray_that_is_not_within_the_detector_is_skipped() -> None:
    with pytest.raises(Skip, match="not within"):
        refpix.function(make_ramp(np.ones((1, 1, 1, 4)), SUBSTRT1=2046), {}, RefPixParams())


@pytest.mark.parametrize("fast", [1, -1, 2, -2])
@pytest.mark.parametrize("slow", [1, -1])
def test_detector_orientation_follows_the_axes(fast: int, slow: int) -> None:
    slow *= 3 - abs(fast)
    ramp = make_ramp(np.arange(6).reshape(1, 1, 2, 3), FASTAXIS=fast, SLOWAXIS=slow, SUBSTRT1=11, SUBSTRT2=21)
    detector = np.zeros((readout.SIZE, readout.SIZE), np.float32)
    detector[20:22, 10:13] = ramp.sci[0, 0]
    s, f = readout.corner(ramp)
    view = readout.to_detector(ramp.sci[0, 0], ramp.header)
    whole = readout.to_detector(detector, ramp.header)
    np.testing.assert_array_equal(whole[s : s + view.shape[0], f : f + view.shape[1]], view)


def coefficients(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(4, 33)) + 1j * rng.normal(size=(4, 33))


def test_kernels_are_centred_inverse_transforms() -> None:
    flat = np.ones((4, 33), complex)  # the transform of a point
    kernels = side_kernels({"nrca1": {"gamma": flat, "zeta": 2 * flat}}, "NRCA1", 1e-3, 3)
    assert kernels is not None
    np.testing.assert_allclose(kernels.left[0], [0, 0, 0, 1, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(kernels.right, 2 * kernels.left, atol=1e-12)
    assert side_kernels({"nrca1": {}}, "NRCA2", 1, 3) is None


def test_templates_ignore_outliers_and_make_up_for_them() -> None:
    point = SideKernels(np.array([[0.0, 1, 0]]), np.array([[0.0, 1, 0]]))
    left = np.random.default_rng(6).normal(size=(50, 4))
    left[7] = [1, 1, 1, 1e6]
    templates = side_templates(left, np.zeros((50, 4)), point, 4.0)
    np.testing.assert_allclose(templates[0, 7], 1)
    np.testing.assert_allclose(templates[0, 8], left[8].mean())


def test_sirs_corrects_each_amplifier_by_its_own_kernel() -> None:
    kernels = SideKernels(np.array([[0.0, k, 0] for k in (0, 1, 2, 3)]) + 1e-300, np.full((4, 3), 1e-300))
    rng = np.random.default_rng(7)
    plane = np.zeros((SIZE, SIZE), np.float32)
    plane[:, :4] = rng.integers(1, 5, (SIZE, 1))
    plane[:4] = plane[-4:] = 0
    planes = plane[None].copy()
    correct_four_amplifiers(
        planes,
        np.zeros((SIZE, SIZE), bool),
        (0, 0),
        RefPixParams(sigreject=99),
        kernels,
        size=SIZE,
        first=False,
    )
    np.testing.assert_allclose(planes[0, 5, 4:], -np.repeat([1, 2, 3], 4) * plane[5, 0], rtol=1e-6)


def test_the_step_finds_its_kernels_in_the_reference(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    path = tmp_path / "sirs.asdf"
    asdf.AsdfFile({"nrca1": {"gamma": coefficients(rng), "zeta": coefficients(rng)}}).write_to(path)
    references = References({"sirskernel": path}, Subarray(0, 0, 2048, 2048))
    sci = rng.normal(size=(1, 1, 2048, 2048)).astype(np.float32)
    keywords = {"SUBARRAY": "FULL", "DETECTOR": "NRCA1", "SUBSTRT1": 1, "SUBSTRT2": 1, "NOUTPUTS": 4}
    params = RefPixParams(refpix_algorithm="sirs", halfwidth=5)
    sirs = refpix.function(make_ramp(sci, **keywords), references, params).sci
    median = refpix.function(make_ramp(sci, **keywords), references, RefPixParams()).sci
    other = refpix.function(make_ramp(sci, **{**keywords, "DETECTOR": "NRCA2"}), references, params).sci
    np.testing.assert_array_equal(other, median)
    assert (sirs != median).any()


def test_nirspec_subarrays_without_reference_pixels_use_their_first_and_last_columns() -> None:
    sci = np.zeros((1, 1, 6, 12), np.float32)
    sci[0, 0, :, 4:8] = 3
    sci += np.array([1, 2] * 3, np.float32)[:, None]
    keywords = {"SUBSTRT1": 869, "SUBSTRT2": 957, "FASTAXIS": 2, "SLOWAXIS": 1}
    ramp = refpix.function(
        make_ramp(sci, SUBARRAY="SUB512", **keywords),
        References({}, Subarray(868, 956, 12, 6)),
        RefPixParams(),
    )
    assert (ramp.sci[..., 4:8] == 3).all()
    assert not ramp.sci[..., [0, 1, 2, 3, 8, 9, 10, 11]].any()
    assert not ramp.pixeldq.any()
    other = refpix.function(
        make_ramp(sci, SUBARRAY="SUB2048", **keywords),
        References({}, Subarray(868, 956, 12, 6)),
        RefPixParams(),
    )
    np.testing.assert_array_equal(other.sci, sci)


def test_planes_are_independent_and_stay_float32() -> None:
    both = np.stack([drifting(seed=1), drifting(seed=2)])
    alone = both[1:].copy()
    bad = np.zeros((SIZE, SIZE), bool)
    for planes in (both, alone):
        correct_four_amplifiers(planes, bad, (0, 0), RefPixParams(), size=SIZE, first=False)
    assert both.dtype == np.float32
    np.testing.assert_array_equal(both[1:], alone)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = np.stack([drifting(seed=n) for n in range(6)])

    def work() -> tuple[np.ndarray]:
        copy = planes.copy()
        correct_four_amplifiers(copy, np.zeros((SIZE, SIZE), bool), (0, 0), RefPixParams(), size=SIZE)
        return (copy,)

    same_for_any_threads(monkeypatch, work)
