"""Small random exposures of stage 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from guide_stars import make_guide_star
from numpy.random import Generator
from ramps import apart, make_ramp

from calwebbd.stages.exposure import Image, Ramp
from calwebbd.stages.irs2 import Layout

Make = Callable[[Generator], Any]  # of an exposure, or exposures

SHAPE = (3, 6, 40, 16)  # more rows than a thread takes at a time
CLOCK: dict[str, Any] = {
    "TGROUP": 10.0,
    "TFRAME": 10.0,
    "EFFINTTM": 60.0,
    "EXPSTART": 60000.0,
    "DETECTOR": "NRCA1",
}
CORNER: dict[str, Any] = {"SUBSTRT1": 1, "SUBSTRT2": 1}
MIRI: dict[str, Any] = {
    "INSTRUME": "MIRI",
    "DETECTOR": "MIRIMAGE",
    "READPATT": "FASTR1",
    "SUBARRAY": "SUB256",
}
NIRSPEC: dict[str, Any] = {"INSTRUME": "NIRSPEC", "DETECTOR": "NRS1", "FASTAXIS": 2, "SLOWAXIS": 1}
IRS2 = Layout(cells=2, lines=16)


def some_flags(random: Generator, shape: tuple[int, ...], kind: Any, fraction: float = 0.1) -> Any:
    """Any bits, in a part of the elements."""
    bits = random.integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    return np.where(random.random(shape) < fraction, bits, kind(0))


def ramps(
    shape: tuple[int, ...] = SHAPE, *, flagged: float = 0.1, faint: bool = False, **keywords: Any
) -> Make:
    """Ramps of all rates, some of which saturate, with jumps, and any flags.

    In the first integration there is an event in the middle: a snowball, or, of faint rates, a shower.
    """

    def make(random: Generator) -> Ramp:
        nints, _, ny, nx = shape
        y, x = np.mgrid[:ny, :nx]
        away = np.hypot(y - ny // 2, x - nx // 2)
        rate = 10 ** random.uniform(0, 1 if faint else 3.8, (ny, nx))
        steps = random.normal(rate, 10, shape) + 2e3 * (random.random(shape) < 0.03)
        steps[0, 2] += 30 * (away < 10) if faint else 4e3 * (away < 7) + 1e5 * (away < 3)
        sci = np.minimum(1000 + np.cumsum(steps, axis=1), 65535).round()
        zeroframe = 1000 + rate / 2 * (random.random((nints, ny, nx)) < 0.9)
        header = {**CLOCK, "NINTS": nints, "NSAMPLES": 1, **keywords}
        ramp = make_ramp(sci, None if "MIRI" in header.values() else zeroframe, **header)
        ramp.groupdq = some_flags(random, shape, np.uint8, flagged / 5)
        ramp.pixeldq = some_flags(random, (ny, nx), np.uint32, flagged)
        return ramp

    return make


def lit_evenly(shape: tuple[int, ...] = SHAPE, rate: float = 0.0, **keywords: Any) -> Make:
    """Ramps without noise: every pixel has a level of its own, and all the same rate."""

    def make(random: Generator) -> Ramp:
        sci = random.integers(500, 1500, shape[-2:]) + rate * np.arange(shape[1])[:, None, None]
        return make_ramp(np.broadcast_to(sci, shape).copy(), **{**CLOCK, **keywords})

    return make


def large(shape: tuple[int, ...], **keywords: Any) -> Make:
    """Ramps repeated over the detector, which would take long to make."""

    def make(random: Generator) -> Ramp:
        nints, ngroups, ny, nx = shape
        tile = random.normal(1000, 10, (nints, ngroups, ny // 16, nx // 8))
        ramp = make_ramp(np.tile(tile, (16, 8)), **{**CLOCK, **keywords})
        ramp.pixeldq[4::9, :3] = 1
        return ramp

    return make


def rates(**keywords: Any) -> Make:
    """Those of an exposure and of its integrations."""

    def make(random: Generator) -> tuple[Image, Image]:
        return one(random, 40, 16), one(random, 3, 40, 16)

    def one(random: Generator, *shape: int) -> Image:
        header = make_ramp(np.zeros((1, 1, 1, 1)), **keywords).header
        sci, err, *variances = random.uniform(1, 100, (4, *shape)).astype(np.float32)
        return Image(header, sci, err, some_flags(random, shape, np.uint32), *variances)

    return make


def guide_stars(exp_type: str, *shape: int, **keywords: Any) -> Make:
    """Raw groups, (nints, ngroups, ny, nx), or count rates, (nplanes, ny, nx)."""

    def make(random: Generator) -> Any:
        star = make_guide_star(random.uniform(0, 6e4, shape).round(), exp_type, TGROUP=0.3, **keywords)
        star.dq = some_flags(random, shape[-2:], np.uint32)
        if len(shape) == 3:
            star.err = np.sqrt(star.sci)
        return star

    return make


def without_light_in_reference_pixels(random: Generator) -> Ramp:
    ramp: Ramp = ramps(flagged=0, NOUTPUTS=4, **CORNER)(random)
    for array in (ramp.sci, ramp.zeroframe):
        array[..., :4, :] = array[..., :4] = 0
    return ramp


def with_reference_pixels(random: Generator) -> Ramp:
    """Those of one amplifier, in the four left columns."""
    ramp: Ramp = ramps(**CORNER)(random)
    ramp.pixeldq &= np.uint32(2**31 - 1)
    ramp.pixeldq[:, :4] = 1 << 31
    return ramp


def with_bad_interleaved_pixels(random: Generator) -> Ramp:
    """Noise, which is much in two of the interleaved pixels of one integration."""
    sci = random.normal(1000, 10, (2, 3, IRS2.samples, IRS2.lines))
    sci[0, :, IRS2.block + 8 : IRS2.block + 10] *= 20
    return apart(make_ramp(sci, **{**CLOCK, **NIRSPEC, **CORNER}), IRS2)


def interleaved(random: Generator) -> Ramp:
    """Of any values, as other ramps."""
    return apart(ramps((2, 4, IRS2.samples, IRS2.lines), **NIRSPEC, **CORNER)(random), IRS2)
