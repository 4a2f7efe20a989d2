"""The polynomial of the linearity reference undoes the response."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.stages.simulate.nonlinearity import coefficients, inverse_coefficients, linearize, measure

signals = st.floats(-500, 60000, width=32)
strengths = st.floats(0, 1.25, width=32)


def arrays(signal: float, strength: float) -> tuple[np.ndarray, np.ndarray]:
    return np.full((1, 1), signal, np.float32), np.full((1, 1), strength, np.float32)


@given(signals, strengths)
def test_linearizing_the_measured_signal_gives_back_the_signal(signal: float, strength: float) -> None:
    linear, s = arrays(signal, strength)
    np.testing.assert_allclose(linearize(measure(linear, s), s), linear, rtol=3e-7, atol=1e-3)


@given(signals, strengths)
def test_the_reference_coefficients_are_the_same_polynomial(signal: float, strength: float) -> None:
    measured, s = arrays(signal, strength)
    c = coefficients(s)[:, 0, 0].astype(float)
    np.testing.assert_allclose(
        np.polyval(c[::-1], signal), linearize(measured, s)[0, 0], rtol=1e-6, atol=1e-4
    )


@given(st.floats(0, 50000, width=32), strengths)
def test_the_inverse_coefficients_are_good_to_a_fraction_of_a_count(signal: float, strength: float) -> None:
    linear, s = arrays(signal, strength)
    b = inverse_coefficients(s)[:, 0, 0].astype(float)
    assert abs(np.polyval(b[::-1], signal) - measure(linear, s)[0, 0]) < 0.75


def test_a_bright_pixel_measures_less_than_it_holds() -> None:
    linear, s = arrays(40000, 1)
    assert 38500 < measure(linear, s)[0, 0] < 39500
