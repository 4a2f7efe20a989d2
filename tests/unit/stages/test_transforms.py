import numpy as np
import pytest
from astropy import units as u
from astropy.modeling import models as m
from gwcs.geometry import CartesianToSpherical, SphericalToCartesian

from calwebbd.stages.transforms import compiled

GRID = np.meshgrid(np.linspace(-3, 4, 8), np.linspace(1, 2, 5))
CUBIC = m.Polynomial2D(3, c0_0=1, c1_0=2, c0_1=-3, c1_1=0.5, c2_1=0.25, c0_3=-0.125, c3_0=2)
RESCALED = m.Polynomial2D(1, c1_0=1, c0_1=1, x_domain=(-2, 2))
ROTATION = m.RotationSequence3D([10, 20, 30], axes_order="xyz")
MODELS = {
    "polynomials": m.Mapping((0, 1, 0, 1)) | CUBIC & CUBIC,
    "polynomial of a rescaled domain": RESCALED,
    "constant": m.Polynomial2D(0, c0_0=7),
    "affine": m.AffineTransformation2D([[1, 2], [3, 4]], translation=[5, 6]),
    "sphere": SphericalToCartesian() | ROTATION | CartesianToSpherical(),
    "spherical rotation": m.RotateNative2Celestial(30, 40, 180),
    "shift, scale, nothing": m.Shift(2) & m.Scale(3) | m.Identity(2),
    "arithmetic": m.Polynomial2D(1, c1_0=2) * CUBIC + CUBIC,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_model_gives_what_the_model_gives(name: str) -> None:
    model = MODELS[name]
    wanted = np.reshape(model(*GRID), (-1, *GRID[0].shape))
    np.testing.assert_allclose(compiled(model)(*GRID), wanted, rtol=1e-13, atol=1e-13)


def test_arguments_stay_as_they_are() -> None:
    before = np.copy(GRID)
    for model in MODELS.values():
        compiled(model)(*GRID)
    np.testing.assert_array_equal(GRID, before)


def test_a_model_with_units_is_called_as_it_is() -> None:
    model = m.Shift(1 * u.arcsec)
    (shifted,) = compiled(model)(np.array([1.0]) * u.arcsec)
    np.testing.assert_array_equal(shifted, [2] * u.arcsec)
