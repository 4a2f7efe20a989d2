"""Ramps side by side: the processor works on several at once, and finds them in its first cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from calwebbd.stages.kernels import helper

MOST = 64  # columns; a tile of ten groups is 2.5 kB in single precision


class Tile(NamedTuple):
    """Ramps of one integration, and what is reckoned of them; each (width,) if nothing else is said.

    values, bits : (ngroups, width), DN, and their flags; kinds : which time the first group stands for
    flagged : flags of the pixel; every : of all groups; own : of the rate; seen, always : of any
        integration and of all of them
    usable : whether the ramp can be fitted
    noise, gain, expected : e- of a group; e-/DN; DN/s, for the photon variance
    starts, lengths : the segment of a ramp that has just one; others : columns of the others
    sums : (5, width), what `fit_integration` fills, and Σ 1/V_R had charge migration flagged nothing
    total : (5, width), of all integrations
    results : (4, width), slope, error, photon and read-noise variances
    count, ordered, work : space, (width,), (ngroups, width), (6, width)
    """

    values: Any
    bits: Any
    kinds: Any
    flagged: Any
    every: Any
    own: Any
    seen: Any
    always: Any
    usable: Any
    noise: Any
    gain: Any
    expected: Any
    starts: Any
    lengths: Any
    others: Any
    sums: Any
    total: Any
    results: Any
    count: Any
    ordered: Any
    work: Any


@helper
def tile_width(nx: int) -> int:
    """Columns of a tile, such that the tiles of a row are about as wide."""
    tiles = (nx + MOST - 1) // MOST
    return (nx + tiles - 1) // tiles


@helper
def new_tile(ngroups: int, nx: int) -> Any:
    """A tile for rows of `nx` pixels. Columns beyond the end of a row are reckoned with, but not used."""
    width = tile_width(nx)
    i, f = np.zeros((10, width), np.int32), np.zeros((3, width))
    return Tile(
        np.zeros((ngroups, width)), np.zeros((ngroups, width), np.uint8), np.zeros(width, np.uint8),
        i[0], i[1], i[2], i[3], i[4], i[5], f[0], f[1], f[2], i[6], i[7], i[8],
        np.zeros((5, width)), np.zeros((5, width)), np.zeros((4, width), np.float32),
        i[9], np.zeros((ngroups, width)), np.zeros((6, width)),
    )  # fmt: skip
