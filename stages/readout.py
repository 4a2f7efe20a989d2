"""How a detector was read out, and what follows for its pixels.

Rows and columns of detector orientation are those of the read-out: the fast axis runs
along rows, pixel by pixel as they were clocked, and the slow axis across them.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from calwebbd.stages.exposure import Float, Header, Ramp

SIZE = 2048  # pixels along each side of a near-infrared detector
BORDER = 4  # of them, reference pixels at each edge
MIRI_ROWS, MIRI_COLUMNS = 1024, 1032  # of MIRI's detectors, of which BORDER columns at the left and right


def is_miri(header: Header) -> bool:
    return header.text("INSTRUME") == "MIRI"


def is_irs2(header: Header) -> bool:
    """Whether NIRSpec read reference pixels between the others."""
    return "IRS2" in header.text("READPATT")


def first_integration(ramp: Ramp) -> int:
    """Number, from 1, that the ramp's first integration has in its exposure."""
    return ramp.header.integer("INTSTART", 1) + ramp.first


def zero_frame(ramp: Ramp) -> Float | None:
    """The first frames, if the header says that they were kept; their zeros are bad pixels."""
    return ramp.zeroframe if ramp.header.get("ZEROFRAM") is True else None


def to_detector(array: NDArray[Any], header: Header) -> NDArray[Any]:
    """View of the last two axes, (y, x), in detector orientation: (slow, fast)."""
    fast, slow = header.integer("FASTAXIS"), header.integer("SLOWAXIS")
    if abs(fast) == 2:
        array = array.swapaxes(-1, -2)
    return array[..., :: 1 if slow > 0 else -1, :: 1 if fast > 0 else -1]


def corner(ramp: Ramp) -> tuple[int, int]:
    """Where the first pixel of the subarray lies on the detector, in detector orientation: (slow, fast)."""
    fast, slow = ramp.header.integer("FASTAXIS"), ramp.header.integer("SLOWAXIS")
    sub = ramp.subarray
    along = {1: (sub.x, sub.nx), 2: (sub.y, sub.ny)}

    def first(axis: int) -> int:
        start, length = along[abs(axis)]
        return start if axis > 0 else SIZE - start - length

    return first(slow), first(fast)
