from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ramps import apart, interpreted, make_ramp, make_stripes, same_for_any_threads, write_reference
from scipy.ndimage import convolve as scipy_convolve

from calwebbd.stages.exposure import Subarray
from calwebbd.stages.kernels.convolution import convolve
from calwebbd.stages.step import NoParams
from calwebbd.stages.steps.ipc import Window, deconvolve, ipc, without_reference_pixels
from calwebbd.stages.stripes import window

IDENTITY = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
KERNEL = np.array([[1, 2, 3], [4, 50, 6], [7, 8, 9]], np.float32)


def everything(sci: np.ndarray) -> Window:
    return Window(0, sci.shape[-2], 0, sci.shape[-1])


def test_a_point_becomes_the_kernel() -> None:
    sci = np.zeros((1, 1, 5, 5), np.float32)
    sci[0, 0, 2, 2] = 2
    deconvolve(sci, KERNEL, everything(sci))
    np.testing.assert_array_equal(sci[0, 0, 1:4, 1:4], 2 * KERNEL)
    assert sci.sum() == 2 * KERNEL.sum()


def test_beyond_the_edge_there_is_nothing() -> None:
    sci = np.ones((1, 1, 1, 1), np.float32)
    deconvolve(sci, KERNEL, everything(sci))
    assert sci[0, 0, 0, 0] == 50


def test_pixels_outside_the_window_neither_change_nor_take_part() -> None:
    sci = np.full((1, 1, 4, 4), 7, np.float32)
    sci[0, 0, 1:3, 1:3] = 1
    deconvolve(sci, KERNEL, Window(1, 3, 1, 3))
    # the pixel at (1, 1) sees its neighbours to the right, above, and across
    assert sci[0, 0, 1, 1] == 50 + 4 + 2 + 1
    assert (sci[0, 0, 0] == 7).all()
    assert (sci[0, 0, :, 3] == 7).all()


def test_nan_spreads_as_far_as_the_kernel_reaches() -> None:
    sci = np.zeros((1, 1, 5, 5), np.float32)
    sci[0, 0, 2, 2] = np.nan
    deconvolve(sci, KERNEL, everything(sci))
    assert np.isnan(sci).sum() == 9


def test_each_pixel_may_have_a_kernel_of_its_own() -> None:
    sci = np.ones((1, 1, 3, 4), np.float32)
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    kernel[1, 1] = np.arange(12).reshape(3, 4)
    kernel[0, 1, 2, 1] = 100  # from the row above, which does not exist
    kernel[2, 1, 2, 1] = 1000  # from the row below
    deconvolve(sci, kernel, everything(sci))
    expected = np.arange(12.0).reshape(3, 4)
    expected[2, 1] += 1000
    np.testing.assert_array_equal(sci[0, 0], expected)


def test_the_window_of_a_subarray_leaves_out_the_border_it_touches() -> None:
    assert without_reference_pixels(Subarray(0, 0, 2048, 2048)) == [Window(4, 2044, 4, 2044)]
    assert without_reference_pixels(Subarray(2, 1888, 160, 160)) == [Window(0, 156, 2, 160)]
    assert without_reference_pixels(Subarray(864, 864, 320, 320)) == [Window(0, 320, 0, 320)]


def test_lines_of_reference_pixels_and_gaps_part_the_stripes() -> None:
    """Reference row 0, rows 6 and 7, reference row 0 again, rows 11 and 12."""
    pattern = {"MSTR_RD1": 1, "MSTR_SK1": 5, "MSTR_RD2": 2, "MSTR_SK2": 3, "MSTR_RPT": 1, "MSTR_ILV": 1}
    ramp = make_stripes(np.ones((1, 1, 6, 3)), SUBSTRT2=1, **pattern)
    assert without_reference_pixels(window(ramp)) == [Window(1, 3, 0, 3), Window(4, 6, 0, 3)]


def test_the_lines_of_a_stripe_are_those_of_the_full_frame(tmp_path: Path) -> None:
    """But for the first and last, whose neighbours have not been read; reference pixels stay."""
    image = np.random.default_rng(5).normal(size=(40, 9)).astype(np.float32)
    full = make_ramp(image[None, None], SUBSTRT2=1)
    rows = [0, *range(10, 20), 0, *range(25, 35)]
    pattern = {"MSTR_RD1": 1, "MSTR_SK1": 9, "MSTR_RD2": 10, "MSTR_SK2": 5, "MSTR_RPT": 1, "MSTR_ILV": 1}
    stripes = make_stripes(image[rows][None, None], SUBSTRT2=1, **pattern)
    references = write_reference(tmp_path, "ipc", full, sci=KERNEL)
    whole, part = ipc(full, references).sci[0, 0], ipc(stripes, references).sci[0, 0]
    inner = [n for n, row in enumerate(rows) if row and row not in (10, 19, 25, 34)]
    np.testing.assert_array_equal(part[inner], whole[[rows[n] for n in inner]])
    np.testing.assert_array_equal(part[[0, 11]], image[[0, 0]])


