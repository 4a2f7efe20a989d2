"""A CRDS cache that needs no server: references, rules, and three contexts.

* ``jwst_0001.pmap``: science references; every ``pars-*`` type is N/A, so steps run
  with the defaults of the code;
* ``jwst_0002.pmap``, the operational one: the same, with parameter references;
* ``jwst_0003.pmap``: the same, with every optional step of stage 1 on.

Where no full frame is asked for, references are cut to the subarrays to stay small;
only the area map is always of the whole detector.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.simulate import mappings, optics, references, rules
from calwebbd.stages.simulate.detectors import DETECTORS, FILTERS, Detector, known
from calwebbd.stages.simulate.modes import exp_types
from calwebbd.stages.simulate.readout import FAMILIES, SUBARRAYS, Family, window
from calwebbd.stages.simulate.readout import subarrays as subarrays_of
from calwebbd.stages.simulate.rules import CONTEXT, PARKEYS, PLACE, READPATT, Writer
from calwebbd.stages.simulate.sensor import Sensor, make_sensor

USUAL_FILTERS = ("F200W", "F444W", "F158M", "OPEN", "F770W")
MANIFEST = "simulation.json"


@dataclass(frozen=True)
class Contents:
    """What a simulated cache was made for."""

    seed: int
    detectors: tuple[str, ...]
    subarrays: tuple[str, ...]
    filters: dict[str, str]  #: by channel

    def filter_of(self, detector: str) -> str:
        """N/A for spectrographs."""
        return self.filters.get(DETECTORS[detector].channel, mappings.NONE)

    def subarrays_of(self, detector: Detector) -> list[str]:
        return [name for name in self.subarrays if name in subarrays_of(detector)]


def contents(cache: Path) -> Contents:
    """Read what `simulate_cache` left about itself; FileNotFoundError if it did not make this folder."""
    made = json.loads((cache / MANIFEST).read_text())
    return Contents(made["seed"], tuple(made["detectors"]), tuple(made["subarrays"]), made["filters"])


def environment(cache: Path, context: str = CONTEXT) -> dict[str, str]:
    """Variables by which any CRDS client takes everything from this cache."""
    return {
        "CRDS_PATH": str(cache.resolve()),
        "CRDS_SERVER_URL": "https://crds-serverless-mode.stsci.edu",
        "CRDS_OBSERVATORY": "jwst",
        "CRDS_READONLY_CACHE": "1",
        "CRDS_CONTEXT": context,
    }


def simulate_cache(
    directory: Path,
    *,
    detectors: Sequence[str] = ("NRCA1", "NRCALONG"),
    subarrays: Sequence[str] = ("SUB160",),
    filters: Sequence[str] = (),
    readpatts: Sequence[str] | None = None,
    seed: int = 1,
    dark_frames: int = references.DARK_FRAMES,
) -> Contents:
    """Write the cache into `directory`.

    subarrays : of any of the detectors; with FULL among them, those references that do not
        depend on how a subarray is read are of the full frame only
    filters : no more than one for each channel; the usual one for others
    readpatts : IRS2 and slow patterns need references of their own; all of them if None
    seed : decides what the pixels are like; exposures learn it from the cache

    Raises ParameterError for a name that the simulator does not have, and for a detector
    without subarray.
    """
    by_channel = {known(FILTERS, name, "filter").channel: name for name in (*USUAL_FILTERS, *filters)}
    for name in subarrays:
        known({sub: None for table in SUBARRAYS.values() for sub in table}, name, "subarray")
    made = Contents(seed, tuple(detectors), tuple(subarrays), by_channel)
    for name in detectors:
        if not made.subarrays_of(known(DETECTORS, name, "detector")):
            raise ParameterError(f"{name} has no subarray {', '.join(subarrays)}", step="simulate")
    cache = Writer(directory)
    for name in detectors:
        _pixels(cache, made, name, readpatts, dark_frames)
        _detector(cache, made, name)
    _instruments(cache, made)
    cache.write_rules()
    (directory / MANIFEST).write_text(json.dumps(asdict(made), indent=1) + "\n")
    return made


def _families(instrument: str, subarray: str, readpatts: Sequence[str] | None) -> list[Family]:
    """Read patterns to make references for: all that read the subarray, or those asked for."""
    own = [family for family in FAMILIES if family.instrument == instrument]
    asked = [family for family in own if readpatts is None or family.patterns.keys() & set(readpatts)]
    return [family for family in asked or own if subarray == "FULL" or not family.full_only]


def _makers(sensor: Sensor, family: Family, subarray: str, frames: int) -> dict[str, Callable[[], Any]]:
    """What makes each reference that holds a value for every pixel."""
    return {
        **{make.__name__: partial(make, sensor, family) for make in references.PIXELS},
        "dark": partial(references.dark, sensor, family, subarray, frames),
        "reset": partial(references.reset, sensor, family),
    }


def _pixels(
    cache: Writer, made: Contents, name: str, readpatts: Sequence[str] | None, dark_frames: int
) -> None:
    """References that hold a value for every pixel."""
    detector, filter = DETECTORS[name], made.filter_of(name)
    parkeys = PARKEYS[detector.instrument]
    full = "FULL" in made.subarrays_of(detector)
    for subarray in made.subarrays_of(detector):
        place = window(detector, subarray)
        sensor = make_sensor(detector, place, filter, made.seed)
        here = {rules.DETECTOR: name, rules.EXP_TYPE: exp_types(detector.instrument)}
        if detector.instrument == "NIRCAM":
            here |= {rules.FILTER: filter, rules.PUPIL: "CLEAR"}
        corner = (place.x + 1, place.y + 1, place.nx, place.ny)
        here |= {key: str(value) for key, value in zip(PLACE, corner, strict=True)}
        for n, family in enumerate(_families(detector.instrument, subarray, readpatts)):
            if len(_families(detector.instrument, "FULL", None)) > 1:
                here[READPATT] = "|".join(family.patterns)
            for reftype, make in _makers(sensor, family, subarray, dark_frames).items():
                own = reftype in references.OWN or (reftype == "gain" and detector.instrument == "NIRSPEC")
                once = READPATT not in parkeys.get(reftype, ())
                if reftype not in parkeys or (once and n) or (full and subarray != "FULL" and not own):
                    continue
                values = here | ({} if full and not own else {rules.SUBARRAY: subarray})
                cache.add(detector.instrument, reftype, references.place(make(), sensor, subarray), values)


def _detector(cache: Writer, made: Contents, name: str) -> None:
    """References of one detector that hold no value for a pixel, or always for all of them."""
    detector, filter = DETECTORS[name], made.filter_of(name)
    instrument = detector.instrument
    here = {rules.DETECTOR: name, rules.EXP_TYPE: exp_types(instrument), rules.CHANNEL: detector.channel}
    cache.add(instrument, "ipc", references.ipc(), here)
    if instrument == "NIRCAM":
        here |= {rules.FILTER: filter, rules.PUPIL: "CLEAR"}
    if optics.images(detector):
        cache.add(instrument, "area", optics.area(detector, filter), here)
        cache.add(instrument, "photom", optics.photom(detector, filter), here)
        cache.add(instrument, "distortion", optics.distortion_reference(detector), here, ".asdf")
    if instrument == "MIRI":
        cache.add(instrument, "rscd", references.rscd(), here)
    if instrument == "NIRSPEC" and "FULL" in made.subarrays:
        whole = make_sensor(detector, window(detector, "FULL"), filter, made.seed)
        cache.add(instrument, "pictureframe", references.pictureframe(whole), here)
        traditional, interleaved = ("|".join(f.patterns) for f in FAMILIES if f.instrument == instrument)
        cache.add(instrument, "refpix", references.refpix(whole), here | {READPATT: interleaved})
        cache.note(instrument, "refpix", (mappings.NONE, traditional), mappings.NONE)


def _instruments(cache: Writer, made: Contents) -> None:
    """References that detectors of an instrument share."""
    by_instrument: dict[str, list[str]] = {}
    for name in made.detectors:
        by_instrument.setdefault(DETECTORS[name].instrument, []).append(name)
    for instrument, names in by_instrument.items():
        if "FULL" in made.subarrays and "sirskernel" in PARKEYS[instrument]:
            cache.add(instrument, "sirskernel", references.sirskernel(names), {}, ".asdf")
        if instrument == "MIRI":
            cache.add(instrument, "emicorr", references.emicorr(), {}, ".asdf")
        if imagers := [DETECTORS[name] for name in names if optics.images(DETECTORS[name])]:
            _imagers(cache, made, imagers)


def _imagers(cache: Writer, made: Contents, detectors: Sequence[Detector]) -> None:
    """References that detectors of an instrument share for images."""
    instrument = detectors[0].instrument
    pairs = [(detector, made.filter_of(detector.name)) for detector in detectors]
    cache.add(instrument, "apcorr", optics.apcorr(pairs), {rules.EXP_TYPE: exp_types(instrument)})
    optics.write_abvegaoffset(cache.path(instrument, "abvegaoffset", (), ".asdf"), pairs)
    if "filteroffset" in PARKEYS[instrument]:
        keys = rules.CHANNEL, rules.MODULE, rules.DETECTOR
        shared = {(d.channel, d.module, d.name if instrument != "NIRCAM" else ""): d for d in detectors}
        for values, detector in shared.items():
            offsets = optics.filteroffset(detector, made.filter_of(detector.name))
            cache.add(instrument, "filteroffset", offsets, dict(zip(keys, values, strict=True)), ".asdf")
