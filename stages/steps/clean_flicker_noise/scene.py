"""Which pixels show background only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.exposure import Float, PixelDQ, Ramp
from calwebbd.stages.references import References
from calwebbd.stages.scratch import in_bands
from calwebbd.stages.step import Failed
from calwebbd.stages.steps.clean_flicker_noise.clipping import Mask, clip
from calwebbd.stages.steps.clean_flicker_noise.soss import soss_traces
from calwebbd.stages.steps.flat_field import usable_flat
from calwebbd.stages.steps.ramp_fit import Times, fit_slopes

DIM = 3.0  # sigma below the background at which a pixel is bad
FIXED_SLITS = slice(922, 1116)  # rows of NIRSpec's fixed slits
HALF_WIDTH = 16  # of a SOSS trace, pixels
SLITS = frozenset({"NRS_FIXEDSLIT", "NRS_BRIGHTOBJ", "NRS_MSASPEC", "NRS_IFU"})
SHUTTERS = frozenset({"NRS_MSASPEC", "NRS_IFU"})  # where light of the micro-shutters falls
#: CRDS types of NIRSpec's instrument model, up to the plane of its slits
MODEL = ("camera", "collimator", "disperser", "fpa", "wavelengthrange")
SLIT_REFERENCES = (*MODEL, "ifupost", "ifuslicer", "msa", "msaoper")


class OffDetector(Failed):
    """No open slit or slice of NIRSpec falls on the detector."""


def draft_rate(ramp: Ramp, references: References, by_integration: bool = False) -> tuple[Float, PixelDQ]:
    """Count rates of the exposure, or of its integrations, as ramp_fit's defaults give them, and their flags.

    The ramp stays as it is.
    """
    header, (nints, _, ny, nx) = ramp.header, ramp.sci.shape
    shape = (nints, ny, nx) if by_integration else (ny, nx)
    times = Times(header.real("TGROUP"), header.real("TFRAME"), header.integer("NFRAMES"))
    gain, readnoise = references["gain"].floats(), references["readnoise"].floats()
    rate, dq = np.empty(shape, np.float32), np.empty(shape, np.uint32)
    for rows, sci, groupdq in in_bands(ramp.sci, ramp.groupdq):
        fits = fit_slopes(sci, groupdq, ramp.pixeldq[rows].copy(), gain[rows], readnoise[rows], times)
        rate[..., rows, :], dq[..., rows, :] = fits[by_integration].sci, fits[by_integration].dq
    return rate, dq


def background_mask(
    rate: Float, science: Mask | bool = False, *, n_sigma: float = 2.0, fit_histogram: bool = False
) -> Mask:
    """True where a rate is that of the background: neither science nor missing, nor far from the rest.

    rate : (ny, nx) or (nints, ny, nx); missing are NaN and 0
    science : (ny, nx), pixels known to be lit
    n_sigma : above the centre from where on pixels count as lit; none does if it is not positive
    """
    mask = ~(np.isnan(rate) | (rate == 0) | science)
    if n_sigma > 0:
        shape = (-1, *rate.shape[-2:])
        for image, usable in zip(rate.reshape(shape), mask.reshape(shape), strict=True):
            clip(image, usable, DIM, n_sigma, histogram=fit_histogram)
    return np.asarray(mask)


def science_regions(
    ramp: Ramp, references: References, dq: PixelDQ, *, failed_open: bool | None = None
) -> NDArray[np.bool_]:
    """Pixels that are lit by design, and those that are not for science: (ny, nx), or as `dq`.

    dq : of the draft rate
    failed_open : whether to look for NIRSpec's failed-open shutters; default: where they matter most

    Raises what `slit_regions` raises.
    """
    kind = ramp.header.text("EXP_TYPE")
    ny, nx = ramp.sci.shape[-2:]
    science = np.zeros((ny, nx), bool)
    if kind.startswith("NRS_"):
        shutters = kind in SHUTTERS if failed_open is None else failed_open
        shutters = shutters and ramp.header.text("GRATING") != "MIRROR" and "msaoper" in references
        if kind in SLITS or shutters:
            lit, fixed_slits_open = slit_regions(ramp, references, failed_open=shutters)
            science |= lit
            if kind in SHUTTERS and not fixed_slits_open:
                science[FIXED_SLITS] = True
        return np.asarray(science | ((dq & flags.MSA_FAILED_OPEN) != 0))
    if kind == "NIS_SOSS":
        if "pastasoss" not in references:
            raise ReferenceMissing("mask_science_regions needs the pastasoss reference, which is N/A")
        for x, y in soss_traces(references["pastasoss"].tree(), ramp.header):
            science |= along_trace(x, y, (ny, nx))
    elif kind == "MIR_IMAGE":
        if "flat" in references:
            flat = references["flat"]
            dq = dq | usable_flat(flat.floats(), flat.dq())[1]
        return np.asarray((dq & (flags.DO_NOT_USE | flags.NON_SCIENCE)) != 0)
    return science


def slit_regions(ramp: Ramp, references: References, *, failed_open: bool) -> tuple[Mask, bool]:
    """Pixels of NIRSpec within slits or slices, and by failed-open shutters; whether fixed slits are open.

    Raises OffDetector if no slit or slice falls on the detector, Failed if the instrument
    model is N/A or the metafile of micro-shutters is not beside the exposure.
    """
    from calwebbd.stages.steps.assign_wcs.nirspec import regions  # takes a second

    kind = ramp.header.text("EXP_TYPE")
    of_slices = {"ifupost", "ifuslicer"} if kind == "NRS_IFU" else set()
    of_slits = {"msa"} if kind != "NRS_IFU" or failed_open else set()
    missing = [each for each in (*MODEL, *sorted(of_slices | of_slits)) if each not in references]
    if missing:
        raise Failed(f"mask_science_regions needs the NIRSpec WCS, but {', '.join(missing)} is N/A ({kind})")
    folder = Path(ramp.file).parent
    found = regions.science_regions(ramp.header, ramp.subarray, references, folder, failed_open=failed_open)
    if found is None:
        raise OffDetector(f"no open slit or slice falls on {ramp.header.text('DETECTOR')} ({kind})")
    return found


def along_trace(x: NDArray[np.float64], y: NDArray[np.float64], shape: tuple[int, int]) -> Mask:
    """Pixels up to 16 above and below a trace, at every column.

    x, y : of the trace, pixels, in any order
    """
    order = np.argsort(x)
    centre = np.interp(np.arange(shape[1]), x[order], y[order])
    rows = np.arange(shape[0])[:, None]
    return np.asarray((rows >= np.floor(centre - HALF_WIDTH)) & (rows <= np.ceil(centre + HALF_WIDTH)))
