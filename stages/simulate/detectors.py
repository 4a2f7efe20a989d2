"""NIRCam as the simulator knows it: detectors, subarrays, read patterns and filters.

Pixel positions are zero-based and in the science frame. Places of the detectors on
the focal plane are those of the SIAF to a few milliarcseconds; subarray corners are
chosen for plain geometry and are not the flight ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.exposure import Subarray

T = TypeVar("T")

SIDE: Final = 2048  #: pixels on a side of the detector
BORDER: Final = 4  #: width of the frame of reference pixels
CLOCK: Final = 1e-5  #: s, time to read one pixel


@dataclass(frozen=True)
class Detector:
    """One detector: where it looks, how it is read, what its pixels are like."""

    name: str
    v2: float  #: arcsec, of the centre of the array
    v3: float  #: arcsec
    yangle: float  #: deg, from V3 to the ideal y axis
    fastaxis: int
    slowaxis: int
    sca: int  #: SCA_NUM
    gain: float  #: e-/DN
    noise: float  #: DN, of the difference of two reads
    bias: float  #: DN
    full_well: float  #: DN, including the bias
    dark: float  #: e-/s

    @property
    def module(self) -> str:
        return self.name[3]

    @property
    def channel(self) -> str:
        return "LONG" if self.name.endswith("LONG") else "SHORT"

    @property
    def scale(self) -> tuple[float, float]:
        """Size of a pixel along x and y, arcsec."""
        return (0.0629, 0.0630) if self.channel == "LONG" else (0.0310, 0.0312)

    @property
    def aperture(self) -> str:
        """Its name in the SIAF, where NRCALONG is NRCA5."""
        return self.name.replace("LONG", "5")


DETECTORS: Final[dict[str, Detector]] = {
    detector.name: detector
    for detector in (
        Detector("NRCA1", 120.6714, -527.3877, -0.5696, -1, 2, 481, 2.05, 11.0, 11500, 58000, 0.0019),
        Detector("NRCA2", 120.1121, -459.6806, -0.2546, 1, -2, 482, 2.01, 11.5, 12100, 57500, 0.0017),
        Detector("NRCA3", 51.9345, -527.8034, 0.1927, -1, 2, 483, 2.06, 10.8, 11200, 58500, 0.0019),
        Detector("NRCA4", 52.2768, -459.8097, 0.0673, 1, -2, 484, 2.00, 11.2, 11900, 57000, 0.0018),
        Detector("NRCALONG", 86.1035, -493.2275, -0.0265, -1, 2, 485, 1.84, 9.0, 9500, 59000, 0.034),
        Detector("NRCB1", -120.9682, -457.7527, 0.3166, 1, -2, 486, 2.02, 11.0, 12500, 57500, 0.0018),
        Detector("NRCB2", -121.1443, -525.4582, 0.5078, -1, 2, 487, 2.04, 10.9, 11700, 58000, 0.0019),
        Detector("NRCB3", -53.1238, -457.7804, -0.0656, 1, -2, 488, 1.98, 11.3, 12000, 57800, 0.0017),
        Detector("NRCB4", -52.8182, -525.7273, 0.1390, -1, 2, 489, 2.03, 11.1, 11400, 58200, 0.0018),
        Detector("NRCBLONG", -89.3892, -491.4440, 0.0101, 1, -2, 490, 1.82, 9.2, 9800, 59200, 0.035),
    )
}

#: Side in pixels. Those ending in P stand in a corner of the detector and hold reference pixels.
SUBARRAYS: Final[dict[str, int]] = {
    "FULL": SIDE, "SUB640": 640, "SUB320": 320, "SUB160": 160, "SUB400P": 400, "SUB160P": 160, "SUB64P": 64,
}  # fmt: skip

#: Frames averaged on board into a group, frames left out after it.
READ_PATTERNS: Final[dict[str, tuple[int, int]]] = {
    "RAPID": (1, 0), "BRIGHT1": (1, 1), "BRIGHT2": (2, 0), "SHALLOW2": (2, 3), "SHALLOW4": (4, 1),
    "MEDIUM2": (2, 8), "MEDIUM8": (8, 2), "DEEP2": (2, 18), "DEEP8": (8, 12),
}  # fmt: skip

INSET: Final = 8  #: pixels between the inner subarrays and the edge of the detector


@dataclass(frozen=True)
class Filter:
    """A filter, its image of a star and its throughput."""

    name: str
    channel: str
    fwhm: float  #: pixels
    photmjsr: float  #: MJy/sr per DN/s
    sky: float  #: MJy/sr
    vega: float  #: AB magnitude of Vega


FILTERS: Final[dict[str, Filter]] = {
    f.name: f
    for f in (
        Filter("F115W", "SHORT", 1.75, 2.70, 0.28, 0.77),
        Filter("F150W", "SHORT", 1.85, 2.10, 0.26, 1.24),
        Filter("F200W", "SHORT", 2.14, 1.88, 0.25, 1.70),
        Filter("F277W", "LONG", 1.95, 0.42, 0.20, 2.31),
        Filter("F356W", "LONG", 2.10, 0.38, 0.25, 2.80),
        Filter("F444W", "LONG", 2.30, 0.40, 0.45, 3.24),
    )
}


def known(table: dict[str, T], name: str, what: str) -> T:
    """The entry of that name; ParameterError names those there are."""
    if name not in table:
        raise ParameterError(f"{name!r} is not a {what}: {', '.join(table)}", step="simulate")
    return table[name]


def window(detector: Detector, subarray: str) -> Subarray:
    """Where the subarray lies on the detector.

    On a short-wave detector the plain subarrays stand at the corner nearest to the
    middle of the module, on a long-wave one at the centre, so that both see the same
    sky. Those ending in P stand at the corner furthest from it.
    """
    side = known(SUBARRAYS, subarray, "subarray")
    if subarray == "FULL":
        return Subarray(0, 0, SIDE, SIDE)
    outer = subarray.endswith("P")
    if detector.channel == "LONG" and not outer:
        start = (SIDE - side) // 2
        return Subarray(start, start, side, side)
    # x runs towards smaller V2 and y towards larger V3 on every detector; a long-wave
    # detector has the outer corner of short-wave detector 1.
    module = DETECTORS[f"NRC{detector.module}LONG"]
    corner = DETECTORS[f"NRC{detector.module}1"] if detector.channel == "LONG" else detector
    right, top = corner.v2 > module.v2, corner.v3 < module.v3
    inset = 0 if outer else INSET
    low, high = inset, SIDE - side - inset
    return Subarray(high if right != outer else low, high if top != outer else low, side, side)


@dataclass(frozen=True)
class Readout:
    """How an exposure is read: frames into groups, groups into integrations."""

    subarray: str
    pattern: str
    ngroups: int
    nints: int

    def __post_init__(self) -> None:
        known(SUBARRAYS, self.subarray, "subarray")
        known(READ_PATTERNS, self.pattern, "read pattern")
        if self.ngroups < 1 or self.nints < 1:
            raise ParameterError("an exposure has at least one group and one integration", step="simulate")

    @property
    def nframes(self) -> int:
        return READ_PATTERNS[self.pattern][0]

    @property
    def groupgap(self) -> int:
        return READ_PATTERNS[self.pattern][1]

    @property
    def noutputs(self) -> int:
        return 4 if self.subarray == "FULL" else 1

    @property
    def tframe(self) -> float:
        """s; each output reads its columns and 12 ticks more a line (rounded as in the headers)."""
        side = SUBARRAYS[self.subarray]
        ticks = (side // self.noutputs + 12) * (side + (1 if self.noutputs == 4 else 2))
        return round((ticks + (self.noutputs == 4)) * CLOCK, 5)

    @property
    def tgroup(self) -> float:
        return self.tframe * (self.nframes + self.groupgap)

    @property
    def total_frames(self) -> int:
        """Frames from the reset to the last read of an integration."""
        return self.ngroups * self.nframes + (self.ngroups - 1) * self.groupgap

    @property
    def integration_time(self) -> float:
        return self.tframe * self.total_frames