@pytest.mark.parametrize("superstripe", [0, 1])
def test_superstripes_are_corrected_each_for_itself(tmp_path: Path, superstripe: int) -> None:
    """Those of NIRISS begin at the right edge of the detector, with four columns of reference pixels."""
    pattern = {"MSTR_RD1": 4, "MSTR_RD2": 3, "MSTR_RPT": 1, "MSTR_ILV": 1, "SSTR_STP": 3, "SSTR_NST": 2}
    ramp = make_stripes(np.ones((2, 1, 1, 7)), SUBSTRT1=2048, FASTAXIS=-2, SLOWAXIS=-1, **pattern)
    kernel = np.array([[1, 10, 1]], np.float32)
    result = ipc(ramp, write_reference(tmp_path, "ipc", ramp, sci=kernel)).sci[superstripe, 0, 0]
    np.testing.assert_array_equal(result, [11, 12, 11, 1, 1, 1, 1])


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 3, 4)])
def test_the_step_takes_either_form_of_kernel(tmp_path: Path, shape: tuple[int, ...]) -> None:
    ramp = make_ramp(np.ones((2, 2, 3, 4)))
    kernel = np.zeros(shape)
    kernel[1, 1] = 2
    result = ipc.function(ramp, write_reference(tmp_path, "ipc", ramp, sci=kernel), NoParams())
    assert (result.sci == 2).all()


images = arrays.arrays(np.float32, (2, 1, 6, 5), elements=st.floats(-1e4, 1e4, width=32))
kernels = arrays.arrays(
    np.float32, st.sampled_from([(3, 3), (1, 3), (5, 1), (5, 3)]), elements=st.floats(-1, 1, width=32)
)


@given(images)
def test_the_identity_changes_nothing(sci: np.ndarray) -> None:
    before = sci.copy()
    deconvolve(sci, IDENTITY, everything(sci))
    np.testing.assert_array_equal(sci, before)


@given(images, kernels)
def test_it_is_the_convolution_of_each_integration_alone(sci: np.ndarray, kernel: np.ndarray) -> None:
    expected = [
        scipy_convolve(image[0].astype(float), kernel.astype(float), mode="constant") for image in sci
    ]
    deconvolve(sci, kernel, everything(sci))
    assert sci.dtype == np.float32
    np.testing.assert_allclose(sci[:, 0], expected, rtol=1e-5, atol=0.05)


@given(images, kernels)
def test_compiled_and_interpreted_loops_agree(sci: np.ndarray, kernel: np.ndarray) -> None:
    planes, weights = sci[:, 0].copy(), kernel[:, :, None, None]
    convolve(0, 2, planes, weights, 1, 6, 0, 4)
    other = sci[:, 0].copy()
    with interpreted(convolve) as loop:
        loop(0, 2, other, weights, 1, 6, 0, 4)
    np.testing.assert_array_equal(planes, other)


def test_the_step_takes_an_interleaved_image_for_the_whole_detector(tmp_path: Path) -> None:
    sci = np.ones((1, 1, 3200, 9), np.float32)
    ramp = apart(make_ramp(sci, SUBSTRT1=501, SUBSTRT2=1, FASTAXIS=2, SLOWAXIS=1))
    references = write_reference(tmp_path, "ipc", ramp, sci=np.full((3, 3), 1 / 4))
    image = ipc.function(ramp, references.within(window(ramp)), NoParams()).sci[0, 0]
    assert image[27, 4] == image[28, 4] == 9 / 4
    assert image[3, 4] == image[2047, 4] == 1  # at the edge of the detector
    assert image[4, 4] == 6 / 4
    assert ramp.between is not None
    assert (ramp.between.sci(0) == 1).all()


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    sci = np.random.default_rng(2).normal(size=(3, 4, 20, 30)).astype(np.float32)

    def work() -> tuple[np.ndarray]:
        copy = sci.copy()
        deconvolve(copy, KERNEL, everything(copy))
        return (copy,)

    same_for_any_threads(monkeypatch, work)


def test_miri_has_reference_pixels_at_the_left_and_right_only() -> None:
    assert without_reference_pixels(Subarray(0, 0, 1032, 1024), miri=True) == [Window(0, 1024, 4, 1028)]
    assert without_reference_pixels(Subarray(0, 528, 72, 416), miri=True) == [Window(0, 416, 4, 72)]
