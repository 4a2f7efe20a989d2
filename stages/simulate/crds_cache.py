"""A CRDS cache that needs no server: references, rules, and two contexts.

* ``jwst_0001.pmap``: science references; every ``pars-*`` type is N/A, so steps run
  with the defaults of the code;
* ``jwst_0002.pmap``, the operational one: the same, with parameter references.

Where no full frame is asked for, references are cut to the subarrays to stay small;
only the area map is always of the whole detector.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calwebbd.stages.simulate import mappings, references
from calwebbd.stages.simulate.detectors import DETECTORS, FILTERS, SUBARRAYS, known, window
from calwebbd.stages.simulate.parameters import PARAMETERS, write_abvegaoffset, write_parameters
from calwebbd.stages.simulate.reproducible import settle
from calwebbd.stages.simulate.sensor import make_sensor

DETECTOR, FILTER, PUPIL = "META.INSTRUMENT.DETECTOR", "META.INSTRUMENT.FILTER", "META.INSTRUMENT.PUPIL"
CHANNEL, MODULE = "META.INSTRUMENT.CHANNEL", "META.INSTRUMENT.MODULE"
EXP_TYPE, READPATT, SUBARRAY = "META.EXPOSURE.TYPE", "META.EXPOSURE.READPATT", "META.SUBARRAY.NAME"

#: By what each reference type is chosen.
PARKEYS: dict[str, tuple[str, ...]] = {
    "mask": (DETECTOR, SUBARRAY),
    "saturation": (DETECTOR, SUBARRAY),
    "superbias": (DETECTOR, READPATT, SUBARRAY),
    "linearity": (DETECTOR, SUBARRAY),
    "dark": (EXP_TYPE, DETECTOR, SUBARRAY),
    "gain": (DETECTOR, SUBARRAY),
    "readnoise": (DETECTOR, READPATT, SUBARRAY),
    "flat": (DETECTOR, FILTER, PUPIL, SUBARRAY),
    "ipc": (DETECTOR,),
    "area": (DETECTOR, FILTER, PUPIL),
    "photom": (DETECTOR, EXP_TYPE),
    "distortion": (EXP_TYPE, DETECTOR, CHANNEL),
    "filteroffset": (CHANNEL, MODULE),
    "apcorr": (EXP_TYPE,),
    "abvegaoffset": (),
    "sirskernel": (),
}
CONTEXT = "jwst_0002.pmap"  #: operational
MANIFEST = "simulation.json"


@dataclass(frozen=True)
class Contents:
    """What a simulated cache was made for."""

    seed: int
    detectors: tuple[str, ...]
    subarrays: tuple[str, ...]
    filters: dict[str, str]  #: by channel, SHORT or LONG

    def filter_of(self, detector: str) -> str:
        return self.filters[DETECTORS[detector].channel]


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
    filters: Sequence[str] = ("F200W", "F444W"),
    seed: int = 1,
    dark_frames: int = references.DARK_FRAMES,
) -> Contents:
    """Write the cache into `directory`.

    subarrays : with FULL among them, all but superbias and dark are of the full frame
    filters : one for each channel in use
    seed : decides what the pixels are like; exposures learn it from the cache

    Raises ParameterError for a name that NIRCam or the simulator does not have.
    """
    by_channel = {known(FILTERS, name, "filter").channel: name for name in filters}
    for name in detectors:
        known(by_channel, known(DETECTORS, name, "detector").channel, "channel that has a filter")
    for name in subarrays:
        known(SUBARRAYS, name, "subarray")
    made = Contents(seed, tuple(detectors), tuple(subarrays), by_channel)
    cache = _Writer(directory)
    for name in detectors:
        _pixels(cache, made, name, dark_frames)
        _optics(cache, made, name)
    _instrument(cache, made)
    cache.write_rules()
    (directory / MANIFEST).write_text(json.dumps(asdict(made), indent=1) + "\n")
    return made


class _Writer:
    """Saves references under CRDS names and remembers by what each is to be chosen."""

    def __init__(self, directory: Path) -> None:
        self.references = directory / "references" / "jwst" / "nircam"
        self.mappings = directory / "mappings" / "jwst"
        self.config = directory / "config" / "jwst"
        for folder in (self.references, self.mappings, self.config):
            folder.mkdir(parents=True, exist_ok=True)
        self.rules: dict[str, dict[tuple[str, ...], str]] = {}

    def path(self, reftype: str, match: tuple[str, ...], suffix: str) -> Path:
        """The next name of that type, noted under its match values."""
        rules = self.rules.setdefault(reftype, {})
        rules[match] = f"jwst_nircam_{reftype}_{len(rules) + 1:04d}{suffix}"
        return self.references / rules[match]

    def add(self, reftype: str, reference: Any, values: Mapping[str, str], suffix: str = ".fits") -> None:
        """Save a data model; keys missing in `values` match anything."""
        match = tuple(values.get(key, "N/A") for key in PARKEYS[reftype])
        references.describe(reference, reftype, values.get(DETECTOR))
        path = self.path(reftype, match, suffix)
        reference.save(str(path))
        reference.close()
        if suffix == ".asdf":
            settle(path)

    def write_rules(self) -> None:
        """Write rmaps and both contexts, with and without parameter references."""
        for serial in (1, 2):
            if serial == 2:
                for step in PARAMETERS:
                    path = self.path(step.reftype, (references.EXP_TYPES,), ".asdf")
                    write_parameters(path, step)
            rmaps = {reftype: f"jwst_nircam_{reftype}_0001.rmap" for reftype in self.rules}
            for reftype, files in self.rules.items():
                parkeys = PARKEYS.get(reftype, (EXP_TYPE,))
                mappings.write_rmap(self.mappings / rmaps[reftype], reftype, parkeys, files)
            imap = f"jwst_nircam_{serial:04d}.imap"
            mappings.write_imap(self.mappings / imap, rmaps)
            mappings.write_pmap(self.mappings / f"jwst_{serial:04d}.pmap", imap)
        names = [path.name for path in self.mappings.iterdir()]
        mappings.write_server_config(self.config, CONTEXT, names)


def _pixels(cache: _Writer, made: Contents, name: str, dark_frames: int) -> None:
    """References that hold a value for every pixel."""
    detector, filter = DETECTORS[name], made.filter_of(name)
    full = "FULL" in made.subarrays
    for subarray in made.subarrays:
        sensor = make_sensor(detector, window(detector, subarray), filter, made.seed)
        found = {"dark": references.dark(sensor, subarray, dark_frames)}
        if subarray == "FULL" or not full:
            found |= {make.__name__: make(sensor, made.seed) for make in references.PIXELS}
        found["superbias"] = references.superbias(sensor, made.seed)
        for reftype, reference in found.items():
            values = {DETECTOR: name, EXP_TYPE: references.EXP_TYPES, FILTER: filter, PUPIL: "CLEAR"}
            # those of the full frame serve every subarray, but for these two
            if reftype in ("superbias", "dark") or not full:
                values[SUBARRAY] = subarray
            cache.add(reftype, references.place(reference, sensor, subarray), values)


def _optics(cache: _Writer, made: Contents, name: str) -> None:
    """References of one detector that hold no value a pixel, and the area map."""
    filter, channel = made.filter_of(name), DETECTORS[name].channel
    here = {DETECTOR: name, EXP_TYPE: references.EXP_TYPES, CHANNEL: channel}
    cache.add("ipc", references.ipc(), here)
    cache.add("area", references.area(name, filter), {**here, FILTER: filter, PUPIL: "CLEAR"})
    cache.add("photom", references.photom(name, filter), here)
    cache.add("distortion", references.distortion_reference(name), here, ".asdf")


def _instrument(cache: _Writer, made: Contents) -> None:
    """References that detectors share."""
    filters = sorted(made.filters.values())
    types = {EXP_TYPE: references.EXP_TYPES}
    groups = {(DETECTORS[name].channel, DETECTORS[name].module): name for name in made.detectors}
    for (channel, module), name in groups.items():
        offsets = references.filteroffset(name, [made.filters[channel]])
        cache.add("filteroffset", offsets, {CHANNEL: channel, MODULE: module}, ".asdf")
    cache.add("apcorr", references.apcorr(filters), types)
    write_abvegaoffset(cache.path("abvegaoffset", (), ".asdf"), filters)
    if "FULL" in made.subarrays:
        cache.add("sirskernel", references.sirskernel(made.detectors), {}, ".asdf")
