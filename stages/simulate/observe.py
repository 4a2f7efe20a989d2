"""Observe: the same sky with several detectors and dithers, written as level-1b files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from astropy.table import Table

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.exposure import Float
from calwebbd.stages.simulate import fields, level1b, pointing, ramp, scene, spectra
from calwebbd.stages.simulate.crds_cache import Contents, contents
from calwebbd.stages.simulate.detectors import DETECTORS, FILTERS, Detector, known
from calwebbd.stages.simulate.distortion import transform
from calwebbd.stages.simulate.effects import Effects
from calwebbd.stages.simulate.exposed import Exposed, target_point
from calwebbd.stages.simulate.modes import Mode, mode_of, usual
from calwebbd.stages.simulate.pointing import Pointing
from calwebbd.stages.simulate.readout import Readout, window
from calwebbd.stages.simulate.sensor import Sensor, make_sensor
from calwebbd.stages.simulate.truth import Truth, read_truth, write_sources, write_truth

MARGIN = 0.3  #: arcsec of sky around the footprints that also holds sources


@dataclass(frozen=True)
class Simulation:
    """Files made, and where their truth is."""

    paths: list[Path]
    truth: Path
    sources: Table = field(repr=False)

    def truth_of(self, path: Path) -> Truth:
        """The truth behind one of the files."""
        return read_truth(self.truth / path.name.replace("_uncal", "_truth"))


@dataclass(frozen=True)
class Plan:
    """What is observed, how; see `simulate_exposures`."""

    detectors: tuple[str, ...]
    readout: Readout
    dithers: int
    seed: int
    exp_type: str | None
    tso: bool
    segments: int
    nstars: int
    pointing_error: float
    effects: Effects

    def __post_init__(self) -> None:
        for name in self.detectors:
            detector = DETECTORS[name]
            window(detector, self.readout.subarray)
            if detector.instrument != self.readout.instrument:
                raise ParameterError(f"{self.readout.pattern} does not read {name}", step="simulate")
        if not 1 <= self.segments <= self.readout.nints:
            raise ParameterError(
                f"{self.readout.nints} integrations cannot make {self.segments} segments", step="simulate"
            )
        if self.dithers < 1:
            raise ParameterError("an observation has at least one dither position", step="simulate")

    def mode(self, detector: Detector) -> Mode:
        return mode_of(detector, self.readout.subarray, self.exp_type, self.tso)


def simulate_exposures(
    cache: Path,
    directory: Path,
    *,
    detectors: Sequence[str] = ("NRCA1", "NRCALONG"),
    subarray: str | None = None,
    ngroups: int = 5,
    nints: int = 1,
    dithers: int = 4,
    readpatt: str | None = None,
    seed: int = 1,
    exp_type: str | None = None,
    tso: bool = False,
    segments: int = 1,
    nstars: int | None = None,
    pointing_error: float = 0.01,
    effects: Effects | None = None,
    truth_directory: Path | None = None,
) -> Simulation:
    """Make one visit: every dither with every detector, as uncal files, with the truth beside.

    Parameters
    ----------
    cache
        A folder made by `simulate_cache`; its seed and filters decide what the pixels are like.
    directory
        Gets the uncal files.
    detectors
        Of one instrument.
    subarray, readpatt, exp_type
        What is usual for the instrument if None; see `modes`.
    tso
        A time series: one pointing. Some exposure types always are.
    segments
        Files into which each exposure's integrations are divided.
    nstars
        Sources in the field of view of each detector; 60, or 800 in full frame, if None.
    pointing_error
        arcsec rms on each axis by which the headers are wrong, from the second dither on.
    effects
        All but snowballs if None.
    truth_directory
        Default: ``truth`` in `directory`.

    Raises ParameterError for an unknown name or a count that makes no sense. The same
    arguments give the same bytes.
    """
    first, *_ = (known(DETECTORS, name, "detector") for name in detectors)
    subarray, readpatt = subarray or usual(first.name)[0], readpatt or usual(first.name)[1]
    mode = mode_of(first, subarray, exp_type, tso)
    plan = Plan(
        tuple(detectors),
        Readout(subarray, readpatt, ngroups, nints),
        1 if mode.tso else dithers,
        seed,
        exp_type,
        tso,
        segments,
        0 if mode.light != "stars" else nstars if nstars is not None else 800 if subarray == "FULL" else 60,
        pointing_error,
        effects or Effects(),
    )
    made = contents(cache)
    truth_directory = truth_directory or directory / "truth"
    for folder in (directory, truth_directory):
        folder.mkdir(parents=True, exist_ok=True)
    target = target_point(plan.detectors, subarray)
    pointings = pointing.dither(plan.dithers, target, plan.pointing_error, fields.stream(seed, "pointing"))
    sources = _sky(plan, made, pointings[0])
    sources.write(truth_directory / "sources.ecsv", overwrite=True)
    paths: list[Path] = []
    for name in plan.detectors:
        sensor = make_sensor(
            DETECTORS[name], window(DETECTORS[name], subarray), made.filter_of(name), made.seed
        )
        for point in pointings:
            exposed = Exposed(
                sensor.detector, sensor.filter, plan.readout, point, plan.dithers, plan.mode(sensor.detector)
            )
            paths += _observe(plan, sensor, exposed, sources, directory, truth_directory)
    _describe(truth_directory / "truth.json", plan, made, pointings)
    return Simulation(sorted(paths), truth_directory, sources)


def _sky(plan: Plan, made: Contents, first: Pointing) -> Table:
    """Sources over the footprint of each detector and all dithers; magnitudes such that a few saturate."""
    reach = MARGIN + np.abs(pointing.DITHERS[: plan.dithers]).max()
    boxes = []
    for name in plan.detectors:
        w = window(DETECTORS[name], plan.readout.subarray)
        v2, v3 = transform(DETECTORS[name])(
            np.array([w.x, w.x, w.x + w.nx, w.x + w.nx]), np.array([w.y, w.y + w.ny, w.y, w.y + w.ny])
        )
        boxes.append(scene.Box((v2.min() - reach, v2.max() + reach), (v3.min() - reach, v3.max() + reach)))
    detector, limit = DETECTORS[plan.detectors[0]], 0.0
    if plan.nstars:
        filter = FILTERS[made.filter_of(detector.name)]
        limit = scene.saturating_magnitude(detector, filter, plan.readout.integration_time)
    return scene.make_scene(boxes, first.header, plan.nstars, limit, fields.stream(plan.seed, "scene"))


def incident(plan: Plan, sensor: Sensor, exposed: Exposed, sources: Table) -> tuple[Float, Float]:
    """(ny, nx) e-/s and DN/s on the detector, flat field included, 0 where nothing responds.

    DN are those of the full frame: NIRSpec's subarrays are scaled to them by gain_scale.
    """
    if exposed.mode.light == "stars":
        x, y = scene.positions(sources, sensor, exposed.pointing.true, exposed.aperture_centre)
        seen = sources if plan.effects.stars else sources[:0]
        rate = scene.count_rate(seen, sensor, x, y, plan.effects.sky)
    else:
        rate = spectra.illumination(exposed.mode.light, sensor, plan.seed)
        rate *= spectra.brightness(sensor, plan.readout)
    if plan.effects.flat:
        rate = rate * np.nan_to_num(sensor.flat)
    rate = np.where(sensor.reference, 0, rate).astype(np.float32)
    return (rate * sensor.gain / sensor.gain_factor if plan.effects.gain else rate), rate


def _observe(
    plan: Plan, sensor: Sensor, exposed: Exposed, sources: Table, directory: Path, truth_directory: Path
) -> list[Path]:
    """One exposure of one detector, in its segments."""
    electrons, rate = incident(plan, sensor, exposed, sources)
    names = (plan.seed, sensor.detector.name, exposed.pointing.number)
    raw = ramp.expose(electrons, sensor, plan.readout, plan.effects, *names)
    cuts = np.linspace(0, plan.readout.nints, plan.segments + 1).round().astype(int)
    paths = []
    for i in range(plan.segments):
        part = slice(int(cuts[i]), int(cuts[i + 1]))
        segment = replace(
            exposed, segment=i + 1, segments=plan.segments, first=part.start + 1, last=part.stop
        )
        path = directory / f"{segment.name}_uncal.fits"
        level1b.write(path, segment, raw)
        write_truth(truth_directory / f"{segment.name}_truth.fits", electrons, rate, raw, part)
        paths.append(path)
    x, y = scene.positions(sources, sensor, exposed.pointing.true, exposed.aperture_centre)
    listed = truth_directory / f"{exposed.name}_sources.ecsv"
    write_sources(listed, sources, x, y, sensor.window)
    return paths


def _describe(path: Path, plan: Plan, made: Contents, pointings: list[Pointing]) -> None:
    """Write what was asked for and where the telescope looked."""
    described = {
        **asdict(plan),
        "cache": asdict(made),
        "pointings": [
            {"exposure": p.number, "offset": p.offset, "error": p.error, "attitude": p.true.tolist()}
            for p in pointings
        ],
    }
    path.write_text(json.dumps(described, indent=1) + "\n")
