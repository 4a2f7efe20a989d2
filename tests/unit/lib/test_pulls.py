"""How products are compared with the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from pulls import Jumps, jumps_of, pulls_of, stripes_of

from calwebbd.stages import flags
from calwebbd.stages.simulate.ramp import HIT
from calwebbd.stages.simulate.truth import Truth

SIDE = 100


def truth(*hits: tuple[int, int, int, int, float]) -> Truth:
    """A rate of 2 DN/s, 4 e-/s everywhere."""
    rate = np.full((SIDE, SIDE), 2, np.float32)
    return Truth(2 * rate, rate, np.array(list(hits), HIT), np.zeros(0))


def write(path: Path, **arrays: np.ndarray) -> Path:
    header = fits.Header(
        {
            "NFRAMES": 1,
            "TGROUP": 1.0,
            "SLOWAXIS": 2,
            "R_GAIN": "crds://gain.fits",
            "R_READNO": "crds://noise.fits",
        }
    )
    hdus = [
        fits.PrimaryHDU(header=header),
        *(fits.ImageHDU(array, name=name) for name, array in arrays.items()),
    ]
    fits.HDUList(hdus).writeto(path)
    return path


def test_errors_that_are_right_give_pulls_of_width_one(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(size=(1, SIDE, SIDE))
    err, dq = np.full(noise.shape, 0.1), np.zeros(noise.shape, np.uint32)
    dq[0, 0] = 1
    sci = 2 + 0.1 * noise
    sci[0, 0] = 1e6
    found = pulls_of(write(tmp_path / "rateints.fits", sci=sci, err=err, dq=dq), truth())
    assert found.count == SIDE * (SIDE - 1)
    assert (found.median, found.width) == pytest.approx((0, 1), abs=0.05)


def test_hits_are_found_where_they_are_flagged_and_other_flags_are_false(tmp_path: Path) -> None:
    groupdq = np.zeros((1, 3, SIDE, SIDE), np.uint8)
    groupdq[0, 1, 5, 5] = flags.JUMP_DET  # a hit
    groupdq[0, 2, 7, 7] = flags.JUMP_DET  # none
    groupdq[0, 1, 9, 9] = flags.SATURATED  # a hit that no one could find
    hits = [(0, 1, 5, 5, 900.0), (0, 2, 6, 6, 900.0), (0, 1, 9, 9, 900.0), (0, 1, 8, 8, 1.0)]
    write(tmp_path / "gain.fits", sci=np.full((SIDE, SIDE), 2.0))
    write(tmp_path / "noise.fits", sci=np.full((SIDE, SIDE), 10.0))
    ramp = write(tmp_path / "jump.fits", groupdq=groupdq)
    found = jumps_of(ramp, truth(*hits), tmp_path)
    # two differences a pixel, without those of four hits and the other one of the saturated pixel
    assert found == Jumps(hits=2, found=1, false=1, quiet=2 * SIDE**2 - 5)
    assert found.completeness == 0.5


def test_stripes_are_what_lines_have_in_common(tmp_path: Path) -> None:
    sci = np.zeros((1, 2, SIDE, SIDE), np.float32)
    sci[0, 1] = truth().rate + 50.0  # a level is no stripe
    sci[0, 1, ::2] += 3
    sci[0, 1, 0] = 1e6
    groupdq, pixeldq = np.zeros(sci.shape, np.uint8), np.zeros((SIDE, SIDE), np.uint32)
    pixeldq[0] = flags.DO_NOT_USE
    file = write(tmp_path / "ramp.fits", sci=sci, groupdq=groupdq, pixeldq=pixeldq)
    assert stripes_of(file, truth()) == pytest.approx(1.5, rel=1e-3)
