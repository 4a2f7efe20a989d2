"""Small guide-star exposures, as tests use them."""

from __future__ import annotations

from typing import Any

import numpy as np

from calwebbd.stages.exposure import GuideStar, Header


def make_guide_star(sci: Any, exp_type: str, **keywords: Any) -> GuideStar:
    """Raw groups, (nints, ngroups, ny, nx), or count rates, (nplanes, ny, nx), at the detector's corner."""
    sci = np.array(sci, np.float32)
    header = Header(
        TELESCOP="JWST", INSTRUME="FGS", DETECTOR="GUIDER1", EXP_TYPE=exp_type, SUBSTRT1=1, SUBSTRT2=1
    )
    header |= keywords
    return GuideStar(header, sci, dq=np.zeros(sci.shape[-2:], np.uint32))
