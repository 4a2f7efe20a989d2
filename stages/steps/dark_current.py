"""Subtract the dark current that each group has gathered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float, Header, Ramp
from calwebbd.stages.fits.read import read_header
from calwebbd.stages.kernels import in_threads
from calwebbd.stages.products import Dark
from calwebbd.stages.readout import first_integration
from calwebbd.stages.references import Reference, References, bands
from calwebbd.stages.step import Skip, step

Plane = NDArray[np.float32] | NDArray[np.float64]
Planes = Callable[[int], Plane]
AT_ONCE = 8  # planes in memory: those of two threads in double precision, without NaN, and a line's ends


@dataclass(frozen=True)
class DarkCurrentParams:
    dark_output: str | None = None  #: file for the dark as it was subtracted, in the folder of the products
    average_dark_current: float | None = None  #: e-/s, for the noise; instead of the reference's


@dataclass(frozen=True)
class Frames:
    """How frames make groups: so many are averaged, so many dropped between groups."""

    ngroups: int
    nframes: int
    groupgap: int

    @property
    def total(self) -> int:
        return self.ngroups * self.nframes + (self.ngroups - 1) * self.groupgap


def extended(planes: Planes, known: int) -> Planes:
    """Planes of a dark, continued beyond the known ones as a straight line through the last two.

    The line is drawn in float64, and all planes become that.
    """

    last = planes(known - 1)
    slope = last - planes(known - 2)

    def plane(k: int) -> Plane:
        if k < known:
            return planes(k).astype(np.float64)
        return np.float64(k - known + 1) * slope + last

    return plane


def without_nan(planes: Planes) -> Planes:
    """The same planes with 0 for NaN."""

    def plane(k: int) -> Plane:
        dark = planes(k)
        return np.where(np.isnan(dark), dark.dtype.type(0), dark)

    return plane


def averaged(planes: Planes, frames: Frames) -> Planes:
    """Groups made of single frames of a dark, as those of `frames` are."""

    def group(j: int) -> Plane:
        first = j * (frames.nframes + frames.groupgap)
        total = planes(first).copy()
        for k in range(first + 1, first + frames.nframes):
            total += planes(k)
        total /= total.dtype.type(frames.nframes)
        return total.astype(np.float32, copy=False)

    return group


def darks_of(first: int, nints: int, ndarks: int) -> list[tuple[slice, int]]:
    """Which dark is for which of a ramp's integrations: [(integrations, dark), …], counted from 0.

    first : number, from 1, of the first integration in its exposure
    Each integration has the dark of its number, and all beyond the last dark have that.
    """
    own = [min(first + i, ndarks) - 1 for i in range(nints)]
    return [(slice(own.index(k), own.index(k) + own.count(k)), k) for k in range(ndarks) if k in own]


def subtract_dark(sci: Float, dark: Planes) -> None:
    """Subtract the dark of each group, in place, from all integrations.

    sci : (nints, ngroups, ny, nx), DN
    dark : gives (ny, nx), DN, for a group; planes are held one at a time by each thread
    """

    def subtract(j: int) -> None:
        sci[:, j] -= dark(j)

    in_threads([partial(subtract, j) for j in range(sci.shape[1])])


@step(keyword="S_DARK", references=("dark",), params=DarkCurrentParams)
def dark_current(ramp: Ramp, references: References, params: DarkCurrentParams) -> Ramp:
    """Subtract dark current, made to match the exposure's groups.

    Source: specification detector1 §3 dark_current.
    """
    reference = references["dark"]
    if reference.shape()[-2:] == ramp.sci.shape[-2:]:
        reference = reference.uncut()  # for collated superstripes, whose corner its header does not have
    ramp.average_dark_current = average_dark_current(reference, params.average_dark_current)
    science = _frames(ramp.header, ramp.sci.shape[1])
    dark = _frames(reference.header, reference.shape()[-3])
    if dark.nframes > science.nframes or dark.groupgap > science.groupgap:
        raise Skip(
            f"the dark's NFRAMES {dark.nframes} or GROUPGAP {dark.groupgap} is greater than "
            f"the exposure's, {science.nframes} and {science.groupgap}"
        )
    same = (dark.nframes, dark.groupgap) == (science.nframes, science.groupgap)

    def groups(k: int, rows: slice | None = None) -> Planes:
        planes = _planes(reference, k, rows)
        planes = without_nan(extended(planes, dark.ngroups) if science.total > dark.total else planes)
        return planes if same else averaged(planes, science)

    ndarks = _number(reference)
    with reference.held():
        for part, k in darks_of(first_integration(ramp), len(ramp.sci), ndarks):
            for rows in bands(ramp.sci.shape, AT_ONCE):
                subtract_dark(ramp.sci[part, :, rows], groups(k, rows))
    ramp.pixeldq |= np.bitwise_or.reduce(reference.dq().reshape(-1, *ramp.pixeldq.shape))
    if params.dark_output:
        made = Frames(max(science.ngroups, dark.ngroups), dark.nframes, dark.groupgap) if same else science
        ramp.byproducts[f"{params.dark_output.removesuffix('.fits')}.fits"] = _kept(
            reference, [groups(k) for k in range(ndarks)], made
        )
    return ramp


def average_dark_current(reference: Reference, wanted: float | None) -> Float | float:
    """Mean dark current, e-/s: `wanted`, else the reference's map, else its keyword, else 0.

    A map of another shape than the dark's counts as 0, as in the reference pipeline.
    """
    if wanted is not None:
        return wanted
    if reference.has("AVDRKCUR"):
        if reference.shape("AVDRKCUR") != reference.shape()[-2:]:
            return 0.0
        current = reference.floats("AVDRKCUR")
        if current.sum() != 0:
            return current
    return reference.header.real("AVDRKCUR", 0.0)


def _frames(header: Header, ngroups: int) -> Frames:
    return Frames(ngroups, header.integer("NFRAMES"), header.integer("GROUPGAP"))


def _number(reference: Reference) -> int:
    """How many integrations have darks of their own: those of MIRI do."""
    shape = reference.shape()
    return shape[0] if len(shape) == 4 else 1


def _planes(reference: Reference, k: int, rows: slice | None) -> Planes:
    """Those of the k-th dark, or some of their rows."""
    first = k * reference.shape()[-3]
    return lambda j: reference.floats(planes=slice(first + j, first + j + 1), rows=rows)[0]


def _kept(reference: Reference, darks: list[Planes], frames: Frames) -> Dark:
    """The darks as they were subtracted, with the keywords of their reference file."""
    header = read_header(reference.path)
    header |= {"NGROUPS": frames.ngroups, "NFRAMES": frames.nframes, "GROUPGAP": frames.groupgap}
    sci = np.stack([[groups(j) for j in range(frames.ngroups)] for groups in darks]).astype(np.float32)
    whole = len(reference.shape()) == 4
    return Dark(header, sci if whole else sci[0], reference.dq(), file=str(reference.path))
