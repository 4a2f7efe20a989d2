"""Exposures in memory: what steps receive and return.

A step owns the exposure it is given and may change its arrays in place: a ramp
is the largest thing in memory and exists once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.between import Between
from calwebbd.stages.scratch import Cube, in_parts

Float = NDArray[np.float32]
GroupDQ = NDArray[np.uint8]
PixelDQ = NDArray[np.uint32]
Lines = NDArray[np.intp]
Table = NDArray[np.void]
Value = str | int | float | bool


class Header(dict[str, Value]):
    """Keywords of the primary and SCI headers, by their FITS names.

    Where both headers hold a keyword (V2_REF of the guide star and of the
    aperture), this is the one of SCI; `shadowed` keeps the primary one.
    """

    def __init__(self, *args: Any, shadowed: dict[str, Value] | None = None, **kwargs: Value) -> None:
        super().__init__(*args, **kwargs)
        self.shadowed: dict[str, Value] = dict(shadowed or {})

    def copy(self) -> Header:
        return Header(self, shadowed=self.shadowed)

    def text(self, keyword: str, default: str = "") -> str:
        """Upper case, trimmed; `default` if absent."""
        return str(self.get(keyword, default)).strip().upper()

    def integer(self, keyword: str, default: int | None = None) -> int:
        """KeyError if absent and there is no default."""
        value = self.get(keyword)
        if value is None or value == "":
            if default is None:
                raise KeyError(keyword)
            return default
        return int(value)

    def real(self, keyword: str, default: float | None = None) -> float:
        """KeyError if absent and there is no default."""
        value = self.get(keyword)
        if value is None or value == "":
            if default is None:
                raise KeyError(keyword)
            return default
        return float(value)


@dataclass(frozen=True)
class Subarray:
    """The part of a detector that was read: zero-based corner and size, pixels, science frame."""

    x: int
    y: int
    nx: int
    ny: int

    @classmethod
    def of(cls, header: Header, ny: int, nx: int) -> Subarray:
        """From SUBSTRT1/2; the array's own shape overrides SUBSIZE1/2."""
        return cls(header.integer("SUBSTRT1", 1) - 1, header.integer("SUBSTRT2", 1) - 1, nx, ny)

    @property
    def full(self) -> bool:
        return (self.x, self.y) == (0, 0)

    @property
    def rows(self) -> Lines:
        """The detector row of each row of the array."""
        return np.arange(self.y, self.y + self.ny)

    @property
    def columns(self) -> Lines:
        """The detector column of each column of the array."""
        return np.arange(self.x, self.x + self.nx)

    def matches(self, reference: Subarray) -> bool:
        """Whether a reference of that subarray is used as it is."""
        return (self.x, self.y, self.nx, self.ny) == (reference.x, reference.y, reference.nx, reference.ny)


