"""Small guide-star exposures and their references, as tests use them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calwebbd.stages import flags
from calwebbd.stages.exposure import Header
from calwebbd.stages.products import GuideStar
from calwebbd.stages.simulate import mappings

FLIGHT = Path(__file__).parents[1] / "data/fgs/jw01019001001_gs-acq1_2022117003102_uncal.fits"
GAIN, READNOISE, FLAT, BAD = 1.5, 12.0, 1.25, (3, 5)  # everywhere; row and column of a dead pixel


def make_guide_star(sci: Any, exp_type: str, **keywords: Any) -> GuideStar:
    """Raw groups, (nints, ngroups, ny, nx), or count rates, (nplanes, ny, nx), at the detector's corner."""
    sci = np.array(sci, np.float32)
    header = Header(
        TELESCOP="JWST", INSTRUME="FGS", DETECTOR="GUIDER1", EXP_TYPE=exp_type, SUBSTRT1=1, SUBSTRT2=1
    )
    header |= keywords
    return GuideStar(header, sci, dq=np.zeros(sci.shape[-2:], np.uint32))


def add_references(cache: Path, context: str = "jwst_0002.pmap") -> None:
    """Add references of the window of the flight exposure to a simulated cache, in this context."""
    folder, rules = cache / "references" / "jwst" / "fgs", cache / "mappings" / "jwst"
    folder.mkdir(exist_ok=True)
    dq = np.zeros((128, 128), np.uint32)
    dq[BAD] = flags.DO_NOT_USE | flags.DEAD
    flat = {"SCI": np.full(dq.shape, FLAT), "ERR": np.zeros(dq.shape), "DQ": np.zeros_like(dq)}
    contents = {
        "mask": {"DQ": dq},
        "gain": {"SCI": np.full(dq.shape, GAIN)},
        "readnoise": {"SCI": np.full(dq.shape, READNOISE)},
        "flat": flat,
    }
    place = fits.Header([("SUBSTRT1", 887), ("SUBSTRT2", 1022)])
    for kind, arrays in contents.items():
        hdus = [
            fits.ImageHDU(array.astype("u4" if n == "DQ" else "f4"), name=n) for n, array in arrays.items()
        ]
        name = f"jwst_fgs_{kind}_0001"
        fits.HDUList([fits.PrimaryHDU(header=place), *hdus]).writeto(folder / f"{name}.fits")
        key, files = ("META.INSTRUMENT.DETECTOR",), {("GUIDER2",): f"{name}.fits"}
        mappings.write_rmap(rules / f"{name}.rmap", "FGS", kind, key, files)
    mappings.write_imap(
        rules / "jwst_fgs_0002.imap", "FGS", {kind: f"jwst_fgs_{kind}_0001.rmap" for kind in contents}
    )
    imaps = dict(re.findall(r"'(\w+)' : '(\w+\.imap)'", (rules / context).read_text()))
    mappings.write_pmap(rules / context, imaps | {"FGS": "jwst_fgs_0002.imap"})
