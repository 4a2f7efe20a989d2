"""How detectors are read: subarrays, read patterns, frames into groups and integrations.

Subarray corners are zero-based, in the science frame. NIRCam's are chosen for plain
geometry and NIRSpec's are nominal; neither are the flight ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.simulate.detectors import DETECTORS, SIDE, Detector, known

CLOCK: Final = 1e-5  #: s, time to read one pixel
INSET: Final = 8  #: pixels between the inner subarrays of NIRCam and the edge of the detector
WHOLE: Final = Subarray(0, 0, SIDE, SIDE)

#: Those of NIRCam are squares that stand elsewhere on each detector (`window`); those
#: ending in P stand in a corner of it and hold reference pixels.
SUBARRAYS: Final[dict[str, dict[str, Subarray]]] = {
    "NIRCAM": {
        "FULL": WHOLE,
        **{f"SUB{side}": Subarray(0, 0, side, side) for side in (640, 320, 160)},
        **{f"SUB{side}P": Subarray(0, 0, side, side) for side in (400, 160, 64)},
    },
    "NIRSPEC": {
        "FULL": WHOLE,
        "ALLSLITS": Subarray(0, 896, SIDE, 256),
        "SUBS200A1": Subarray(0, 1055, SIDE, 64),
        "SUB2048": Subarray(0, 956, SIDE, 32),
        "SUB512": Subarray(868, 956, 512, 32),
        "SUB32": Subarray(1002, 956, 32, 32),
    },
    "NIRISS": {
        "FULL": WHOLE,
        "SUBSTRIP256": Subarray(0, 1792, SIDE, 256),
        "SUBSTRIP96": Subarray(0, 1802, SIDE, 96),
        "SUB256": Subarray(1792, 1792, 256, 256),
        "SUB80": Subarray(1044, 0, 80, 80),
    },
    "FGS": {"FULL": WHOLE, "SUB128CNTR": Subarray(960, 960, 128, 128)},
    "MIRI": {
        "FULL": Subarray(0, 0, 1032, 1024),
        "BRIGHTSKY": Subarray(456, 50, 512, 512),
        "SUB256": Subarray(412, 50, 256, 256),
        "SUB128": Subarray(0, 888, 136, 128),
        "SUB64": Subarray(0, 778, 72, 64),
        "SLITLESSPRISM": Subarray(0, 528, 72, 416),
    },
}
#: Clocks to read a row of MIRI; the rows outside the subarray are reset in SKIPPED clocks each.
ROW_CLOCKS: Final = {
    "FULL": 271, "BRIGHTSKY": 162, "SUB256": 96, "SUB128": 44, "SUB64": 28, "SLITLESSPRISM": 28
}  # fmt: skip
SLOW_ROW_CLOCKS: Final = 2333
SKIPPED: Final = 7
IRS2_LINE: Final = 712  #: clocks to read a line of NIRSpec with the reference pixels between


@dataclass(frozen=True)
class Family:
    """Read patterns of an instrument that share their reference files.

    patterns : frames averaged on board into a group, frames left out after it
    """

    instrument: str
    patterns: dict[str, tuple[int, int]]
    noise: float = 1.0  #: of a read, in units of that of the detector
    full_only: bool = False

    @property
    def name(self) -> str:
        return next(iter(self.patterns))

    @property
    def interleaved(self) -> bool:
        """Whether NIRSpec reads reference pixels between the others."""
        return "IRS2" in self.name


FAMILIES: Final = (
    Family("NIRCAM", {
        "RAPID": (1, 0), "BRIGHT1": (1, 1), "BRIGHT2": (2, 0), "SHALLOW2": (2, 3), "SHALLOW4": (4, 1),
        "MEDIUM2": (2, 8), "MEDIUM8": (8, 2), "DEEP2": (2, 18), "DEEP8": (8, 12),
    }),
    Family("NIRSPEC", {"NRSRAPID": (1, 0), "NRS": (4, 0)}),
    Family("NIRSPEC", {"NRSIRS2RAPID": (1, 0), "NRSIRS2": (5, 0)}, noise=0.75, full_only=True),
    Family("NIRISS", {"NISRAPID": (1, 0), "NIS": (4, 0)}),
    Family("FGS", {"FGSRAPID": (1, 0), "FGS": (4, 0), "FGS60": (1, 5), "FGS8370": (4, 35)}),
    Family("MIRI", {"FASTR1": (1, 0), "FAST": (1, 0)}),
    Family("MIRI", {"SLOWR1": (1, 0), "SLOW": (1, 0)}, noise=0.45, full_only=True),
)  # fmt: skip
READ_PATTERNS: Final = {name: family for family in FAMILIES for name in family.patterns}
#: FRMDIVSR where it is not the number of frames: on board, a sum is divided by shifting its bits.
DIVISORS: Final = {"NRSIRS2": 4}


@dataclass(frozen=True)
class Readout:
    """How an exposure is read: frames into groups, groups into integrations."""

    subarray: str
    pattern: str
    ngroups: int
    nints: int

    def __post_init__(self) -> None:
        family = known(READ_PATTERNS, self.pattern, "read pattern")
        known(SUBARRAYS[family.instrument], self.subarray, f"subarray of {family.instrument}")
        if family.full_only and self.subarray != "FULL":
            raise ParameterError(f"{self.pattern} reads no subarray, but {self.subarray}", step="simulate")
        if self.ngroups < 1 or self.nints < 1:
            raise ParameterError("an exposure has at least one group and one integration", step="simulate")

    @property
    def family(self) -> Family:
        return READ_PATTERNS[self.pattern]

    @property
    def instrument(self) -> str:
        return self.family.instrument

    @property
    def irs2(self) -> bool:
        return self.family.interleaved

    @property
    def nframes(self) -> int:
        return self.family.patterns[self.pattern][0]

    @property
    def groupgap(self) -> int:
        return self.family.patterns[self.pattern][1]

    @property
    def divisor(self) -> int:
        """By which the sum of a group's frames is divided on board."""
        return DIVISORS.get(self.pattern, self.nframes)

    @property
    def zeroframe(self) -> bool:
        """Whether the first frame is sent to the ground apart."""
        return self.instrument == "NIRCAM" and self.nframes > 1

    @property
    def samples(self) -> int:
        """Of each pixel in a frame (NSAMPLES)."""
        return 9 if "SLOW" in self.pattern else 1

    @property
    def noutputs(self) -> int:
        return 4 if self.subarray == "FULL" or self.instrument == "MIRI" else 1

    @property
    def row_clocks(self) -> int:
        """Of MIRI."""
        return SLOW_ROW_CLOCKS if self.samples > 1 else ROW_CLOCKS[self.subarray]

    @property
    def frame_clocks(self) -> int:
        """Each output reads its part of a line and 12 ticks more."""
        size = SUBARRAYS[self.instrument][self.subarray]
        if self.instrument == "MIRI":
            return self.row_clocks * size.ny + SKIPPED * (1024 - size.ny)
        along_x = self.instrument == "NIRCAM"
        line, lines = (size.nx, size.ny) if along_x else (size.ny, size.nx)
        if self.noutputs == 4:
            return (IRS2_LINE if self.irs2 else line // 4 + 12) * (lines + 1) + 1
        return (line + 12) * (lines + (1 if self.instrument == "NIRSPEC" else 2))

    @property
    def tframe(self) -> float:
        """s, rounded as in the headers."""
        return round(self.frame_clocks * CLOCK, 5)

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


def subarrays(detector: Detector) -> dict[str, Subarray]:
    """Those that the detector can be read in; the spectrometers of MIRI have the full frame only."""
    of_instrument = SUBARRAYS[detector.instrument]
    return {"FULL": of_instrument["FULL"]} if detector.name.startswith("MIRIFU") else of_instrument


def window(detector: Detector, subarray: str) -> Subarray:
    """Where the subarray lies on the detector.

    On a short-wave detector of NIRCam the plain subarrays stand at the corner nearest to
    the middle of the module, on a long-wave one at the centre, so that both see the same
    sky. Those ending in P stand at the corner furthest from it.
    """
    place = known(subarrays(detector), subarray, f"subarray of {detector.name}")
    if detector.instrument != "NIRCAM" or subarray == "FULL":
        return place
    side, outer = place.nx, subarray.endswith("P")
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
