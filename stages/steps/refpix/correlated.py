"""Noise that outputs have in common with the reference pixels between them (IRS2), by trained weights.

IRS2: Rauscher et al. 2017, PASP 129, 105003 (arXiv:1707.09387).

The noise is stationary in time, so that everything is a product of spectra: of sequences of
all beats of the clock, of which a line is 712. Their transforms are taken in two steps, along
lines first and then across slots, so that neither samples that are not there nor those that
nobody asks for cost anything, and the array needs no other order than it has. With slot s,
line l, N = slots x lines, and the frequency f = k + lines m,

    X[m, k] = sum_s exp(-2 pi i s m / slots) exp(-2 pi i s k / N) sum_l x[s, l] exp(-2 pi i l k / lines).

All sequences are real: k up to lines / 2 is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from calwebbd.stages.exposure import Float
from calwebbd.stages.irs2 import BEATS, INTERLEAVED, Index, Layout
from calwebbd.stages.readout import BORDER

Spectra = NDArray[np.complex64]
Double = NDArray[np.float64]
ROUNDS = 3  # of filtering the reference output
REACH = 16  # beats, of the interpolation over missing samples
FALL = 5000 / 32768  # of the filter's edges, over the frequency at their middle
AROUND = 7  # the first of eight slots of a cell that its four interleaved samples fill
ORDER = (0, 2, 0, 2, 1, 3, 1, 3)  # in which they do
AT_ONCE = 128  # samples whose lines are transformed back together


class Spectrum:
    """Half the spectrum of real sequences, (slots, lines / 2 + 1): X[m, k] of the module's formula."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        turn = -2j * np.pi / (layout.slots * layout.lines)
        s, k = np.arange(layout.slots), np.arange(layout.lines // 2 + 1)
        self.twiddle: Spectra = np.exp(turn * s[:, None] * k).astype(np.complex64)

    def along_lines(self, rows: Float, slots: Index) -> Spectra:
        """The first step, of the rows of these slots: (len(slots), lines / 2 + 1)."""
        return np.asarray(fft.rfft(rows, axis=1) * self.twiddle[slots])

    def to_rows(self, partial_spectra: Spectra, slots: Index) -> Float:
        """The first step undone."""
        turned = partial_spectra * self.twiddle[slots].conj()
        return np.asarray(fft.irfft(turned, self.layout.lines, axis=1, overwrite_x=True))


def of_real(factors: NDArray[Any], layout: Layout) -> Spectra:
    """Factors of all N frequencies for half a spectrum, so that products give the real part.

    Re IFFT(a X) = IFFT(a' X) with a'(f) = (a(f) + conj a(-f)) / 2, X being that of a real sequence.
    """
    whole = factors.reshape(layout.slots, layout.lines)
    half = layout.lines // 2 + 1
    folded = whole[:, :half].copy()  # f = k + lines m; its mirror is -f, modulo N
    folded[:, 0] += np.roll(whole[::-1, 0], 1).conj()
    folded[:, 1:] += whole[::-1, : half - 2 : -1].conj()
    folded /= 2
    return folded.astype(np.complex64, copy=False)


def pass_band(layout: Layout) -> NDArray[np.float64]:
    """Gain of the reference output's filter at all N frequencies.

    It passes what is slower than the sampling of interleaved pixels, and what alternates
    from beat to beat as much; cosines are between.
    """
    half = layout.slots * layout.lines // 2
    middle = layout.cells * layout.lines // 2
    fall = round(middle * FALL)
    frequency = np.arange(half + 1)
    # one bin off the middle at its upper end, as the reference pipeline's is
    distance = np.minimum(frequency, half - 1 - frequency) - (middle - fall // 2)
    gain = (np.cos(np.pi * np.clip(distance / fall, 0, 1)) + 1) / 2
    return np.concatenate((gain, gain[-2:0:-1]))


class ReferenceFilter:
    """The reference output's filter, which leaves its pixels as they are.

    Its gain is zero for most numbers m of the frequency, so that their sums are quicker than a
    fast transform; and pixels are restored in all lines, so that all is done across slots.
    """

    def __init__(self, layout: Layout) -> None:
        slots = np.arange(layout.slots)
        taken = np.isin(slots, layout.slot[layout.normal])
        self._fixed, self._free = np.flatnonzero(taken), np.flatnonzero(~taken)
        gain = of_real(pass_band(layout), layout).real
        passed = np.flatnonzero(gain.any(axis=1))
        self._gain = gain[passed] / np.float32(layout.slots)
        turns = passed[:, None] * slots % layout.slots
        self._waves = np.exp(-2j * np.pi / layout.slots * turns).astype(np.complex64)

    def __call__(self, spectra: Spectra) -> None:
        """Filter along all slots and restore the pixels', again and again, in place."""
        forth, back = self._waves, self._waves[:, self._free].conj().T
        fixed = forth[:, self._fixed] @ spectra[self._fixed]
        for _ in range(ROUNDS):
            passed = fixed + forth[:, self._free] @ spectra[self._free]
            passed *= self._gain
            spectra[self._free] = back @ passed


class Weights(NamedTuple):
    """Of the reference output and of interleaved pixels, for one output, as `of_real` gives them."""

    alpha: Spectra
    beta: Spectra


class Correction:
    """The correction of blocks, (sample, line), DN: what one output reads in one group.

    keep : interleaved samples are corrected too
    Source: specification detector1 §3 refpix, IRS2 (3).
    """

    def __init__(self, layout: Layout, *, keep: bool = False) -> None:
        self.layout, self.keep = layout, keep
        self.spectrum = Spectrum(layout)
        self.filter = ReferenceFilter(layout)
        cells = np.arange(layout.cells)[:, None]
        self._around: Index = (BEATS * cells + AROUND + np.arange(len(ORDER))).ravel()
        self._sources: Index = (INTERLEAVED * cells + np.array(ORDER)).ravel()

    def reference(self, block: Float, mean: Double) -> Spectra:
        """The spectrum of the reference output, filtered; its block is used up, or corrected if it is kept.

        mean : of the output's blocks over groups
        """
        layout = self.layout
        rows, means = block[::-1], mean[::-1]
        sequence = fill_gaps(self._changes(rows, means), layout)
        spectra = self.spectrum.along_lines(sequence, np.arange(layout.slots))
        self.filter(spectra)
        if self.keep:
            places = layout.slot[layout.interleaved]
            sequence[places] = self.spectrum.to_rows(spectra[places], places)
            rows[:] = sequence[layout.slot] + means
        return np.asarray(fft.fft(spectra, axis=0, overwrite_x=True))

    def correct(self, output: int, block: Float, mean: Double, weights: Weights, reference: Spectra) -> None:
        """Correct an output of the image by its own interleaved pixels and the reference output, in place.

        Its mean over groups stays in, but in interleaved samples.
        reference : as `reference` returns it; it is used up
        """
        layout = self.layout
        rows, means = (block, mean) if output % 2 else (block[::-1], mean[::-1])
        self._changes(rows, means)
        along = fft.rfft(rows[layout.interleaved], axis=1)
        spectra = np.zeros_like(reference)
        spectra[self._around] = along[self._sources] * self.spectrum.twiddle[self._around]
        spectra = fft.fft(spectra, axis=0, overwrite_x=True)
        spectra *= weights.beta
        spectra += np.multiply(weights.alpha, reference, out=reference)
        spectra = fft.ifft(spectra, axis=0, overwrite_x=True)
        for some in _pieces(np.arange(layout.block) if self.keep else layout.normal):
            places = layout.slot[some]
            rows[some] -= self.spectrum.to_rows(spectra[places], places)
        for some in _pieces(layout.normal):
            rows[some] += means[some]

    def _changes(self, rows: Float, means: Double) -> Float:
        """A block without its mean and its trend in time, in place."""
        np.subtract(rows, means, out=rows, casting="same_kind")
        subtract_trend(rows, self.layout)
        return rows


def _pieces(samples: Index) -> Iterator[Index]:
    """Some samples at a time, so that what is made of them is small."""
    return (samples[n : n + AT_ONCE] for n in range(0, len(samples), AT_ONCE))


def subtract_trend(rows: Float, layout: Layout) -> None:
    """Subtract, in place, the straight line in time through the first and last lines' nonzero samples.

    rows : (sample, line) of one output, in the order of reading; zeros stay zero
    """
    slot = layout.slot[:, None].astype(np.float64)
    line = layout.slots * np.arange(layout.lines) - (layout.slots * layout.lines - 1) / 2
    edges = np.r_[:BORDER, layout.lines - BORDER : layout.lines]
    values, there = rows[:, edges], rows[:, edges] != 0
    if not there.any():
        return
    t, v = (slot + line[edges])[there], values[there].astype(np.float64)
    spread = ((t - t.mean()) ** 2).sum()
    slope = ((t - t.mean()) * (v - v.mean())).sum() / spread if spread else 0.0
    level = v.mean() - slope * t.mean()
    trend = (slope * slot + level).astype(np.float32) + (slope * line).astype(np.float32)
    trend *= rows != 0
    rows -= trend


def fill_gaps(rows: Float, layout: Layout) -> Float:
    """The sequence of all beats, (slot, line), with zeros and gaps interpolated.

    rows : (sample, line) of one output, in the order of reading
    A missing sample is the mean of those near it in time that are there, weighted by a
    half-period sine; the sequence is taken to be periodic.
    """
    line = np.zeros((layout.slots, layout.lines), np.float32)
    line[layout.slot] = rows
    values = _with_neighbours(line)
    there = (values != 0).astype(np.float32)
    missing = np.flatnonzero((line == 0).any(axis=1))
    weights = np.zeros((len(missing), len(values)), np.float32)
    window = np.sin(np.pi * np.arange(1, 2 * REACH) / (2 * REACH))
    for row, slot in zip(weights, missing, strict=True):
        row[slot + 1 : slot + 2 * REACH] = window
    total, weight = weights @ values, weights @ there
    filled = np.divide(total, weight, out=np.zeros_like(total), where=weight != 0)
    line[missing] = np.where(line[missing] == 0, filled, line[missing])
    return line


def _with_neighbours(line: Float) -> Float:
    """Slots and the `REACH` before and after them, which are of the lines before and after."""
    before, after = np.roll(line[-REACH:], 1, axis=1), np.roll(line[:REACH], -1, axis=1)
    return np.concatenate((before, line, after))
