"""Each effect alone, and the step's own arithmetic that undoes it."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve

from calwebbd.stages.simulate import effects
from calwebbd.stages.simulate.effects import Effects


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_effects_are_switched_one_by_one() -> None:
    only = Effects.only(bias=True, cosmic_rays=1e-5)
    on = {field.name for field in fields(only) if getattr(only, field.name)}
    assert on == {"bias", "cosmic_rays"}
    assert not Effects().without("bias").bias
    assert Effects().without("pedestal").pedestal == 0
    assert not any(vars(Effects.none()).values())


def test_without_a_generator_the_expected_charge_is_collected() -> None:
    np.testing.assert_array_equal(effects.collect(np.float32([[2, 3]]), 4.0, None), [[8, 12]])


def test_photons_come_with_a_variance_of_their_number() -> None:
    charge = effects.collect(np.full((200, 200), 50, np.float32), 2.0, rng())
    assert charge.mean() == pytest.approx(100, abs=0.2)
    assert charge.var() == pytest.approx(100, abs=3)


def test_hits_add_their_charge_where_they_fall_even_twice() -> None:
    hits = np.array([(0, 1, 5), (0, 1, 6), (1, 0, 7)], effects.EVENT)
    before = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(effects.add_hits(before, hits), [[1, 12], [8, 1]])
    assert (before == 1).all()


def test_cosmic_rays_stay_inside_and_come_as_often_as_expected() -> None:
    hits = effects.cosmic_rays(rng(), (40, 60), 500)
    assert hits["y"].min() >= 0
    assert hits["y"].max() < 40
    assert hits["x"].max() < 60
    assert 600 < hits.size < 3000  # a track crosses two or three pixels
    assert (hits["electrons"] > 0).all()


def test_a_snowball_saturates_its_core_and_fades() -> None:
    ball = np.array([(30, 30, 4)], effects.BALL)
    charge = effects.add_snowballs(np.zeros((61, 61), np.float32), ball)
    assert charge[30, 30] == charge[30, 33] == effects.CORE_ELECTRONS
    assert effects.CORE_ELECTRONS > charge[30, 35] > charge[30, 45] > 0
    assert charge[30, 55] == 0


@given(st.integers(0, 5), st.integers(0, 6))
def test_coupling_moves_charge_as_the_kernel_says(y: int, x: int) -> None:
    a = 0.0055
    charge = np.zeros((6, 7), np.float32)
    charge[y, x] = 1000
    kernel = np.array([[0, a, 0], [a, 1 - 4 * a, a], [0, a, 0]])
    expected = convolve(charge, kernel, mode="constant")
    np.testing.assert_allclose(effects.couple(charge), expected, rtol=1e-5, atol=1e-4)


def test_the_ipc_kernel_undoes_coupling_to_second_order() -> None:
    a = effects.COUPLING
    charge = rng().uniform(0, 1000, (20, 20)).astype(np.float32)
    kernel = np.array([[0, -a, 0], [-a, 1 + 4 * a, -a], [0, -a, 0]])
    undone = convolve(effects.couple(charge), kernel, mode="constant")
    assert np.abs(undone - charge)[2:-2, 2:-2].max() < 1000 * 40 * a**2
    assert np.abs(effects.couple(charge) - charge).max() > 5


def test_offsets_are_one_level_an_output_and_parity() -> None:
    columns = np.arange(2048)
    offsets = effects.amplifier_offsets(rng(), columns // 512, columns % 2, 3.0)
    assert len(np.unique(offsets)) == 8
    for output in range(4):
        even = offsets[512 * output : 512 * (output + 1) : 2]
        assert np.ptp(even) == 0


@pytest.mark.parametrize("lines", [64, 161])
def test_one_over_f_noise_has_its_rms_no_mean_and_slow_waves(lines: int) -> None:
    series = effects.one_over_f(rng(), lines, 2.0)
    assert series.shape == (lines,)
    assert series.std() == pytest.approx(2, rel=1e-5)
    assert series.mean() == pytest.approx(0, abs=1e-5)
    power = np.mean([np.abs(np.fft.rfft(effects.one_over_f(np.random.default_rng(i), 64, 1))) ** 2
                     for i in range(300)], axis=0)  # fmt: skip
    assert power[1:4].mean() / power[16:32].mean() == pytest.approx(12, rel=0.3)


def test_a_full_well_takes_no_more_but_reference_pixels_have_none() -> None:
    raw = np.float32([[100, 70000], [70000, 50000]])
    reference = np.array([[False, False], [True, False]])
    out = effects.saturate(raw, np.full((2, 2), 50000, np.float32), reference)
    np.testing.assert_array_equal(out, np.float32([[100, 51000], [70000, 50000]]))


def test_the_converter_rounds_and_clips() -> None:
    np.testing.assert_array_equal(
        effects.digitize(np.float32([-3, 0.4, 1.6, 70000])), np.uint16([0, 0, 2, 65535])
    )
