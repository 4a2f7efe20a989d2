"""Evaluate astropy models on large arrays without their overhead.

A model checks and copies its arguments at every step of an expression. Here an
expression becomes nested functions of float64 arrays once; these run on blocks of
rows that fit the processor's cache, in threads, with the same results up to the
last bits (1e-9 pixels).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy.modeling import CompoundModel
from astropy.modeling.models import (
    AffineTransformation2D,
    Identity,
    Mapping,
    Polynomial2D,
    RotationSequence3D,
    Scale,
    Shift,
)
from gwcs.fitswcs import FITSImagingWCSTransform
from gwcs.geometry import SphericalToCartesian
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[..., tuple[Array, ...]]

ARITHMETIC = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power}


def compiled(model: Any) -> Function:
    """A function of arrays of one shape that gives what the model gives; no bounding box is applied."""
    if isinstance(model, CompoundModel):
        return _compound(model)
    make = LEAVES.get(type(model), _any)  # of that very type: some kinds inherit from others
    return _any(model) if any(getattr(model, name).unit for name in model.param_names) else make(model)


def chain(model: Any) -> list[Any]:
    """The models that are applied one after the other."""
    if isinstance(model, CompoundModel) and model.op == "|":
        return chain(model.left) + chain(model.right)
    return [model]


def composed(functions: list[Function]) -> Function:
    """Apply functions one after the other."""

    def apply(*args: Array) -> tuple[Array, ...]:
        for function in functions:
            args = function(*args)
        return args

    return apply


def _compound(model: Any) -> Function:
    if model.op == "|":
        return composed([compiled(each) for each in chain(model)])
    if model.op == "&":
        left, right, n = compiled(model.left), compiled(model.right), model.left.n_inputs
        return lambda *args: left(*args[:n]) + right(*args[n:])
    if model.op in ARITHMETIC:
        left, right, combine = compiled(model.left), compiled(model.right), ARITHMETIC[model.op]
        return lambda *args: tuple(combine(a, b) for a, b in zip(left(*args), right(*args), strict=True))
    return _any(model)


def _any(model: Any) -> Function:
    """Through the model itself: always right."""

    def call(*args: Array) -> tuple[Array, ...]:
        result = model(*args, with_bounding_box=False)
        return tuple(result) if model.n_outputs > 1 else (result,)

    return call


def _shift(model: Any) -> Function:
    offset = float(model.offset.value)
    return lambda x: (x + offset,)


def _scale(model: Any) -> Function:
    factor = float(model.factor.value)
    return lambda x: (x * factor,)


def _mapping(model: Any) -> Function:
    order = model.mapping
    return lambda *args: tuple(args[i] for i in order)


def _identity(model: Any) -> Function:
    return lambda *args: args


def _affine(model: Any) -> Function:
    return linear(np.asarray(model.matrix.value), np.asarray(model.translation.value).ravel())


def _rotation(model: Any) -> Function:
    """Its matrix shows in what becomes of the three axes."""
    return linear(np.stack(model(*np.eye(3))), np.zeros(3))


def _to_cartesian(model: Any) -> Function:
    """Degrees to a unit vector."""

    def apply(lon: Array, lat: Array) -> tuple[Array, ...]:
        lon, lat = np.deg2rad(lon), np.deg2rad(lat)
        across = np.cos(lat)
        return across * np.cos(lon), across * np.sin(lon), np.sin(lat)

    return apply


def linear(matrix: Array, offset: Array) -> Function:
    """matrix · arguments + offset."""

    def row(factors: Array, constant: float, args: tuple[Array, ...]) -> Array:
        out: Array = args[0] * factors[0]
        for factor, arg in zip(factors[1:], args[1:], strict=True):
            out += arg * factor
        out += constant
        return out

    return lambda *args: tuple(row(f, c, args) for f, c in zip(matrix, offset, strict=True))


def _polynomial(model: Any) -> Function:
    """Horner's scheme in y, whose coefficients are polynomials in x by the same scheme."""
    if any(d is not None and d != w for d, w in _domains(model)):
        return _any(model)
    degree = model.degree
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    c = {(i, j): float(getattr(model, f"c{i}_{j}").value) for i, j in powers}

    def in_x(x: Array, j: int) -> Array | float:
        if j == degree:
            return c[0, j]
        out = x * c[degree - j, j]
        for i in range(degree - j - 1, 0, -1):
            out += c[i, j]
            out *= x
        out += c[0, j]
        return out

    def apply(x: Array, y: Array) -> tuple[Array]:
        out = np.full(x.shape, c[0, degree])
        for j in range(degree - 1, -1, -1):
            out *= y
            out += in_x(x, j)
        return (out,)

    return apply


def _domains(model: Any) -> list[tuple[Any, Any]]:
    """Domain and window in x and in y: where they differ, the polynomial is of rescaled arguments."""
    return [(model.x_domain, model.x_window), (model.y_domain, model.y_window)]


def _fits_imaging(model: Any) -> Function:
    return compiled(model.forward)


LEAVES: dict[type, Callable[[Any], Function]] = {
    Shift: _shift,
    Scale: _scale,
    Mapping: _mapping,
    Identity: _identity,
    AffineTransformation2D: _affine,
    RotationSequence3D: _rotation,
    SphericalToCartesian: _to_cartesian,
    Polynomial2D: _polynomial,
    FITSImagingWCSTransform: _fits_imaging,
}
