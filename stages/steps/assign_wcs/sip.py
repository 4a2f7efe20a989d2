"""Approximate a gwcs by the TAN-SIP keywords that FITS viewers understand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from calwebbd.stages.exposure import Header

MAX_DEGREE = 5
_FITTED = re.compile(r"(A|B|AP|BP)_(ORDER|\d_\d)|CD\d_\d|CDELT\d|PC\d_\d")
#: those the products have as keywords; the fit's linear terms AP_0_1… and its errors are metadata only
_KEYWORDS = re.compile(
    r"WCSAXES|RADESYS|(CRPIX|CRVAL|CTYPE|CUNIT)\d|CD\d_\d|(A|B|AP|BP)_(ORDER|0_[2-9]|1_[1-9]|[2-9]_\d)"
)


@dataclass(frozen=True)
class SipParams:
    sip_approx: bool = True  #: write the approximation
    sip_max_pix_error: float = 0.01  #: pixels
    sip_degree: int | None = None  #: None for the lowest that is good enough
    sip_max_inv_pix_error: float = 0.01  #: pixels
    sip_inv_degree: int | None = None  #: None for the lowest that is good enough
    sip_npoints: int = 12  #: of the fitted grid, along each axis


def sip_keywords(wcs: Any, header: Header, params: SipParams) -> tuple[Header, dict[str, Any]]:
    """Keywords of the approximation, and metadata of the fit that have none.

    CRPIX of the header is kept; without it the middle of the bounding box is the
    reference pixel. Source: Shupe et al. 2005, ASP Conf. 347, 491; specification image2 §3.
    Raises ValueError or RuntimeError where the fit fails.
    """
    crpix = [header.get("CRPIX1"), header.get("CRPIX2")]
    fitted = wcs.to_fits_sip(
        max_pix_error=params.sip_max_pix_error,
        degree=params.sip_degree or range(1, MAX_DEGREE + 1),
        max_inv_pix_error=params.sip_max_inv_pix_error,
        inv_degree=params.sip_inv_degree or range(1, MAX_DEGREE + 1),
        npoints=params.sip_npoints,
        crpix=None if None in crpix else crpix,
        projection="TAN",
    )
    cards = {key: value for key, value in fitted.items() if not key.startswith("NAXIS")}
    keywords = Header({k: v for k, v in cards.items() if _KEYWORDS.fullmatch(k)})
    return keywords, {f"meta.wcsinfo.{k.lower()}": v for k, v in cards.items() if k not in keywords}


def remove_linear_and_sip(header: Header) -> None:
    """Delete CD, PC, CDELT and SIP terms of an earlier WCS."""
    for key in [key for key in header if _FITTED.fullmatch(key)]:
        del header[key]
