"""Reference pixels that NIRSpec reads between the others (IRS2): the bad ones, and what stands in for them.

A block is what one output reads in one group, (sample, line), as `irs2.by_sample` gives it. A
sample is good or bad in all lines, groups and integrations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from astropy.stats import sigma_clipped_stats
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, PixelDQ
from calwebbd.stages.irs2 import BEFORE, CELL, OUTPUTS, Layout
from calwebbd.stages.readout import BORDER
from calwebbd.stages.steps.refpix.amplifiers import Mean, RefPixParams, clipped_mean

Mask = NDArray[np.bool_]
Double = NDArray[np.float64]
BAD = flags.BAD_REF_PIXEL | flags.DO_NOT_USE
PAIR = 2  # a reference pixel is read twice, and two of them in each cell


class Replacement(NamedTuple):
    """A bad sample, and the good ones whose mean takes its place: 0 if there are none."""

    sample: int
    sources: tuple[int, ...]


def flagged_samples(dq: PixelDQ) -> Mask:
    """Samples with a BAD_REF_PIXEL in any line; dq : (sample, line)."""
    return np.asarray((dq & flags.BAD_REF_PIXEL).any(axis=1))


@dataclass(frozen=True)
class Totals:
    """Sums over the samples of each pair of readings: (npairs,).

    apart, values, squares : of differences of the two, of all, and of their squares
    size : how many samples of each pair
    """

    apart: Double
    values: Double
    squares: Double
    size: int

    @classmethod
    def of(cls, samples: Float) -> Totals:
        """Of one group; samples : (2 npairs, line), DN."""
        pairs = samples.reshape(-1, PAIR, samples.shape[-1])
        apart = np.abs(pairs[:, 1] - pairs[:, 0]).sum(axis=1, dtype=np.float64)
        values = pairs.sum(axis=(1, 2), dtype=np.float64)
        return cls(apart, values, np.square(pairs, dtype=np.float64).sum(axis=(1, 2)), pairs[0].size)

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.apart + other.apart,
            self.values + other.values,
            self.squares + other.squares,
            self.size + other.size,
        )

    def statistics(self) -> Iterator[Float]:
        """Mean difference, mean, and standard deviation."""
        mean = self.values / self.size
        variance = np.maximum(self.squares / self.size - mean**2, 0)
        for values in (PAIR * self.apart / self.size, mean, np.sqrt(variance)):
            yield values.astype(np.float32)


def find_bad(totals: Totals, known: Mask, n_sigma: float, layout: Layout) -> Mask:
    """Samples whose two readings, level or noise stand out in one integration, with those known to be bad.

    totals : of the pairs of all outputs
    Of each pair of readings, over all groups and lines: the mean difference, the mean, and
    the standard deviation. A pair is bad if one of them lies above those of its output's other
    pairs by `n_sigma` of their clipped standard deviations. Pairs known to be bad do not count.
    Source: specification detector1 §3 refpix, IRS2 (1).
    """
    bad = known.copy()
    first = (np.arange(OUTPUTS)[:, None] * layout.block + layout.interleaved[::PAIR]).ravel()
    counts = ~(known[first] | known[first + 1])
    for output in range(OUTPUTS):
        pairs = np.flatnonzero(counts & (first // layout.block == output))
        for values in totals.statistics() if len(pairs) else ():
            mean, _, spread = sigma_clipped_stats(values[pairs], sigma=n_sigma)
            for p in first[pairs[values[pairs] - mean > n_sigma * spread]]:
                bad[p : p + PAIR] = True
    return bad


def replacements(new: Iterable[int], bad: Mask, layout: Layout) -> Iterator[Replacement]:
    """What takes the place of samples `new`, all of which are in `bad`.

    The mean of the same readings in the cells before and after, of the same output; if
    neither is good, the other reference pixel of the same cell.
    Source: specification detector1 §3 refpix, IRS2 (2).
    """
    place = np.arange(layout.samples) % layout.block
    between = np.isin(place, layout.interleaved)

    def good(sample: int, near: int) -> bool:
        same = 0 <= near < layout.samples and near // layout.block == sample // layout.block
        return same and not bad[near]

    for sample in new:
        sources = [near for near in (sample - CELL, sample + CELL) if good(sample, near)]
        if not sources:
            others = (sample - PAIR, sample + PAIR)
            sources = [near for near in others if good(sample, near) and between[near]][:1]
        yield Replacement(sample, tuple(sources))


def listed_bad(rows: Iterable[Sequence[int]], layout: Layout) -> Iterator[list[int]]:
    """Samples that each row of the reference's DQ table lists.

    rows : OUTPUT (1 to 4), ODD_EVEN (1 or 2) and MASK, whose bit k is for the cell k
    """
    for output, odd_even, mask in rows:
        second = odd_even - 1 if output % 2 else 2 - odd_even
        first = output * layout.block + BEFORE + PAIR * second
        cells = [k for k in range(layout.cells) if mask >> k & 1]
        yield [first + CELL * k + n for k in cells for n in range(PAIR)]


def plan(bad: Mask, rows: Iterable[Sequence[int]], layout: Layout) -> list[Replacement]:
    """All replacements, in order: of the samples found bad, then of those in the reference's DQ table."""
    bad = bad.copy()
    steps = list(replacements(np.flatnonzero(bad).tolist(), bad, layout))
    for listed in listed_bad(rows, layout):
        new = [sample for sample in listed if not bad[sample]]
        bad[new] = True
        steps += replacements(new, bad, layout)
    return steps


def by_output(steps: Iterable[Replacement], layout: Layout) -> list[list[Replacement]]:
    """Replacements in each output, their samples counted from its first."""
    found: list[list[Replacement]] = [[] for _ in range(OUTPUTS)]
    for sample, sources in steps:
        output, own = divmod(sample, layout.block)
        found[output].append(Replacement(own, tuple(near - sample + own for near in sources)))
    return found


def replace_bad(block: Float, steps: Iterable[Replacement]) -> None:
    """Carry out replacements, in place; block : (sample, line), DN."""
    for sample, sources in steps:
        block[sample] = block[list(sources)].mean(axis=0) if sources else np.float32(0)


def subtract_means(block: Float, bad: Mask, params: RefPixParams, layout: Layout) -> None:
    """Subtract from an output what its first and last lines show, in place.

    block : (sample, line), DN
    bad : (sample, line), reference pixels that must not be used
    Odd and even columns apart, as in other read-outs; of the reference pixels of a cell the
    first is odd, the second even. An output of which one has no good pixels is left alone.
    Source: specification detector1 §3 refpix, IRS2 (irs2_mean_subtraction).
    """
    classes = _columns(layout) if params.odd_even_columns else [np.ones(layout.block, bool)]
    edges = (slice(0, BORDER), slice(layout.lines - BORDER, layout.lines))

    def signal(columns: Mask) -> Mean | None:
        means = [
            clipped_mean(block[columns, lines].T[~bad[columns, lines].T], params.siglimit) for lines in edges
        ]
        there = [mean for mean in means if mean is not None]
        return sum(there[1:], start=there[0]) / len(there) if there else None

    signals = [signal(columns) for columns in classes]
    if all(each is not None for each in signals):
        for columns, each in zip(classes, signals, strict=True):
            block[columns] -= each


def _columns(layout: Layout) -> list[Mask]:
    sample = np.arange(layout.block)
    odd = sample % 2 == 0
    odd[layout.interleaved] = layout.interleaved % (2 * PAIR) < PAIR
    return [odd, ~odd]
