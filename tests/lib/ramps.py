"""Small ramps, reference files and interpreted kernels, as tests of stage 1 use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numba.core.registry import CPUDispatcher

from calwebbd.stages.between import Between
from calwebbd.stages.exposure import Exposure, Header, Ramp, Subarray
from calwebbd.stages.irs2 import FULL, Layout, rows_of
from calwebbd.stages.kernels import Kernel
from calwebbd.stages.references import References

EXPOSURE = {
    "INSTRUME": "NIRCAM",
    "READPATT": "RAPID",
    "SUBARRAY": "SUB",
    "SUBSTRT1": 101,
    "SUBSTRT2": 201,
    "FASTAXIS": 1,
    "SLOWAXIS": 2,
    "NFRAMES": 1,
    "GROUPGAP": 0,
    "NOUTPUTS": 1,
}


def make_ramp(sci: Any, zeroframe: Any = None, **keywords: Any) -> Ramp:
    """A ramp of these values, (nints, ngroups, ny, nx), without flags, away from the detector's edges."""
    sci = np.array(sci, np.float32)
    zeroframe = None if zeroframe is None else np.array(zeroframe, np.float32)
    return Ramp(
        Header({**EXPOSURE, "ZEROFRAM": zeroframe is not None, **keywords}),
        sci,
        groupdq=np.zeros(sci.shape, np.uint8),
        pixeldq=np.zeros(sci.shape[-2:], np.uint32),
        zeroframe=zeroframe,
    )


def apart(ramp: Ramp, layout: Layout = FULL) -> Ramp:
    """An interleaved exposure, given with all rows, as it is read: its image, and what is beside it."""
    image, rows = rows_of(ramp.header, layout)
    sci, flags = (array.reshape(-1, *array.shape[-2:]) for array in (ramp.sci, ramp.groupdq))
    between = Between(
        image,
        rows,
        ramp.pixeldq[rows],
        np.zeros((len(rows), sci.shape[-1]), np.uint8),
        lambda group, some: sci[group, some],
        lambda group, some: flags[group, some],
    )
    return replace(
        ramp,
        sci=ramp.sci.take(image, -2),
        groupdq=ramp.groupdq.take(image, -2),
        pixeldq=ramp.pixeldq[image],
        zeroframe=None if ramp.zeroframe is None else ramp.zeroframe.take(image, -2),
        between=between,
    )


def make_stripes(sci: Any, superstripe: int | None = None, **keywords: Any) -> Ramp:
    """A ramp of stripes: of one superstripe, or of all SSTR_NST that take turns, if there are any."""
    pattern = {f"MSTR_{name}": 0 for name in ("RD1", "SK1", "RD2", "SK2", "RPT", "ILV")}
    ramp = make_ramp(sci, **{**pattern, "SSTR_STP": 0, "SSTR_NST": 0, **keywords})
    number = ramp.header.integer("SSTR_NST")
    if superstripe is not None:
        ramp.superstripe = superstripe
    elif number:
        ramp.pixeldq = np.zeros((number, *ramp.sci.shape[-2:]), np.uint32)
    return ramp


def write_reference(folder: Path, kind: str, ramp: Exposure, /, dq: Any = 0, **arrays: Any) -> References:
    """A reference file with these extensions (lower case), cut for the ramp, and keywords (upper case)."""
    sub: Subarray = ramp.subarray
    header = fits.Header({"SUBSTRT1": sub.x + 1, "SUBSTRT2": sub.y + 1})
    header.update({k: v for k, v in arrays.items() if k.isupper()})
    hdus = [fits.PrimaryHDU(header=header)]
    hdus += [fits.ImageHDU(np.array(v, np.float32), name=k) for k, v in arrays.items() if not k.isupper()]
    shape = np.broadcast_shapes(np.shape(dq), (sub.ny, sub.nx))
    hdus += [fits.ImageHDU(np.broadcast_to(np.asarray(dq, np.uint32), shape), name="DQ")]
    path = folder / f"{kind}.fits"
    fits.HDUList(hdus).writeto(path)
    return References({kind: path}, sub)


@contextmanager
def interpreted(kernel: Kernel) -> Iterator[Callable[..., Any]]:
    """The kernel as plain Python, its helpers too."""
    names: dict[str, Any] = kernel.python.__globals__
    compiled: Mapping[str, Any] = {k: v for k, v in names.items() if isinstance(v, CPUDispatcher)}
    names.update({k: v.py_func for k, v in compiled.items()})
    try:
        yield kernel.python
    finally:
        names.update(compiled)


def same_for_any_threads(monkeypatch: Any, work: Callable[[], tuple[Any, ...]]) -> None:
    """Assert that `work` returns the same arrays, to the last bit, with one, two and five threads."""
    results = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("CALWEBBD_THREADS", threads)
        results.append(work())
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
