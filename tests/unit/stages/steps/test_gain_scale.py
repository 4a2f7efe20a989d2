from pathlib import Path

import numpy as np
import pytest
from ramps import make_ramp, write_reference

from calwebbd.stages.exposure import Header, Image
from calwebbd.stages.references import References
from calwebbd.stages.step import Skip
from calwebbd.stages.steps.gain_scale import gain_scale


def image(**keywords: float) -> Image:
    sci, err, var_poisson, var_rnoise = (np.array([[v, np.nan]], np.float32) for v in (3.0, 0.5, 0.2, 0.05))
    dq = np.array([[4, 1]], np.uint32)
    return Image(Header(keywords), sci, err=err, dq=dq, var_poisson=var_poisson, var_rnoise=var_rnoise)


def reference(folder: Path, **keywords: float) -> References:
    return write_reference(folder, "gain", make_ramp(np.zeros((1, 1, 1, 2))), sci=[[1.0, 1.0]], **keywords)


def test_rates_and_errors_take_the_factor_and_variances_its_square() -> None:
    scaled = gain_scale(image(GAINFACT=2.0))
    assert [float(a[0, 0]) for a in (scaled.sci, scaled.err)] == [6.0, 1.0]
    assert [float(a[0, 0]) for a in (scaled.var_poisson, scaled.var_rnoise)] == pytest.approx([0.8, 0.2])
    assert np.isnan(scaled.sci[0, 1])
    assert scaled.dq.tolist() == [[4, 1]]
    assert scaled.sci.dtype == np.float32


def test_the_factor_of_the_exposure_comes_before_that_of_the_reference(tmp_path: Path) -> None:
    references = reference(tmp_path, GAINFACT=5.0)
    assert gain_scale(image(GAINFACT=2.0), references).sci[0, 0] == 6.0
    assert gain_scale(image(), references).sci[0, 0] == 15.0


def test_both_products_are_scaled_and_say_so(tmp_path: Path) -> None:
    scaled = gain_scale((image(), image()), reference(tmp_path, GAINFACT=2.0))
    assert [each.header["GAINFACT"] for each in scaled] == [2.0, 2.0]
    assert [float(each.sci[0, 0]) for each in scaled] == [6.0, 6.0]


def test_without_a_factor_the_step_does_not_apply(tmp_path: Path) -> None:
    with pytest.raises(Skip, match="GAINFACT"):
        gain_scale(image(), reference(tmp_path))
    with pytest.raises(Skip, match="GAINFACT"):
        gain_scale((image(), image()))


def test_arrays_that_both_products_share_are_scaled_once() -> None:
    rate, rateints = image(GAINFACT=2.0), image(GAINFACT=2.0)
    rateints.sci, rateints.err = rate.sci[None], rateints.err[None]
    scaled = gain_scale((rate, rateints))
    assert [float(each.sci.ravel()[0]) for each in scaled] == [6.0, 6.0]
    assert [float(each.err.ravel()[0]) for each in scaled] == [1.0, 1.0]
