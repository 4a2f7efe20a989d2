"""The sky in front of the telescope: stars and a few galaxies, the same for every detector and dither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.special import erf

from calwebbd.stages.exposure import Float
from calwebbd.stages.simulate import pointing
from calwebbd.stages.simulate.detectors import FILTERS, Detector, Filter
from calwebbd.stages.simulate.distortion import transform
from calwebbd.stages.simulate.sensor import COUPLING, Sensor

AB_ZERO = 3631e-6  #: MJy at magnitude 0
CORE = 0.93  #: share of a star's light in its Gaussian core; the rest is a wing
WING_POWER = 1.75
SIGMA = 1 / np.sqrt(8 * np.log(2))  #: of a Gaussian of unit width at half maximum
PEAK = 0.16  #: share of a star's light in its brightest pixel, about
SEPARATION = 0.25  #: arcsec, least distance between sources
BRIGHTER, FAINTER = 1.5, 5.5  #: range of magnitudes about the one that just saturates


@dataclass(frozen=True)
class Box:
    """Part of the (V2, V3) plane, arcsec."""

    v2: tuple[float, float]
    v3: tuple[float, float]


def saturating_magnitude(detector: Detector, filter: Filter, seconds: float) -> float:
    """AB magnitude of a star whose central pixel fills its well in that time."""
    rate = (detector.full_well - detector.bias) / PEAK / seconds
    return float(-2.5 * np.log10(rate * solid_angle(detector) * filter.photmjsr / AB_ZERO))


def solid_angle(detector: Detector) -> float:
    """Of a nominal pixel, sr."""
    return float(np.prod(detector.scale) * pointing.ARCSEC**2)


def make_scene(
    boxes: list[Box], attitude: NDArray[np.float64], nstars: int, saturating: float, rng: np.random.Generator
) -> Table:
    """So many sources in every box: more faint ones than bright ones, one in twelve a galaxy.

    Columns: id; ra, dec [deg]; abmag in the short-wave filters; colour, added to it in
    the long-wave ones; radius [arcsec] that holds half a galaxy's light, 0 for a star;
    ratio of its axes; angle of the major one from +x [deg].
    """
    v2, v3 = _apart(boxes, nstars, rng)
    count = len(v2)
    ra, dec = pointing.to_sky(attitude, v2, v3)
    galaxy = np.arange(count) % 12 == 11
    span = BRIGHTER + FAINTER
    table = Table()
    table["id"] = np.arange(count) + 1
    table["ra"], table["dec"] = ra, dec
    table["abmag"] = saturating - BRIGHTER + span * np.sqrt(rng.random(count))
    table["colour"] = rng.normal(0, 0.3, count)
    table["radius"] = np.where(galaxy, rng.uniform(0.15, 0.5, count), 0)
    table["ratio"] = np.where(galaxy, rng.uniform(0.3, 1, count), 1)
    table["angle"] = np.where(galaxy, rng.uniform(0, 180, count), 0)
    for name in ("ra", "dec", "angle"):
        table[name].unit = "deg"
    table["radius"].unit = "arcsec"
    return table


def _apart(
    boxes: list[Box], nstars: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points in the boxes, none nearer to an earlier one than the separation; fewer where they are full."""
    points = np.zeros((0, 2))
    for box in boxes:
        goal = len(points) + nstars
        for _ in range(4 * nstars):
            if len(points) == goal:
                break
            point = rng.uniform((box.v2[0], box.v3[0]), (box.v2[1], box.v3[1]))
            if not (np.hypot(*(points - point).T) < SEPARATION).any():
                points = np.vstack([points, point])
    return points[:, 0], points[:, 1]


