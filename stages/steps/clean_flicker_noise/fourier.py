"""Noise that is a slow function of the time at which pixels were read.

The noise of unlit pixels is fitted by the Fourier vectors of low frequencies, which
the fit then continues through the pixels that are lit. Everything here is in detector
orientation: lines across the slow axis, the samples of a line in the order of reading.
Source: Rauscher 2024, doi:10.1088/1538-3873/ad1b36; specification detector1 §3
clean_flicker_noise, fft.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.exposure import Float
from calwebbd.stages.steps.clean_flicker_noise.clipping import Mask

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]
GAINS = np.array([1.0] * 8 + [0.5])  # of the frequencies that are fitted: the last is half stopped
BORDER = 4  # lines of reference pixels at either end
DENSITY_SIGMA = 32.0  # samples
SMOOTHING_SIGMA = 1.5  # lines
OUTLIER = 3.0 * 1.4826  # median absolute deviations
LEAST_DENSITY = 1e-6  # less is rounding
LINES = 128  # at a time, for the sake of memory
INDEPENDENT = 1e-6  # of the largest eigenvalue; below, single precision tells nothing


def to_lines(image: NDArray[Any], detector: str) -> NDArray[Any]:
    """View of a NIRSpec image in detector orientation, or of one in that orientation as an image.

    For NRS2 the order of lines is reversed, that of samples is not (⚑ it is read the other way).
    """
    return image.T if detector == "NRS1" else image.T[::-1]


def from_lines(lines: NDArray[Any], detector: str) -> NDArray[Any]:
    return lines.T if detector == "NRS1" else lines[::-1].T


def fit_lines(lines: Float, mask: Mask) -> NDArray[np.complex64]:
    """Fit the lowest frequencies of each line, and smooth them across lines.

    lines, mask : (nlines, nsamples); the fit is to samples where the mask is True

    Returns the half spectrum of the noise, (nlines, 9), to be given to `model_lines`; 0 for
    lines without samples. Samples far from their line's median count as that median.
    """
    nlines, n = lines.shape
    spectra = np.zeros((nlines, len(GAINS)), np.complex128)
    waves = np.exp(-2j * np.pi / n * np.outer(np.arange(n), np.arange(len(GAINS))))
    for start in range(BORDER, nlines - BORDER, LINES):
        block = slice(start, min(start + LINES, nlines - BORDER))
        values, used = _without_outliers(lines[block], mask[block]), mask[block]
        weights = _weights(used, mask[block.start - 1 : block.stop - 1]) ** 2
        spectra[block] = solve(gram(weights @ waves), (weights * values) @ waves)
    return np.asarray(_smoothed(spectra * GAINS, n) * n, np.complex64)


def model_lines(spectra: NDArray[np.complex64], n: int) -> Float:
    """Noise of lines of n samples."""
    return np.asarray(np.fft.irfft(spectra, n), np.float32)


def solve(matrices: Complex, rights: Complex) -> Complex:
    """Least solutions of Hermitian systems, (..., n, n) and (..., n).

    What single precision cannot tell from 0 is 0: lines with few samples do not determine
    all of their frequencies.
    """
    values, vectors = np.linalg.eigh(matrices)
    known = values > INDEPENDENT * values[..., -1:]
    inverse = np.where(known, 1.0 / np.where(known, values, 1.0), 0.0)
    projected = np.swapaxes(vectors.conj(), -1, -2) @ rights[..., None]
    return np.asarray((vectors @ (inverse[..., None] * projected))[..., 0])


def gram(transform: Complex, frequencies: NDArray[np.intp] | None = None) -> Complex:
    """Products of Fourier vectors, from the transform of their squared weights, (..., m).

    frequencies : of the vectors; 0 … m - 1 if None
    """
    k = np.arange(transform.shape[-1]) if frequencies is None else frequencies
    difference = k[None, :] - k[:, None]
    products = transform[..., np.abs(difference)]
    return np.asarray(np.where(difference > 0, products.conj(), products))


@cache
def density_filter(n: int, sigma: float) -> Complex:
    """Transform of a Gaussian over n samples, one sample off its centre, as the reference pipeline has it."""
    distance = np.arange(n) - (n // 2 + 1)
    kernel = np.exp(-(distance**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    return np.fft.rfft(np.fft.ifftshift(kernel))


def _weights(mask: Mask, before: Mask) -> Real:
    """Inverse density of the mask's samples, of the line before (⚑ one line off); 0 outside the mask.

    Where that line has none at all, all samples weigh the same.
    """
    n = mask.shape[1]
    density = np.fft.irfft(np.fft.rfft(before.astype(np.float64)) * density_filter(n, DENSITY_SIGMA), n)
    density[~before.any(axis=1)] = 1.0
    good = mask & (density > LEAST_DENSITY)
    return np.where(good, 1.0 / np.where(good, density, 1.0), 0.0)


def _without_outliers(lines: Float, mask: Mask) -> Float:
    """The median where a sample is further from its line's than 3 standard deviations."""
    middle = _medians(lines, mask)
    distance = np.abs(lines - middle)
    return np.where(distance <= np.float32(OUTLIER) * _medians(distance, mask), lines, middle)


def _medians(lines: Float, mask: Mask) -> Float:
    """Of each line's samples under the mask, (nlines, 1); 0 of none."""
    ordered = np.sort(np.where(mask, lines, np.float32(np.inf)), axis=1)
    count = np.count_nonzero(mask, axis=1)[:, None]
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, 1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, lines.shape[1] - 1), 1)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, np.where(count % 2 == 1, low, (low + high) / np.float32(2)), 0)


def _smoothed(spectra: Complex, n: int) -> Complex:
    """Gaussian across lines, one line and one sample off its centre (⚑)."""
    nlines = len(spectra)
    distance = np.arange(nlines) - (nlines // 2 + 1)
    kernel = np.exp(-0.5 * (distance / SMOOTHING_SIGMA) ** 2) / (SMOOTHING_SIGMA * np.sqrt(2 * np.pi))
    across = np.fft.fft(np.fft.ifftshift(kernel))[:, None]
    shift = np.exp(-2j * np.pi / n * np.arange(spectra.shape[1]))
    return np.asarray(np.fft.ifft(np.fft.fft(spectra, axis=0) * across, axis=0) * shift)
