"""Attitudes and dithers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.stages.simulate import pointing


@given(st.floats(0, 359), st.floats(-89, 89), st.floats(0, 359), st.floats(-400, 400), st.floats(-700, 0))
def test_the_reference_point_lands_on_its_sky_with_its_roll(
    ra: float, dec: float, roll: float, v2: float, v3: float
) -> None:
    att = pointing.attitude(v2, v3, ra, dec, roll)
    sky = pointing.to_sky(att, v2, v3)
    off = np.array([(sky[0] - ra + 180) % 360 - 180, sky[1] - dec])
    assert np.abs(off).max() < 1e-9
    assert (pointing.roll_at(att, v2, v3) - roll + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)


@given(st.floats(-600, 600), st.floats(-900, 300))
def test_sky_and_back_is_where_one_began(v2: float, v3: float) -> None:
    att = pointing.attitude(86.1, -493.2, pointing.RA, pointing.DEC, pointing.ROLL)
    np.testing.assert_allclose(pointing.from_sky(att, *pointing.to_sky(att, v2, v3)), (v2, v3), atol=1e-8)


def test_with_no_roll_north_is_up_and_east_is_towards_v2() -> None:
    att = pointing.attitude(0, 0, 10, 0, 0)
    ra, dec = pointing.to_sky(att, 3.6, 7.2)
    assert (float(ra), float(dec)) == pytest.approx((10.001, 0.002), abs=1e-9)


def test_assign_wcs_undoes_the_aberration() -> None:
    reference = (120.0, -500.0)
    seen = np.array(pointing.aberrate(150.0, -480.0, reference))
    undone = pointing.VA_SCALE * seen + (1 - pointing.VA_SCALE) * np.array(reference)
    np.testing.assert_allclose(undone, (150, -480), rtol=1e-14)


def test_only_the_first_position_is_certain() -> None:
    rng = np.random.default_rng(1)
    first, second = pointing.dither(2, (86.0, -493.0), 0.01, rng)
    np.testing.assert_array_equal(first.true, first.header)
    assert 0 < np.hypot(*second.error) < 0.05
    assert not np.array_equal(second.true, second.header)


def test_a_dither_moves_the_target_by_its_offset() -> None:
    first, second = pointing.dither(2, (86.0, -493.0), 0.0, np.random.default_rng(1))
    v2, v3 = pointing.from_sky(second.header, *pointing.to_sky(first.header, 86.0, -493.0))
    x, y = second.offset
    assert (float(v2) - 86, float(v3) + 493) == pytest.approx((x, -y), abs=2e-3)
