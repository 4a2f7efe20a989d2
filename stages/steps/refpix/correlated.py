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

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from calwebbd.stages.exposure import Float
from calwebbd.stages.irs2 import BEATS, INTERLEAVED, OUTPUTS, Index, Layout
from calwebbd.stages.kernels import by_rows, in_threads
from calwebbd.stages.readout import BORDER

Spectra = NDArray[np.complex64]
ROUNDS = 3  # of filtering the reference output
REACH = 16  # beats, of the interpolation over missing samples
FALL = 5000 / 32768  # of the filter's edges, over the frequency at their middle
AROUND = 7  # the first of eight slots of a cell that its four interleaved samples fill
ORDER = (0, 2, 0, 2, 1, 3, 1, 3)  # in which they do


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
    mirrored = np.roll(factors[::-1], 1).conj()
    folded = ((factors + mirrored) / 2).reshape(layout.slots, layout.lines)
    return np.asarray(folded[:, : layout.lines // 2 + 1], np.complex64)


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


class Correction:
    """The correction of one group after the other by one reference.

    alpha, beta : of each output of the image, weights of the reference output and of interleaved
        pixels, as `of_real` gives them
    keep : interleaved samples are corrected too
    Source: specification detector1 §3 refpix, IRS2 (3).
    """

    def __init__(
        self, layout: Layout, alpha: Sequence[Spectra], beta: Sequence[Spectra], *, keep: bool = False
    ) -> None:
        self.layout, self.alpha, self.beta, self.keep = layout, alpha, beta, keep
        self.spectrum = Spectrum(layout)
        self.filter = ReferenceFilter(layout)
        cells = np.arange(layout.cells)[:, None]
        self._around: Index = (BEATS * cells + AROUND + np.arange(len(ORDER))).ravel()
        self._sources: Index = (INTERLEAVED * cells + np.array(ORDER)).ravel()

    def correct(self, samples: Float) -> None:
        """Correct one integration, in place; samples : (ngroups, sample, line), DN."""
        mean = np.empty(samples.shape[1:])

        def average(start: int, stop: int) -> None:
            samples[:, start:stop].mean(axis=0, dtype=np.float64, out=mean[start:stop])

        by_rows(average, len(mean))
        in_threads([partial(self._group, group, mean) for group in samples])

    def _group(self, group: Float, mean: NDArray[np.float64]) -> None:
        """Correct one group, (sample, line); its mean over groups stays in, but in interleaved samples."""
        layout = self.layout
        sequence = fill_gaps(self._changes(group, mean, 0), layout)
        spectra = self.spectrum.along_lines(sequence, np.arange(layout.slots))
        self.filter(spectra)
        if self.keep:
            places = layout.slot[layout.interleaved]
            sequence[places] = self.spectrum.to_rows(spectra[places], places)
            block = _in_order_of_reading(group, 0, layout)
            block[:] = sequence[layout.slot] + _in_order_of_reading(mean, 0, layout)
        spectra = fft.fft(spectra, axis=0, overwrite_x=True)
        for output in range(1, OUTPUTS):
            self._output(group, mean, output, spectra)

    def _changes(self, group: Float, mean: NDArray[np.float64], output: int) -> Float:
        """A block in the order of reading, (sample, line), without its mean and its trend in time."""
        block = _in_order_of_reading(group, output, self.layout)
        rows = np.empty(block.shape, np.float32)
        np.subtract(block, _in_order_of_reading(mean, output, self.layout), out=rows, casting="same_kind")
        subtract_trend(rows, self.layout)
        return rows

    def _output(self, group: Float, mean: NDArray[np.float64], output: int, reference: Spectra) -> None:
        """Correct one output by the reference output's spectrum and its own interleaved pixels."""
        layout = self.layout
        rows = self._changes(group, mean, output)
        spectra = np.zeros_like(reference)
        along = fft.rfft(rows[layout.interleaved], axis=1)
        spectra[self._around] = along[self._sources] * self.spectrum.twiddle[self._around]
        spectra = fft.fft(spectra, axis=0, overwrite_x=True)
        spectra *= self.beta[output - 1]
        spectra += self.alpha[output - 1] * reference
        spectra = fft.ifft(spectra, axis=0, overwrite_x=True)
        wanted = np.arange(layout.block) if self.keep else layout.normal
        places = layout.slot[wanted]
        corrected = rows[wanted] - self.spectrum.to_rows(spectra[places], places)
        block = _in_order_of_reading(group, output, layout)
        block[wanted] = corrected
        block[layout.normal] += _in_order_of_reading(mean, output, layout)[layout.normal]


def _in_order_of_reading(array: NDArray[Any], output: int, layout: Layout) -> NDArray[Any]:
    """View of one output's block of (sample, line), the first sample read first."""
    block = array[output * layout.block : (output + 1) * layout.block]
    return block if output % 2 else block[::-1]


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
