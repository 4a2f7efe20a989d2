"""What pixels are like."""

import numpy as np

from calwebbd.stages import flags
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.simulate.detectors import DETECTORS
from calwebbd.stages.simulate.sensor import Sensor, make_sensor

MAPS = ("reference", "dq", "gain", "noise", "bias", "saturation", "strength", "dark", "flat", "area")


def sensor(window: Subarray) -> Sensor:
    return make_sensor(DETECTORS["NRCA1"], window, "F200W", 4)


def test_a_subarray_has_the_pixels_of_the_full_frame() -> None:
    outer, inner = sensor(Subarray(0, 0, 120, 100)), sensor(Subarray(30, 20, 16, 16))
    for name in MAPS:
        np.testing.assert_allclose(
            getattr(outer, name)[20:36, 30:46], getattr(inner, name), rtol=1e-6, err_msg=name
        )


def test_reference_pixels_take_no_light_and_know_no_bounds() -> None:
    s = sensor(Subarray(0, 0, 64, 64))
    assert (s.dq[s.reference] == flags.REFERENCE_PIXEL).all()
    assert (s.saturation[s.reference] == 65535).all()
    assert (s.strength[s.reference] == 0).all()
    assert (s.dark_signal(7, 1.0)[s.reference] == 0).all()
    assert np.isnan(s.flat[s.reference]).all()


def test_dead_pixels_have_no_flat_and_hot_ones_a_dark_current() -> None:
    s = sensor(Subarray(0, 0, 1024, 1024))
    assert np.isnan(s.flat[(s.dq & flags.DEAD) > 0]).all()
    assert (s.dark[(s.dq & flags.HOT) > 0] >= 1).all()
    for bits in (flags.DEAD, flags.HOT, flags.RC, flags.LOW_QE, flags.OTHER_BAD_PIXEL):
        assert ((s.dq & bits) > 0).any()


def test_dark_signal_settles_and_then_grows_with_time() -> None:
    s = sensor(Subarray(100, 100, 8, 8))
    first, second = s.dark_signal(20, 1.0), s.dark_signal(21, 1.0)
    np.testing.assert_allclose(second - first, s.dark, atol=1e-3)
    assert (s.dark_signal(1, 1.0) > s.dark).all()
