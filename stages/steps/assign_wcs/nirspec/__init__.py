"""The instrument model of NIRSpec: from pixels through slits, shutters or slices to the sky.

detector (x, y) → sca → gwa (direction cosines behind the disperser) → slit_frame (x, y in
units of the aperture; wavelength, m) → msa_frame (m), for slices through slicer → oteip
(degrees) → v2v3 (arcsec; wavelength, µm) → v2v3vacorr → world

Pixels are 0-based, of the subarray as it was read. Source: specification spec2 §2; Dorner
et al. 2016, A&A 592, A113 (doi:10.1051/0004-6361/201628263).
"""
