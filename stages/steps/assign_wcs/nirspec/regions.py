"""Which pixels of an exposure its slits, slices and failed shutters light."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from calwebbd.stages.exposure import Header, Subarray
from calwebbd.stages.references import References
from calwebbd.stages.steps.assign_wcs.nirspec import msa, slits
from calwebbd.stages.steps.assign_wcs.nirspec.apertures import Aperture, slice_apertures, slit_apertures
from calwebbd.stages.steps.assign_wcs.nirspec.optics import Optics, read_optics, tree_of
from calwebbd.stages.steps.assign_wcs.nirspec.traces import Mask, Trace, trace
from calwebbd.stages.threads import in_threads

SLITS = frozenset({"NRS_FIXEDSLIT", "NRS_BRIGHTOBJ", "NRS_MSASPEC"})


def science_regions(
    header: Header, subarray: Subarray, references: References, folder: Path, *, failed_open: bool
) -> tuple[Mask, bool] | None:
    """Pixels within slits (their boxes) or slices, (ny, nx); whether fixed slits are open.

    folder : where the metafile of micro-shutters is
    failed_open : whether to add the pixels that shutters light which cannot be closed (msaoper)

    None if no open slit or slice falls on the detector. Raises Failed for want of the
    metafile, ReferenceMissing if a reference of the instrument model is N/A.
    Source: specification detector1 §3 clean_flicker_noise, spec2 §4.
    """
    optics = read_optics(header, subarray, references)
    kind, lit = header.text("EXP_TYPE"), np.zeros((subarray.ny, subarray.nx), bool)
    fixed_slits_open = False
    if kind == "NRS_IFU":
        slices = slice_traces(header, references, optics)
        for each in slices:
            each.add_to(lit)
        if not slices:
            return None
    elif kind in SLITS:
        slitlets = slit_traces(header, references, optics, folder)
        for slit, each in slitlets:
            each.add_box_to(lit)
            fixed_slits_open |= slit.quadrant == slits.FIXED_QUADRANT
        if not slitlets:
            return None
    if failed_open:
        shutters = slits.failed_open(references["msaoper"].path)
        for shutter in traces(slit_apertures(shutters, tree_of(references, "msa"), optics), optics):
            if shutter:
                shutter.add_to(lit)
    return lit, fixed_slits_open


def slice_traces(header: Header, references: References, optics: Optics) -> list[Trace]:
    """Those of the slices on the detector."""
    detector, grating, filter_ = (header.text(key) for key in ("DETECTOR", "GRATING", "FILTER"))
    if detector == "NRS2" and (grating.endswith("M") or (grating, filter_) == ("G140H", "F070LP")):
        return []
    slicer, post = tree_of(references, "ifuslicer"), tree_of(references, "ifupost")
    return [each for each in traces(slice_apertures(slicer, post, optics), optics) if each]


def slit_traces(
    header: Header, references: References, optics: Optics, folder: Path
) -> list[tuple[Any, Trace]]:
    """Open slits (`Slit`) that fall on the detector, with their traces."""
    metrology = tree_of(references, "msa")
    opened = open_slits(header, folder, metrology)
    found = traces(slit_apertures(opened, metrology, optics), optics)
    return [(slit, each) for slit, each in zip(opened, found, strict=True) if each]


def traces(apertures: Sequence[Aperture], optics: Optics) -> list[Trace | None]:
    """Of each aperture; None where it misses the detector."""
    return in_threads([partial(trace, aperture, optics) for aperture in apertures])


def open_slits(header: Header, folder: Path, metrology: Any) -> list[Any]:
    """Slits and slitlets that were open, quadrant by quadrant; fixed slits last."""
    kind = header.text("EXP_TYPE")
    if kind == "NRS_FIXEDSLIT":
        return slits.fixed_slits(header)
    if kind == "NRS_BRIGHTOBJ":
        return [slits.fixed_slit("S1600A1", 1)]
    return sorted(msa.slitlets(header, folder, metrology), key=lambda slit: slit.quadrant)