def positions(
    scene: Table, sensor: Sensor, attitude: NDArray[np.float64], reference: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Zero-based pixels (x, y) of the sources inside the sensor's window.

    reference : (V2, V3) of the aperture, about which velocity aberration scales
    """
    v2, v3 = pointing.from_sky(attitude, np.asarray(scene["ra"]), np.asarray(scene["dec"]))
    x, y = transform(sensor.detector).inverse(*pointing.aberrate(v2, v3, reference))
    return x - sensor.window.x, y - sensor.window.y


def count_rate(
    scene: Table, sensor: Sensor, x: NDArray[np.float64], y: NDArray[np.float64], sky: bool
) -> Float:
    """(ny, nx) DN/s of a perfectly flat detector: sky background and sources at (x, y)."""
    filter = FILTERS[sensor.filter]
    level = filter.sky / filter.photmjsr if sky else 0.0
    image = sensor.area * np.float32(level)
    long = filter.channel == "LONG"
    magnitude = np.asarray(scene["abmag"] + (scene["colour"] if long else 0))
    flux = AB_ZERO * 10 ** (-0.4 * magnitude) / (solid_angle(sensor.detector) * filter.photmjsr)
    for i in range(len(scene)):
        radius = float(scene["radius"][i]) / sensor.detector.scale[0]
        reach = int(6 * radius) + 8 if radius else (60 if flux[i] > 3e3 else 25)
        rows, columns = _stamp(image.shape, x[i], y[i], reach)
        if rows.size and columns.size:
            dx, dy = columns - x[i], rows - y[i]
            if radius:
                angle = np.deg2rad(scene["angle"][i])
                light = galaxy(dx, dy, radius, float(scene["ratio"][i]), angle, filter.fwhm)
            else:
                light = star(dx, dy, filter.fwhm)
            image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += (flux[i] * light).astype(
                np.float32
            )
    return image


def _stamp(shape: tuple[int, ...], x: float, y: float, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the image within reach of a source; either may be empty."""
    ny, nx = shape
    iy, ix = round(y), round(x)
    return (
        np.arange(max(iy - reach, 0), min(iy + reach + 1, ny)),
        np.arange(max(ix - reach, 0), min(ix + reach + 1, nx)),
    )


def star(dx: np.ndarray, dy: np.ndarray, fwhm: float) -> NDArray[np.float64]:
    """Share of a star's light in pixels at these offsets: a Gaussian core, integrated, and a Moffat wing."""
    edges = np.sqrt(2) * SIGMA * fwhm
    across = 0.5 * (erf((dx + 0.5) / edges) - erf((dx - 0.5) / edges))
    along = 0.5 * (erf((dy + 0.5) / edges) - erf((dy - 0.5) / edges))
    width = (1.5 * fwhm) ** 2
    wing = (1 + (dx**2 + dy[:, None] ** 2) / width) ** -WING_POWER * (WING_POWER - 1) / (np.pi * width)
    return np.asarray(CORE * np.outer(along, across) + (1 - CORE) * wing)


def encircled_energy(radius: NDArray[np.float64], fwhm: float) -> NDArray[np.float64]:
    """Share of a star's light within a radius in pixels of a mosaic.

    Four unit squares, of variance 1/12 each, blur it: the pixel of the detector, the
    square it is drizzled as, the output pixel, and this again in the aperture. The
    coupling between pixels adds its own variance.
    """
    variance = (SIGMA * fwhm) ** 2 + 4 / 12 + 2 * COUPLING
    core = 1 - np.exp(-(radius**2) / (2 * variance))
    wing = 1 - (1 + radius**2 / (1.5 * fwhm) ** 2) ** (1 - WING_POWER)
    return np.asarray(CORE * core + (1 - CORE) * wing)


def galaxy(
    dx: np.ndarray, dy: np.ndarray, radius: float, ratio: float, angle: float, fwhm: float
) -> NDArray[np.float64]:
    """Share of light of an inclined exponential disc, its cusp rounded by the seeing of the telescope.

    radius : pixels, of half the light along the major axis
    """
    u = dx * np.cos(angle) + dy[:, None] * np.sin(angle)
    v = (dy[:, None] * np.cos(angle) - dx * np.sin(angle)) / ratio
    scale, core = radius / 1.678, SIGMA * fwhm
    light = np.exp(-np.sqrt(u**2 + v**2 + core**2) / scale)
    total = 2 * np.pi * scale * (scale + core) * np.exp(-core / scale) * ratio
    return np.asarray(light / total)
