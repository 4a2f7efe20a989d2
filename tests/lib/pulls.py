"""How far products are from the simulator's truth."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from calwebbd.stages import flags
from calwebbd.stages.simulate.truth import Truth

DEVIATIONS = 5.0  #: times the noise of a difference: cosmic rays that ought to be found
BAD = flags.DO_NOT_USE | flags.SATURATED


@dataclass(frozen=True)
class Pulls:
    """(measured - true) / error, of so many pixels: their median and half the range of the central 68 %."""

    count: int
    median: float
    width: float


def pulls_of(rateints: Path, truth: Truth) -> Pulls:
    """Those of all pixels of all integrations that have no flag."""
    with fits.open(rateints) as hdus:
        sci, err, dq = (hdus[name].data for name in ("SCI", "ERR", "DQ"))
        good = (dq == 0) & (err > 0)
        pulls = ((sci.astype(np.float64) - truth.rate)[good]) / err[good]
    low, middle, high = np.percentile(pulls, [15.865, 50, 84.135])
    return Pulls(pulls.size, float(middle), float(high - low) / 2)


@dataclass(frozen=True)
class Jumps:
    """Cosmic rays that could be found and were; flags where there was none, and groups without any."""

    hits: int = 0
    found: int = 0
    false: int = 0
    quiet: int = 0

    @property
    def completeness(self) -> float:
        return self.found / max(self.hits, 1)

    @property
    def false_rate(self) -> float:
        return self.false / max(self.quiet, 1)


def jumps_of(ramp: Path, truth: Truth, references: Path) -> Jumps:
    """The flags of the jump step beside the true hits.

    A difference can be used if neither of its groups is saturated or not to be used. Those
    with a hit too weak count neither way.

    references : the folder of the files that the ramp's header names, of its subarray
    """
    with fits.open(ramp) as hdus:
        header, dq = hdus[0].header, hdus["GROUPDQ"].data
    gain, readnoise = (
        fits.getdata(references / header[key].removeprefix("crds://")) for key in ("R_GAIN", "R_READNO")
    )
    usable = ((dq[:, 1:] | dq[:, :-1]) & BAD) == 0
    jumps = (dq[:, 1:] & flags.JUMP_DET) > 0
    noise = np.sqrt(readnoise**2 / header["NFRAMES"] + truth.electrons * header["TGROUP"] / gain**2)
    charge = np.zeros(dq.shape, np.float32)
    hits = truth.cosmic_rays
    np.add.at(charge, (hits["integration"], hits["group"], hits["y"], hits["x"]), hits["electrons"])
    strong = usable & (charge[:, 1:] / gain > DEVIATIONS * noise)
    quiet = usable & (charge[:, 1:] == 0)
    return Jumps(*(int(np.count_nonzero(a)) for a in (strong, strong & jumps, quiet & jumps, quiet)))


def stripes_of(ramp: Path, truth: Truth) -> float:
    """DN rms of what lines have in common, in differences of successive groups less their true signal.

    Each line, along which the detector is read, counts with the median of its pixels without flags;
    the level of the whole difference does not count.
    """
    with fits.open(ramp) as hdus:
        header, sci = hdus[0].header, hdus["SCI"].data
        flagged = (hdus["GROUPDQ"].data > 0) | (hdus["PIXELDQ"].data > 0)
    residual = np.diff(sci, axis=1) - truth.rate * header["TGROUP"]
    residual[flagged[:, 1:] | flagged[:, :-1]] = np.nan
    lines = residual if abs(header["SLOWAXIS"]) == 2 else residual.swapaxes(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # lines without any good pixel
        levels = np.nanmedian(lines, axis=3)
    return float(np.sqrt(np.nanmean((levels - np.nanmean(levels, axis=2, keepdims=True)) ** 2)))
