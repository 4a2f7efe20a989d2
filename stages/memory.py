"""How much memory a calibration will need, from headers alone: the service admits jobs by it.

The constants bound what processes of every read-out were seen to need. Each attempt records
its own peak, and says when it was more.
"""

import ctypes
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from calwebbd.stages.header import integer, text

MB = 1 << 20
PROCESS = {1: 240 * MB, 2: 290 * MB, 3: 290 * MB}  #: by stage: Python, its libraries, compiled kernels
SAMPLE = 5  #: bytes of a sample and its flags
IN_MEMORY = 256 * MB  #: samples of an exposure; those of a longer one are on disk
AT_ONCE = 64 * MB  #: of which so much is in memory at a time
BUDGET = "CALWEBBD_MOSAIC_MB"  #: of the environment, see `budget`; 256 if it is not there
PIXEL = 32  #: bytes of a pixel's references, flags and rates
THREAD = 20  #: bytes of a pixel of an image that a thread works on, for each thread but the first
RATE = 24  #: bytes of a pixel's rates in one integration
IMAGE = 120  #: bytes of a pixel in stage 2, its rectified image among them
MEMBER = 60  #: bytes of a pixel of one of the images that stage 3 combines
#: bytes on disk of a pixel of what a stage makes, beside scratch: rate; cal and i2d; crf and mosaic
WRITTEN = {1: 24, 2: 80, 3: 100}
IRS2_GROUP, IRS2_MEANS = 6 * MB, 50 * MB  #: on disk while IRS2 is corrected: of each group; of them all
ARENA_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -3, -1  # malloc.h: M_ARENA_MAX, …
LARGE = 4 * MB  #: bytes of an array that lies outside the heap: numpy asks for huge pages from here on


def peak_mb(
    stage: int, headers: Sequence[Mapping[str, Any]], *, threads: int = 1, mosaic_mb: int | None = None
) -> int:
    """Memory a job of this stage needs for exposures of these headers, MB.

    threads : that it may use
    mosaic_mb : for images that are combined, and as much for their mosaic; None: as `budget` says
    """
    if stage == 1:
        return sum(_ramps(header) + THREAD * (threads - 1) * _pixels(header) for header in headers) // MB
    if stage == 2:
        return (PROCESS[2] + sum(IMAGE * _pixels(h) * integrations(h) for h in headers)) // MB
    pixels = [_pixels(header) for header in headers]
    combined = budget() if mosaic_mb is None else mosaic_mb * MB
    one_by_one = IMAGE * max(pixels, default=0) + combined
    return (PROCESS[3] + min(MEMBER * sum(pixels), one_by_one)) // MB


def disk_mb(stage: int, headers: Sequence[Mapping[str, Any]]) -> int:
    """Room on the disk that a job of this stage needs for products and scratch files, MB."""
    planes = [_pixels(header) * integrations(header) for header in headers]
    if stage == 1:
        return sum(map(_written, headers)) // MB
    return (WRITTEN[stage] * sum(planes)) // MB


def _written(header: Mapping[str, Any]) -> int:
    """Rates, of each integration too where there are several; and the ramp, where it is on disk.

    What is on disk of interleaved exposures (IRS2) is so of one integration after the other.
    """
    nints, pixels, ngroups = integrations(header), _pixels(header), integer(header, "NGROUPS") or 1
    ramp = nints * pixels * ngroups * SAMPLE
    stored = ramp if nints > 1 and ramp > IN_MEMORY else 0
    if "IRS2" in text(header, "READPATT").upper():
        stored += ngroups * IRS2_GROUP + IRS2_MEANS
    return WRITTEN[1] * pixels * (1 + (nints if nints > 1 else 0)) + stored


def _ramps(header: Mapping[str, Any]) -> int:
    """Integrations of long exposures are taken a few at a time; one of them is always there as a whole.

    That is all superstripes of one, which are there twice while they are put side by side.
    """
    nints, pixels = integrations(header), _pixels(header)
    one = pixels * (integer(header, "NGROUPS") or 1) * SAMPLE
    stored = nints > 1 and nints * one > IN_MEMORY
    turns = integer(header, "SSTR_NST") or 1
    samples = 3 * max(turns * one, AT_ONCE) if stored else nints * one
    if turns > 1:
        samples *= 2
    rates = AT_ONCE if stored else nints * RATE * pixels
    return PROCESS[1] + samples + PIXEL * pixels + rates


def integrations(header: Mapping[str, Any]) -> int:
    """Of this file, which may be a segment of the exposure."""
    first, last = integer(header, "INTSTART"), integer(header, "INTEND")
    return last - first + 1 if first and last else integer(header, "NINTS") or 1


def _pixels(header: Mapping[str, Any]) -> int:
    columns, rows = (integer(header, keyword) or 2048 for keyword in ("SUBSIZE1", "SUBSIZE2"))
    return columns * rows


def budget() -> int:
    """Bytes that images which are combined may take, and as many their mosaic; what is more is on disk."""
    return int(os.environ.get(BUDGET) or 256) * MB


def keep_heap_small(large: int = LARGE) -> None:
    """Have freed memory go back to the system: that of large arrays at once, the rest by `release`.

    Unasked, the C library would take ever larger arrays, of up to 32 MB, into its heap, where
    holes remain between what is kept. Threads that are yet to begin share one heap: `release`
    returns that of no other.

    large : bytes of an array that lies outside the heap
    """
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    if choose:
        choose(ARENA_MAX, 1)
        choose(MMAP_THRESHOLD, large)
        choose(TRIM_THRESHOLD, 2 * large)


def release() -> None:
    """Give freed memory back to the system, which the C library would keep; it takes milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim:
        trim(0)


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """Have the collector of cycles look only at what is made within the context.

    Libraries have millions of objects, which it would go through again and again, 0.2 s at a time.
    """
    if gc.get_freeze_count():  # by whoever has their own reason
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
