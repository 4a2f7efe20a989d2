"""The detectors of JWST as the simulator knows them, and the filters in front of them.

Pixel positions are zero-based and in the science frame. Places of the detectors on the
focal plane are those of the SIAF, of NIRCam's to a few milliarcseconds, of others' near it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from calwebbd.stages.errors import ParameterError

T = TypeVar("T")

SIDE: Final = 2048  #: pixels on a side of a near-infrared detector

#: By how the names of its detectors begin.
INSTRUMENTS: Final = {"NRC": "NIRCAM", "NRS": "NIRSPEC", "NIS": "NIRISS", "GUI": "FGS", "MIR": "MIRI"}

#: Size of a pixel along x and y, arcsec.
SCALES: Final = {
    "SHORT": (0.0310, 0.0312), "LONG": (0.0629, 0.0630), "NIRSPEC": (0.1039, 0.1055),
    "NIRISS": (0.0656, 0.0658), "FGS": (0.0692, 0.0696), "MIRI": (0.1102, 0.1109),
}  # fmt: skip


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
    def instrument(self) -> str:
        return INSTRUMENTS[self.name[:3]]

    @property
    def miri(self) -> bool:
        """Whether it is a silicon array of MIRI, which is read in another way."""
        return self.instrument == "MIRI"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (1024, 1032) if self.miri else (SIDE, SIDE)

    @property
    def border(self) -> tuple[int, int]:
        """Rows and columns of reference pixels at either edge."""
        return (0, 4) if self.miri else (4, 4)

    @property
    def module(self) -> str:
        """Of NIRCam; means nothing of others."""
        return self.name[3:4]

    @property
    def channel(self) -> str:
        """That of NIRCam; the other instruments have one, with their name."""
        if self.instrument != "NIRCAM":
            return self.instrument
        return "LONG" if self.name.endswith("LONG") else "SHORT"

    @property
    def scale(self) -> tuple[float, float]:
        """Size of a pixel along x and y, arcsec."""
        return SCALES[self.channel]

    @property
    def aperture(self) -> str:
        """Its name in the SIAF, where NRCALONG is NRCA5."""
        return (
            self.name.replace("IMAGE", "M")
            .replace("GUIDER", "FGS")
            .replace("ALONG", "A5")
            .replace("BLONG", "B5")
        )


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
        Detector("NRS1", 378.77, -428.16, 138.5, 2, 1, 491, 0.996, 9.5, 13000, 60000, 0.0092),
        Detector("NRS2", 378.77, -428.16, 138.5, -2, -1, 492, 1.137, 9.0, 12000, 60000, 0.0057),
        Detector("NIS", -290.1, -697.5, -0.5722, -2, -1, 496, 1.61, 11.5, 11000, 60000, 0.02),
        Detector("GUIDER1", 207.19, -697.5, -1.2508, -2, -1, 497, 1.75, 13.0, 11500, 58000, 0.01),
        Detector("GUIDER2", 24.43, -697.5, 0.1978, 2, -1, 498, 1.57, 13.0, 11500, 58000, 0.01),
        Detector("MIRIMAGE", -433.0, -375.0, 4.8354, 1, 2, 493, 3.10, 5.6, 9300, 57000, 0.12),
        Detector("MIRIFULONG", -503.2, -318.7, 8.0, 1, 2, 494, 3.10, 5.5, 9000, 57000, 0.1),
        Detector("MIRIFUSHORT", -503.2, -318.7, 8.0, 1, 2, 495, 3.10, 5.5, 9400, 57000, 0.1),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """A filter, its image of a star and its throughput."""

    name: str
    channel: str  #: of NIRCam, or the instrument
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
        Filter("F158M", "NIRISS", 1.80, 0.70, 0.26, 1.30),
        Filter("F480M", "NIRISS", 2.40, 0.90, 0.50, 3.40),
        Filter("OPEN", "FGS", 2.00, 0.25, 0.30, 1.90),
        Filter("F770W", "MIRI", 2.44, 0.29, 8.00, 4.38),
    )
}


def known(table: dict[str, T], name: str, what: str) -> T:
    """The entry of that name; ParameterError names those there are."""
    if name not in table:
        raise ParameterError(f"{name!r} is not a {what}: {', '.join(table)}", step="simulate")
    return table[name]