@dataclass(eq=False)
class Exposure:
    """What every kind of exposure has.

    `metadata` holds what has no keyword, by its dotted path in the JWST metadata
    tree (``meta.resample.kernel``); `file` is where it was read from. `byproducts` are
    what steps made beside their result, by suffix (``fitopt``; several are named by their own
    files) or by file name (``mine.fits``), to be written with it. `notes` is what steps found
    out about it, by their names, for the records of a product's members.
    """

    header: Header
    sci: Float
    metadata: dict[str, Any] = field(default_factory=dict, kw_only=True)
    file: str = field(default="", kw_only=True)
    byproducts: dict[str, Exposure | Catalogue | Sequence[Exposure]] = field(
        default_factory=dict, kw_only=True
    )
    notes: dict[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def subarray(self) -> Subarray:
        return Subarray.of(self.header, *self.sci.shape[-2:])


@dataclass(eq=False)
class Catalogue:
    """What was measured of the sources of an image: an astropy QTable, one row for each."""

    table: Any


@dataclass(eq=False)
class Ramp(Exposure):
    """Raw or corrected ramps.

    sci : (nints, ngroups, ny, nx), DN
    groupdq : as sci
    pixeldq : (ny, nx); (nsuperstripes, ny, nx) as long as superstripes take turns along the first
        axis of sci (`collation.collate` ends that)
    zeroframe : (nints, ny, nx), DN; 0 means bad
    refout : (nints, ngroups, ny, nx / 4), DN; MIRI's reference output, of all integrations of the
        file, where it stays: no step looks at it
    between : what an interleaved exposure holds beside its image, until `refpix` has used it
    int_times_stripe : times of the superstripes, once they are collated
    read_times : (ngroups, nframes), s from the reset, of the frames of each group; None if they
        follow from the header, as they do where groups are evenly spaced
    superstripe : which one this is, of a ramp that holds only one of an exposure's
    average_dark_current : (ny, nx) or scalar, e-/s; set by dark_current
    first : how many integrations of the exposure's file come before these

    Of a ramp that is too long for memory the cubes are on disk (`scratch.Cube`); steps get
    some integrations at a time, as a ramp of its own, or walk through them.
    """

    groupdq: GroupDQ
    pixeldq: PixelDQ
    zeroframe: Float | None = None
    refout: Any = None
    between: Between | None = None
    int_times: Table | None = None
    int_times_stripe: Table | None = None
    group: Table | None = None
    read_times: NDArray[np.float64] | None = None
    superstripe: int = 0
    average_dark_current: Float | float = 0.0
    first: int = 0

    CUBES: ClassVar = ("sci", "groupdq", "zeroframe")

    @property
    def stored(self) -> bool:
        """Whether the cubes are on disk."""
        return isinstance(self.sci, Cube)

    @property
    def by_superstripe(self) -> bool:
        return self.pixeldq.ndim == 3

    def integrations(self) -> Iterator[tuple[Float, GroupDQ]]:
        """Each integration's sci and groupdq, (ngroups, ny, nx), to be read and changed in place."""
        return ((sci[0], groupdq[0]) for sci, groupdq in in_parts(self.sci, self.groupdq, each=1))

    def rooms(self, many: int) -> dict[str, NDArray[Any]]:
        """Memory for so many integrations, which `part` may use again and again."""
        cubes = {name: getattr(self, name) for name in self.CUBES}
        return {name: c.room(many, of=len(c)) for name, c in cubes.items() if c is not None}

    def part(self, start: int, stop: int, rooms: Mapping[str, NDArray[Any]]) -> Ramp:
        """Some of the integrations, in memory, with flags of their own."""
        read: dict[str, Any] = {n: getattr(self, n).read(start, stop, room) for n, room in rooms.items()}
        return replace(
            self,
            header=self.header.copy(),
            pixeldq=self.pixeldq.copy(),
            between=self.between and self.between.part(start * self.sci.shape[1]),
            first=self.first + start,
            **read,
        )


@dataclass(eq=False)
class Image(Exposure):
    """A count-rate or calibrated exposure: whole, or by integration.

    sci, err, dq, var_poisson, var_rnoise, var_flat : (ny, nx) or (nints, ny, nx)
    area : (ny, nx), relative solid angle of pixels
    wcs : the gwcs from detector pixels (0-based) to the sky, once assigned

    Of many exposures the arrays may be on disk (`scratch.Cube`): see `in_memory`.
    """

    err: Float
    dq: PixelDQ
    var_poisson: Float
    var_rnoise: Float
    var_flat: Float | None = None
    area: Float | None = None
    int_times: Table | None = None
    int_times_stripe: Table | None = None
    wcs: Any = None

    ARRAYS: ClassVar = ("sci", "err", "dq", "var_poisson", "var_rnoise", "var_flat", "area")

    @property
    def by_integration(self) -> bool:
        return self.sci.ndim == 3

    @contextmanager
    def in_memory(self, *, only: Sequence[str] = ARRAYS, change: Sequence[str] = ()) -> Iterator[Image]:
        """This image with its arrays in memory; header, metadata and WCS are the same.

        only : names of arrays that are needed
        change : names of arrays that are kept as they are at the end
        """
        stored = {name: array for name in only if isinstance(array := getattr(self, name), Cube)}
        arrays: dict[str, Any] = {name: np.asarray(cube) for name, cube in stored.items()}
        image = replace(self, **arrays) if stored else self
        yield image
        if stored:
            self.wcs = image.wcs
        for name in stored.keys() & set(change):
            stored[name].write(0, getattr(image, name))


@dataclass(eq=False)
class Mosaic(Exposure):
    """Exposures combined on one rectified grid.

    sci, err, wht, var_poisson, var_rnoise, var_flat : (ny, nx)
    con : (nplanes, ny, nx) int32; bit k % 32 of plane k // 32 is set where input k contributed
    dq : (ny, nx); flags of the inputs that contributed, if they were asked for
    hdrtab : one row of header keywords for each input
    wcs : the gwcs of the grid
    """

    err: Float | None = None
    wht: Float | None = None
    con: NDArray[np.int32] | None = None
    var_poisson: Float | None = None
    var_rnoise: Float | None = None
    var_flat: Float | None = None
    dq: PixelDQ | None = None
    hdrtab: Table | None = None
    wcs: Any = None
