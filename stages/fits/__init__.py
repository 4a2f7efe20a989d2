"""Exposures to and from FITS files; with `references` and `verify`, all that opens FITS.

`write` is not imported here: it brings the schemas of stdatamodels, and a
calibration should not wait for them before its first step.
"""

from calwebbd.stages.fits.read import read_guide_star, read_header, read_image, read_ramp

__all__ = ["read_guide_star", "read_header", "read_image", "read_ramp"]
