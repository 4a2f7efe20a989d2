"""From images to their noise, and from their noise to clean ramps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages import flags
from calwebbd.stages.exposure import Float, GroupDQ
from calwebbd.stages.step import Failed
from calwebbd.stages.steps.clean_flicker_noise import fourier, sections
from calwebbd.stages.steps.clean_flicker_noise.clipping import Mask, clip, median
from calwebbd.stages.steps.clean_flicker_noise.lines import line_medians
from calwebbd.stages.steps.clean_flicker_noise.mesh import smooth_level
from calwebbd.stages.threads import in_threads

BACKGROUND = 3.0  # sigma beyond which values do not count for the background's level
FULL = (2048, 2048)
UNUSABLE = flags.DO_NOT_USE | flags.JUMP_DET
Noise = Callable[[], NDArray[Any]]  #: makes an image of noise, or what broadcasts to one, DN


@dataclass(frozen=True)
class Recipe:
    """How the noise of an image is found.

    fit : from an image without background, and the mask of what is left to fit, to the noise
    level, box : how the background is found: one value, boxes of a height and width, or not
    flat : by which images are divided, and their noise multiplied
    """

    fit: Callable[[Float, Mask], Noise]
    level: Literal["median", "model"] | None = "median"
    box: tuple[int, int] | None = None
    n_sigma: float = 2.0
    flat: Float | None = None


class Found(NamedTuple):
    """Noise of an image, and its background."""

    noise: Noise
    background: Float | np.float32


def find_noise(image: Float, mask: Mask, recipe: Recipe) -> Found | None:
    """Fit the noise of an image, after its background is taken off; None if the mask leaves nothing.

    image, mask : (ny, nx); both are used up. NaN do not count.
    """
    if recipe.flat is not None:
        image /= recipe.flat
    absent = np.isnan(image)
    image[absent] = 0.0
    mask &= ~absent
    if not mask.any():
        return None
    background = _take_off(image, mask, recipe) if recipe.level else np.float32(0)
    return Found(recipe.fit(image, mask), background)


def _take_off(image: Float, mask: Mask, recipe: Recipe) -> Float | np.float32:
    """Subtract the background, and leave what stands out from the rest out of the mask, both in place."""
    values = clip(image, mask, BACKGROUND, BACKGROUND, lower_half=True)
    if recipe.level == "model":
        background: Float | np.float32 = smooth_level(image, mask, values, recipe.box)
        rest = None
    else:
        background, rest = median(values), values
        rest.lower(background)
    image -= background
    if recipe.n_sigma > 0:
        clip(image, mask, recipe.n_sigma, recipe.n_sigma, lower_half=True, values=rest)
    return background


def find_all(
    sci: Float, groupdq: GroupDQ, mask: Mask, recipe: Recipe, backgrounds: Float | None = None
) -> list[Noise | None]:
    """Noise of the differences of one integration's successive groups; None where nothing can be fitted.

    sci, groupdq : (ngroups, ny, nx), DN
        Samples with JUMP_DET or DO_NOT_USE in the later group do not count.
    mask : (ny, nx), True where the background shows
    backgrounds : as sci, becomes the background of the difference that ends with each group
    """

    def find(g: int) -> Noise | None:
        usable = mask & ((groupdq[g + 1] & UNUSABLE) == 0)
        found = find_noise(sci[g + 1] - sci[g], usable, recipe)
        if found and backgrounds is not None:
            backgrounds[g + 1] = found.background
        return found.noise if found else None

    return in_threads([partial(find, g) for g in range(len(sci) - 1)])


def find_beside(
    sci: Float, scale: float, typical: Float, mask: Mask, recipe: Recipe, backgrounds: Float | None = None
) -> list[Noise | None]:
    """Noise of each group of one integration beside a typical ramp times a factor; else as `find_all`."""

    def find(g: int) -> Noise | None:
        expected = np.float32(scale) * typical[g]
        found = find_noise(sci[g] - expected, mask.copy(), recipe)
        if found and backgrounds is not None:
            backgrounds[g] = expected
        return found.noise if found else None

    return in_threads([partial(find, g) for g in range(len(sci))])


def subtract_all(
    sci: Float, noises: Sequence[Noise | None], flat: Float | None = None, added: Float | None = None
) -> None:
    """Subtract from each group the noise of all differences before it, in place.

    sci : (ngroups, ny, nx), DN
        A sample that is NaN makes those after it NaN.
    noises : of the differences; where there is none the group stays, and counting begins anew
    added : as sci, becomes what was added to each group
    """
    total: Any = 0.0
    for g, noise in enumerate(noises, start=1):
        if noise is None:
            total = 0.0
            continue
        total = total + noise()
        _subtract(sci[g], total, flat, None if added is None else added[g])
        sci[g][np.isnan(sci[g - 1])] = np.nan


def subtract_each(
    sci: Float, noises: Sequence[Noise | None], flat: Float | None = None, added: Float | None = None
) -> None:
    """Subtract from each group its own noise; arguments as for `subtract_all`."""
    for g, noise in enumerate(noises):
        if noise is not None:
            _subtract(sci[g], noise(), flat, None if added is None else added[g])


def _subtract(image: Float, noise: NDArray[Any], flat: Float | None, added: Float | None) -> None:
    noise = noise if flat is None else noise * flat
    if added is not None:
        added[:] = -noise
    image -= noise


def median_fit(axis: int, by_channel: bool) -> Callable[[Float, Mask], Noise]:
    """Noise by the median of each line; lines run along `axis`."""

    def fit(image: Float, mask: Mask) -> Noise:
        stripes = line_medians(image, mask, axis, by_channel=by_channel)
        return lambda: stripes

    return fit


def fourier_fit(detector: str, subarray: str) -> Callable[[Float, Mask], Noise]:
    """Noise by its low frequencies. The fit raises Failed where no pixel is left for it."""
    band = sections.ALL_SLITS if subarray == "ALLSLITS" else sections.Band()

    def fit(image: Float, mask: Mask) -> Noise:
        lines, used = fourier.to_lines(image, detector), fourier.to_lines(mask, detector)
        shape = lines.shape  # of the lines themselves the noise must not keep hold
        if image.shape == FULL:
            spectra = fourier.fit_lines(lines, used)
            return lambda: fourier.from_lines(fourier.model_lines(spectra, shape[1]), detector)
        parts = sections.fit_sections(lines, used, band)
        if parts is None:
            raise Failed("no pixel of the background is left to fit")
        return lambda: fourier.from_lines(sections.model_sections(parts, shape), detector)

    return fit
